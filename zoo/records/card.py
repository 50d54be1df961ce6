"""The card: what was measured of one student, as data.

`card.json` is the source. README.md and the figures are made from it (and from run.json's curves)
and from nothing else, so a card cannot say what its data does not: `drift` in zoo/card/writing.py
compares them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.errors import CardError
from zoo.records import peers as card_peers
from zoo.records import plain, reader
from zoo.records.labeller import Labeller
from zoo.records.measures import Measurement, Score
from zoo.records.names import check, check_file_name, check_fraction, check_hex, check_name
from zoo.records.peers import Comparison, Peer
from zoo.records.text import load_json

FILE = "card.json"
PAGE = "README.md"
RUN = "run.json"


@dataclass(frozen=True)
class Input:
    """What the file takes."""

    name: str  # "image", "codepoints"
    dtype: str  # "uint8", "int32"
    layout: str  # "NHWC", "NL"
    color: str | None = None  # "RGB"; None: texts
    size: int | None = None  # pixels a side that the graph resizes to, from any; None: texts

    def __post_init__(self) -> None:
        check(
            (self.color is None) == (self.size is None),
            "color and size belong together: pictures have both, texts neither",
        )


@dataclass(frozen=True)
class StudentFacts:
    """The network that was trained."""

    architecture: str  # a name in distill.students
    options: dict[str, Any]  # its arguments
    parameters: int  # trainable numbers
    macs: int  # multiply-accumulates of one picture at input.size, or a text of 100


@dataclass(frozen=True)
class TeacherFacts:
    """Who was learned from."""

    name: str  # a recipe, a pretrained network, a callable
    source: str  # where its weights come from
    sha256: str  # of a recipe's student: of its weights; else of its file or code and, where they
    # are not asked as they stand, of how they are (preparation, columns, `depends`)
    licence: str  # SPDX id, or plain words
    accuracy: Score | None  # measured by us, as the student's; None: the test split has no labels
    labeller: Labeller | None = None  # its file that answered; None: its only one, or not recorded

    def __post_init__(self) -> None:
        check_hex(self.sha256, 64, "sha256")


@dataclass(frozen=True)
class Origin:
    """The file whose n-gram counts words were drawn from."""

    file: str  # its name
    sha256: str
    licence: str  # SPDX id

    def __post_init__(self) -> None:
        check_hex(self.sha256, 64, "sha256")


@dataclass(frozen=True)
class DataFacts:
    """What was learned from."""

    source: str  # as in the recipe
    home: str  # public address, for people; may be empty
    licence: str  # SPDX id, or plain words where there is none
    sha256: str  # of what was read: names, labels, pixels or texts
    train: int  # pictures, or texts, trained on
    validation: int  # of them held out of train: every choice was made on them
    test: int  # read once, by the final measurement
    drawn: int = 0  # of train: single words drawn from n-gram counts behind the teacher
    listed: int = 0  # of train: single words of a list
    counts: Origin | None = None  # of the drawn words; None: not recorded, or there are none
    dropped: dict[str, int] | None = None  # test set -> texts left out, for train's source has them
    doubles: int = 0  # of test: equal in every pixel to one that is trained on, or chosen by
    skipped: int = 0  # of the source: could not be read, and are in none of these numbers
    keep_size: int = 0  # pixels a side at which the teacher saw them; 0: as the student reads them
    labelled: bool = True  # false: the teacher's first answers stand for labels, of test too

    def __post_init__(self) -> None:
        check_hex(self.sha256, 64, "sha256")


@dataclass(frozen=True)
class Variant:
    """One published file and what it scores."""

    file: str  # name in the student's folder
    sha256: str
    size_bytes: int
    accuracy: Score  # by the task's metric, on the test split, last epoch
    agreement_teacher: float | None  # fraction of the test split answered as the teacher does
    agreement_fp32: float | None  # fraction answered as the fp32 file does; None for that file
    ece: float | None  # expected calibration error, 15 bins (Guo et al. 2017), a fraction
    peak_memory_mb: float | None  # peak resident 1e6 bytes of a process that answers once
    also: tuple[Score, ...] = ()  # on other test sets, read once as well

    def __post_init__(self) -> None:
        check_hex(self.sha256, 64, "sha256")
        check_file_name(self.file)
        check(self.size_bytes > 0, f"size_bytes must be positive, not {self.size_bytes}")


@dataclass(frozen=True)
class Spread:
    """Accuracy over training seeds: the published file is the first of them."""

    values: tuple[float, ...]  # on the metric's scale, in the order of the seeds
    mean: float
    std: float  # sample standard deviation (n - 1)


@dataclass(frozen=True)
class Attempt:
    """One rung of the ladder, as `compress.ladder` tried it; scores are on validation."""

    name: str
    settings: dict[str, Any]
    accuracy: float | None  # as a Variant's; None where the attempt was not measured
    agreement: float | None  # fraction answered as the fp32 file does
    drop_points: float | None  # how much worse than the fp32 file, in the unit that is shown
    size_bytes: int | None
    speed_ratio: float | None  # latency over the fp32 file's, interleaved
    speed_ratio_low: float | None
    speed_ratio_high: float | None
    verdict: str  # "pass", "fail", "error"
    reason: str


@dataclass(frozen=True)
class Unknown:
    """When a text's answer is "unknown" instead of the likeliest label; shares of validation."""

    below: float  # probability of the likeliest label under which the answer is "unknown"
    share: float  # fraction of the texts that are answered so
    right: float  # fraction of those whose likeliest label would have been right
    nothing: Nothing | None = None  # None: it was not asked about texts of no language

    def __post_init__(self) -> None:
        for key in ("below", "share", "right"):
            check_fraction(getattr(self, key), key)


@dataclass(frozen=True)
class Nothing:
    """How often texts of no language, made by rule, get an answer that is not "unknown"."""

    texts: int  # how many were asked about
    confident: float  # fraction of them that is answered
    before: float | None = None  # the same of the student that this one took the place of

    def __post_init__(self) -> None:
        if self.texts < 1:
            raise ValueError(f"texts must be at least 1, not {self.texts}")
        for key in ("confident", "before"):
            if (value := getattr(self, key)) is not None:
                check_fraction(value, key)


@dataclass(frozen=True)
class Teaching:
    """What the teacher was asked about, and how its answers and the labels were mixed."""

    of: str  # "all" pieces of text, or "words": of running text only the label is learned
    share: float  # fraction of these that the teacher answered; of the others only the label
    views: int  # that every text was cut into anew, each answered
    ce: float  # weight of the cross-entropy with the label
    kd: float  # weight of the distillation term
    temperature: float

    def __post_init__(self) -> None:
        check_fraction(self.share, "share")


@dataclass(frozen=True)
class Card:
    """Everything that is claimed of one student."""

    format: int  # 1
    name: str
    task: str  # "image-classification", "text-classification"
    summary: str  # one sentence
    licence: str  # SPDX id of the student
    created: str  # ISO date
    code_commit: str  # of this project, when the student was built
    labels: tuple[str, ...]  # of its answers; empty: they have none
    input: Input
    student: StudentFacts
    teacher: TeacherFacts | None  # None: trained on the labels alone
    data: DataFacts
    recipe_sha256: str  # of the resolved recipe
    run_sha256: str  # of run.json
    variants: dict[str, Variant]  # "fp32" always, "int8" where an attempt passed
    seeds: Spread | None
    attempts: tuple[Attempt, ...]
    gates: dict[str, float]  # the thresholds that the attempts had to meet
    latency: tuple[Measurement, ...]
    per_class: dict[str, float] | None = None  # label -> accuracy of the best file, test split
    unknown: Unknown | None = None  # None: there is always an answer
    peers: tuple[Peer, ...] = ()
    teaching: Teaching | None = None  # None: of pictures, or there is no teacher

    def __post_init__(self) -> None:
        check(self.format == 1, f"format must be 1, not {self.format}")
        check_name(self.name)
        for label, accuracy in (self.per_class or {}).items():
            check(label in self.labels, f"per_class names {label!r}, which is not a label")
            check_fraction(accuracy, f"per_class of {label}")
        check("fp32" in self.variants, "variants must hold fp32")
        named = bool(self.labels) or not self.variants["fp32"].accuracy.is_accuracy
        check(named, "labels must not be empty")  # an answer is right or wrong among them
        check_hex(self.recipe_sha256, 64, "recipe_sha256")
        check_hex(self.run_sha256, 64, "run_sha256")

    @property
    def best(self) -> str:
        """The precision to use: int8 where it was published."""
        return "int8" if "int8" in self.variants else "fp32"

    def ranked(self) -> list[tuple[str, float]]:
        """(label, accuracy), the lowest first."""
        return sorted((self.per_class or {}).items(), key=lambda item: (item[1], item[0]))

    def by_use(self) -> list[tuple[str, Variant]]:
        """(precision, variant), the one to use first."""
        return sorted(self.variants.items(), key=lambda item: item[0] != self.best)


@dataclass(frozen=True)
class Bench:
    """What `zoo bench --json` prints: rows, and the very files that were timed."""

    format: int  # 1
    name: str
    files: dict[str, str]  # precision -> sha256
    rows: tuple[Measurement, ...]

    def __post_init__(self) -> None:
        check(self.format == 1, f"format must be 1, not {self.format}")
        for precision, digest in self.files.items():
            check_hex(digest, 64, f"files.{precision}")


def read(path: Path) -> Card:
    """The card in `path`: a card.json, or the folder that holds one."""
    path = path / FILE if path.is_dir() else path
    return reader.read(Card, load_json(path, CardError), CardError)


def read_bench(path: Path) -> Bench | Comparison:
    """The document that `zoo bench NAME --json` printed, or a comparison wrote, into `path`."""
    document = load_json(path, CardError)
    if isinstance(document.data, dict) and "peers" in document.data:
        return reader.read(Comparison, document, CardError)
    return reader.read(Bench, document, CardError)


def to_json(card: Card) -> str:
    """The text of card.json: one field a line, in the order of the dataclass.

    What has a default and holds it is left out, so that a card keeps its bytes when later ones say
    more.
    """
    said = plain.to_dict(card, lambda field, value: value == field.default)
    return json.dumps(said, indent=2, ensure_ascii=False) + "\n"


def merge(card: Card, bench: Bench | Comparison) -> Card:
    """`card` with the rows of `bench`: the same set-up is replaced, a new one appended.

    A comparison takes the place of all that the card had of its data set.
    """
    if isinstance(bench, Comparison):
        files = {precision: v.sha256 for precision, v in card.variants.items()}
        return replace(card, peers=card_peers.merged(card.name, files, card.peers, bench))
    if bench.name != card.name:
        raise CardError(
            f"these rows are of {bench.name!r}, the card is of {card.name!r}",
            hint=f"measure again: zoo bench {card.name} --json",
        )
    for row in bench.rows:
        _check_same_file(card, bench, row)
    return add_measurements(card, bench.rows)


def _check_same_file(card: Card, bench: Bench, row: Measurement) -> None:
    """A row of a published precision must have been timed on the published bytes."""
    precision = row.precision
    if precision not in card.variants:
        if precision.removeprefix("plain-") in card.variants:
            return  # a yardstick, not a published file
        raise CardError(
            f"{card.name} has no {precision} file, but a row was timed on one",
            hint=f"the card knows {', '.join(card.variants)}",
        )
    measured, published = bench.files.get(precision), card.variants[precision].sha256
    if measured != published:
        raise CardError(
            f"the {precision} rows were timed on {str(measured)[:12]}, "
            f"the card's file is {published[:12]}",
            hint=f"pull the published files and measure again: zoo pull {card.name}",
        )


def setup(row: Measurement) -> tuple[str | int | None, ...]:
    """What a card has one row of."""
    where = (row.device, row.device_name, row.precision)
    return (*where, row.batch, row.threads, row.image_size, row.text_length)


def add_measurements(card: Card, rows: Iterable[Measurement]) -> Card:
    """`card` with `rows`: one row for each device, precision, batch, threads and size."""
    latency = {setup(row): row for row in card.latency}
    latency.update({setup(row): row for row in rows})
    return replace(card, latency=tuple(latency.values()))


def read_run(folder: Path) -> dict[str, Any]:
    """run.json of `folder`, empty where there is none."""
    path = folder / RUN
    if not path.is_file():
        return {}
    run = load_json(path, CardError).data
    if not isinstance(run, dict):
        raise CardError(f"{path}: must be a mapping")
    return run
