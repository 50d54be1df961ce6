"""What this stage can be told: frozen dataclasses, no torch, each checked when it is made.

A value out of its range is a `ValueError` that names the field. `zoo` reads these from YAML.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from distill.losses import LOSSES


def _check(ok: bool, message: str) -> None:
    if not ok:
        raise ValueError(message)


def _later(default: Any) -> Any:
    """A field that is no part of a hash while it holds its default: it came after the others."""
    return field(default=default, metadata={"later": True})


def _paper(unused: float) -> Any:
    """A setting of a loss that is the paper's where it is left out; a loss without it: `unused`."""
    return field(default=None, metadata={"unused": unused})


@dataclass(frozen=True)
class Data:
    """Where the labelled examples are."""

    source: str  # folder/zip/tar of split/class/name; shards; table; parquet; hub:A/B@REV; digits
    licence: str  # SPDX id, or plain words where there is none
    name: str = ""  # what people call it; empty: the source
    home: str = ""  # public address of the data, for people
    image_size: int = 32  # pixels; pictures of another size are resized to this square
    validation: float = 0.1  # fraction of train held out: per class, by the sha256 of the name
    order: Literal["name", "natural"] = _later("name")  # of classes; natural: 2 before 10
    on_broken: Literal["stop", "skip"] = _later("stop")  # skip: left out, told, counted on the card
    keep_size: int = _later(0)  # pixels a side of views, as a teacher sees them; 0: image_size
    labelled: bool = _later(True)  # false: folders are no classes, the teacher's first answers are

    def __post_init__(self) -> None:
        _check(bool(self.source), "source must not be empty")
        _check(
            self.keep_size == 0 or self.keep_size >= self.image_size,
            f"keep_size must be 0, as image_size, or at least that, not {self.keep_size}",
        )
        _check(self.image_size >= 8, f"image_size must be at least 8 pixels, not {self.image_size}")
        _check(0 < self.validation < 0.9, f"validation must lie in (0, 0.9), not {self.validation}")

    @property
    def seen_size(self) -> int:
        """Pixels a side of what a teacher sees."""
        return self.keep_size or self.image_size


@dataclass(frozen=True)
class TextData:
    """Where labelled texts are. A place is a folder or tar archive of <class>.txt, a text a line.

    ARCHIVE/FOLDER names one folder of several inside an archive.
    """

    source: str  # place of the texts that are trained on and, in part, held out
    licence: str  # SPDX id, or plain words where there is none
    tests: dict[str, str]  # name: place, read by the final measurement only; the first is headline
    name: str = ""  # what people call it; empty: the source
    home: str = ""  # public address of the data, for people
    words: str = ""  # place of single words, one a line, trained on too
    counts: str = ""  # lingua-language-detector 1.4's wheel: words are drawn from its n-gram counts
    drawn_words: int = 0  # of each class, from counts
    validation: float = 0.05  # fraction of source held out: per class, by the sha256 of the text

    def __post_init__(self) -> None:
        _check(bool(self.source), "source must not be empty")
        _check(bool(self.tests), "tests must name at least one place")
        _check(0 < self.validation < 0.9, f"validation must lie in (0, 0.9), not {self.validation}")
        _check(self.drawn_words >= 0, f"drawn_words must be >= 0, not {self.drawn_words}")
        _check(
            bool(self.counts) == bool(self.drawn_words),
            "counts and drawn_words belong together: give both, or neither",
        )


@dataclass(frozen=True)
class TeacherInput:
    """How pictures are prepared for a teacher whose file does not do it itself.

    What is left out is said by the preset, then by what lies beside the file
    (preprocessor_config.json, or timm's config.json), then by the file's shape.
    """

    preset: Literal["", "imagenet", "inception", "clip", "openai", "none", "raw"] = ""
    # range, mean and std that a family of networks is known for; none and raw: 0 to 255 as it is
    layout: Literal["", "NCHW", "NHWC"] = ""  # order of axes; empty: from the file's shape
    size: int = 0  # pixels a side that it reads; 0: the file's own, else as the pictures come
    resize: Literal["", "nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"] = ""
    # how a picture gets to that size; empty: as the preset has it, else bilinear
    crop: float = 0.0  # side of the middle that is read: 0.875 is 224 of 256; 0: all
    range: Literal[0, 1, 255] = 0  # numbers before mean and std go from 0 to this; 0: to 1
    mean: tuple[float, ...] = ()  # taken off each channel, in the order of `color`
    std: tuple[float, ...] = ()  # then each channel is divided by it
    color: Literal["", "rgb", "bgr"] = ""  # order of channels; empty: rgb

    def __post_init__(self) -> None:
        _check(self.size >= 0, f"size must be >= 0 pixels, not {self.size}")
        _check(0 <= self.crop <= 1, f"crop must lie in [0, 1], not {self.crop}")
        for key in ("mean", "std"):
            given = getattr(self, key)
            _check(len(given) in (0, 3), f"{key} must have 3 numbers, not {len(given)}")
        _check(min(self.std, default=1) > 0, f"std must be > 0, not {self.std}")
        over = max(map(abs, self.mean), default=0) > 2 and (self.range or 1) == 1
        _check(not over, "mean of such size belongs to numbers up to 255: say range: 255")
        raw = self.preset in ("none", "raw")
        _check(not (raw and (self.mean or self.std)), "mean and std contradict preset none and raw")

    @property
    def numbers(self) -> bool:
        """Whether it says what numbers pixels become, by a preset or by itself."""
        return bool(self.preset or self.range or self.mean or self.std)


@dataclass(frozen=True)
class Teacher:
    """Who answers. Exactly one of recipe, onnx, callable, module and pretrained is given."""

    recipe: str = ""  # another recipe's name: the teacher is that recipe's student
    onnx: str = ""  # path of an ONNX file: pictures in, logits or probabilities (n, classes) out
    callable: str = ""  # "module:function": uint8 array (n, h, w, 3) -> float array (n, classes)
    pretrained: str = ""  # a name in distill.teachers.TEACHERS: efficientnet-lite0, lingua ...
    licence: str = ""  # SPDX id of the weights; of recipe and pretrained it is known
    source: str = ""  # where onnx, callable or module comes from, for the card
    module: str = _later("")  # "module:function" that gives an nn.Module, or a .pt2 program's path
    input: TeacherInput | None = field(default=None, metadata={"later": True})
    # how pictures are prepared for onnx
    output: str = _later("")  # of onnx, that answers; empty: the only one that fits its classes
    classes: str | tuple[str, ...] = _later(())  # its own names, in its own order, or a file of
    # them: a name a line, a JSON list, a config.json with id2label; empty: those of the data
    depends: tuple[str, ...] = _later(())  # files beside the recipe that the answers of a
    # callable or a module read

    def __post_init__(self) -> None:
        kinds = ("recipe", "onnx", "callable", "module", "pretrained")
        given = [k for k in kinds if getattr(self, k)]
        _check(
            len(given) == 1,
            "a teacher is one of recipe, onnx, callable, module and pretrained; given: "
            f"{' and '.join(given) or 'none'}",
        )
        of_onnx = self.input is None and not self.output
        _check(bool(self.onnx) or of_onnx, "input and output are those of an onnx teacher")
        _check(
            bool(self.callable or self.module or not self.depends),
            f"depends means nothing to a teacher that is {given[0]}: its own files are known",
        )
        known = self.recipe or self.pretrained
        _check(bool(known or self.licence), f"licence of the {given[0]} teacher must be given")


@dataclass(frozen=True)
class Student:
    """What learns."""

    architecture: str  # a name in distill.students.ARCHITECTURES, or "module:function" of your own
    options: dict[str, bool | float | int | str] = field(default_factory=dict)  # its own arguments
    init: Literal["", "imagenet"] = ""  # the weights it starts from (efficientnet-lite only)


@dataclass(frozen=True)
class Augment:
    """How a view is drawn from a picture, in pixels of image_size. All off by default."""

    crop_padding: int = 0  # pixels of reflected border before a random crop of the old size
    flip: bool = False  # mirrored left to right with probability 1/2
    cutout: int = 0  # side in pixels of one square set to mid-grey (DeVries & Taylor 2017)
    mixup: float = 0.0  # alpha of Beta(alpha, alpha) (Zhang et al. 2018); 0: off

    def __post_init__(self) -> None:
        _check(self.crop_padding >= 0, f"crop_padding must be >= 0, not {self.crop_padding}")
        _check(self.cutout >= 0, f"cutout must be >= 0, not {self.cutout}")
        _check(self.mixup >= 0, f"mixup must be >= 0, not {self.mixup}")

    def times(self, factor: float) -> Augment:
        """The same of pictures that are larger by `factor`."""
        larger = {key: round(factor * getattr(self, key)) for key in ("crop_padding", "cutout")}
        return replace(self, **larger)


@dataclass(frozen=True)
class Pieces:
    """How a view is cut: of running text by the first four, of a list's words by the last three.

    Each set of fractions sums to 1.
    """

    whole: float = 0.3  # the text as it stands
    snatch: float = 0.3  # 8 to 30 characters, cut anywhere
    pair: float = 0.2  # two neighbouring words
    word: float = 0.2  # one word
    alone: float = 0.6  # the word as it stands
    paired: float = 0.3  # with another of its class
    strung: float = 0.1  # with two to eight others of its class, as a sentence would be
    cuts: int = 1  # pieces of each running text in a view
    nothing: int = _later(0)  # texts of no language beside them, made by rule: no answer is right

    def __post_init__(self) -> None:
        text = (self.whole, self.snatch, self.pair, self.word)
        words = (self.alone, self.paired, self.strung)
        _check(min(*text, *words) >= 0, "no fraction may be negative")
        _check(
            abs(sum(text) - 1) < 1e-6, f"whole + snatch + pair + word must be 1, not {sum(text)}"
        )
        _check(abs(sum(words) - 1) < 1e-6, f"alone + paired + strung must be 1, not {sum(words)}")
        _check(self.cuts >= 1, f"cuts must be >= 1, not {self.cuts}")
        _check(self.nothing >= 0, f"nothing must be >= 0, not {self.nothing}")


@dataclass(frozen=True)
class Labels:
    """What is kept of the teacher."""

    views: int = 8  # views of every training example that the teacher labels; epochs cycle them
    top_k: int = 10  # logits kept per view, fp16; the other classes share the rest of the mass
    audit: float = 0.01  # fraction of kept rows compared with the live teacher
    of: Literal["all", "words"] = _later("all")  # words: running text keeps its label alone
    share: float = _later(1.0)  # fraction of these that are asked; the others keep their label

    def __post_init__(self) -> None:
        _check(self.views >= 1, f"views must be >= 1, not {self.views}")
        _check(self.top_k >= 1, f"top_k must be >= 1, not {self.top_k}")
        _check(0 < self.audit <= 1, f"audit must lie in (0, 1], not {self.audit}")
        _check(0 < self.share <= 1, f"share must lie in (0, 1], not {self.share}")


@dataclass(frozen=True)
class Loss:
    """What is minimised; the formulas are in distill.losses. What is left out is the paper's."""

    name: Literal[tuple(LOSSES)] = "kd"  # type: ignore[valid-type]  # ce: no teacher
    temperature: float = _paper(4.0)  # T of kd and dkd, tau of dist
    ce: float = _paper(0.1)  # weight of cross-entropy with the true label
    kd: float = _paper(0.9)  # weight of the distillation term; kd: ce + kd = 1
    alpha: float = _paper(1.0)  # dkd: weight of the target-class term
    beta: float = _paper(8.0)  # dkd: of the non-target, dist: inter-class term
    gamma: float = _paper(1.0)  # dist: weight of the intra-class term
    warmup_epochs: int = _paper(0)  # dkd: its weight rises from 0 over them
    standardize: bool = _paper(False)  # kd: logit standardisation of both sides (Sun et al. 2024)
    label_smoothing: float = 0.0  # of the cross-entropy term

    def __post_init__(self) -> None:
        _check(self.name in LOSSES, f"name must be one of {', '.join(LOSSES)}, not {self.name!r}")
        paper = LOSSES.load(self.name).paper
        for setting in (f for f in fields(self) if "unused" in f.metadata):
            key, unused = setting.name, setting.metadata["unused"]
            if getattr(self, key) is None:
                object.__setattr__(self, key, paper.get(key, unused))
            reads = key in paper or getattr(self, key) == unused
            _check(reads, f"{key} means nothing to the loss {self.name}")
        _check(self.temperature > 0, f"temperature must be > 0, not {self.temperature}")
        _check(0 <= self.label_smoothing < 1, "label_smoothing must lie in [0, 1)")
        _check(self.ce >= 0 and self.kd >= 0, "the weights ce and kd must not be negative")
        _check(self.warmup_epochs >= 0, "warmup_epochs must not be negative")
        if self.name == "kd" and not self.standardize:
            _check(abs(self.ce + self.kd - 1) < 1e-6, f"ce + kd must be 1, not {self.ce + self.kd}")


@dataclass(frozen=True)
class Train:
    """How long, how fast."""

    epochs: int  # times that the student sees every training example
    batch_size: int = 128  # views a step
    learning_rate: float = 0.1  # peak
    schedule: Literal["cosine", "one-cycle"] = "one-cycle"  # cosine: falls; one-cycle: rises first
    warmup: float = 0.15  # fraction of all steps over which the rate rises (one-cycle)
    momentum: float = 0.9  # of SGD, Nesterov; adam does not read it
    weight_decay: float = 5e-4  # not on norms and biases
    ema: float = 0.0  # decay a step of the averaged weights that are kept; 0: off
    seeds: tuple[int, ...] = (0,)  # the first one is published; the others give the spread
    optimizer: Literal["sgd", "adam"] = _later("sgd")  # adam: betas 0.9, 0.99 (Kingma & Ba 2015)
    processes: int = _later(0)  # that share a step; 0: one a core for pictures, 64 each or more
    sizes: tuple[int, ...] = _later(())  # pixels a side, growing to the student's; empty: its own
    shares: tuple[float, ...] = _later(())  # of the epochs at each of sizes; empty: equal ones

    def __post_init__(self) -> None:
        _check(self.epochs >= 1, f"epochs must be >= 1, not {self.epochs}")
        _check(self.batch_size >= 2, f"batch_size must be >= 2, not {self.batch_size}")
        _check(self.learning_rate > 0, f"learning_rate must be > 0, not {self.learning_rate}")
        _check(0 <= self.momentum < 1, f"momentum must lie in [0, 1), not {self.momentum}")
        _check(self.weight_decay >= 0, f"weight_decay must be >= 0, not {self.weight_decay}")
        _check(min(self.seeds, default=0) >= 0, f"seeds must be >= 0, not {self.seeds}")
        _check(0 <= self.ema < 1, f"ema must lie in [0, 1), not {self.ema}")
        _check(0 <= self.warmup < 1, f"warmup must lie in [0, 1), not {self.warmup}")
        _check(len(set(self.seeds)) == len(self.seeds) > 0, "seeds must be given, each once")
        _check(self.processes >= 0, f"processes must be >= 0, not {self.processes}")
        _check(
            self.processes in (0, *self.counts(self.processes)),
            f"batch_size {self.batch_size} cannot be shared by {self.processes} processes, "
            "2 or more and as many for each",
        )
        self._check_sizes()

    def counts(self, most: int) -> tuple[int, ...]:
        """The numbers of processes, up to `most`, that can share a batch."""
        found = (n for n in range(1, most + 1) if self.batch_size % n == 0)
        return tuple(n for n in found if n == 1 or self.batch_size >= 2 * n)

    def _check_sizes(self) -> None:
        for size in self.sizes:
            _check(size >= 8 and size % 8 == 0, f"sizes must be multiples of 8 pixels, not {size}")
        _check(list(self.sizes) == sorted(set(self.sizes)), f"sizes must grow, not be {self.sizes}")
        if self.shares:
            _check(
                len(self.shares) == len(self.sizes),
                f"shares must be one for each of sizes {self.sizes}, not {self.shares}",
            )
            ok = min(self.shares) > 0 and abs(sum(self.shares) - 1) < 1e-6
            _check(ok, f"shares must be > 0 and sum to 1, not {self.shares}")

    def size(self, epoch: int) -> int:
        """Pixels a side in an epoch, counted from 0; 0: the student's own, as in the last epoch."""
        shares = self.shares or (1 / len(self.sizes),) * len(self.sizes) if self.sizes else ()
        end = 0.0
        for size, share in zip(self.sizes, shares, strict=True):
            end += share * self.epochs
            if epoch + 0.5 < end and epoch < self.epochs - 1:
                return size
        return self.sizes[-1] if self.sizes else 0
