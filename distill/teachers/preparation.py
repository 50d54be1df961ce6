"""How pictures become what a network reads: size, range, mean, deviation, axes, order of colours.

    prepare = resolve(settings, file, beside)       # DistillError where something is not known
    prepare(pictures)                               # uint8 (n, h, w, 3) -> as the file reads them

Pillow resizes 8-bit pictures, as torchvision, timm and Hugging Face's processors have it done.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
from PIL import Image

from distill.config import TeacherInput
from distill.errors import DistillError

_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_CLIP = TeacherInput(range=1, mean=_CLIP_MEAN, std=_CLIP_STD, resize="bicubic")
_RAW = TeacherInput(range=255)
PRESETS = {
    "imagenet": TeacherInput(range=1, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "inception": TeacherInput(range=1, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    "clip": _CLIP,
    "openai": _CLIP,
    "none": _RAW,
    "raw": _RAW,
}
USUAL = {  # what is tried where a teacher knows little, as a recipe says it
    "{preset: imagenet}": TeacherInput(preset="imagenet"),
    "{preset: inception}": TeacherInput(preset="inception"),
    "{preset: clip}": TeacherInput(preset="clip"),
    "{range: 1}": TeacherInput(range=1),
    "{preset: none}": TeacherInput(preset="none"),
    "{preset: imagenet, color: bgr}": TeacherInput(preset="imagenet", color="bgr"),
    "{preset: inception, color: bgr}": TeacherInput(preset="inception", color="bgr"),
    "{range: 1, color: bgr}": TeacherInput(range=1, color="bgr"),
    "{preset: none, color: bgr}": TeacherInput(preset="none", color="bgr"),
    "{range: 255, mean: [103.939, 116.779, 123.68], color: bgr}": TeacherInput(
        range=255, mean=(103.939, 116.779, 123.68), color="bgr"
    ),
}
_VALUES = ("range", "mean", "std")
BYTES = "tensor(uint8)"  # a file that reads them prepares by itself
NUMBERS = {
    BYTES: "uint8",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
}


class Reads(NamedTuple):
    """What an ONNX file says of its one input."""

    path: str  # for messages
    kind: str  # as onnxruntime names it
    shape: list[int | str | None]  # what is no number is free


@dataclass(frozen=True)
class Preparation:
    """Pictures uint8 (n, h, w, 3), RGB -> what a file reads, of numbers `kind`."""

    kind: str  # uint8, float16, float32 or float64
    layout: str  # NCHW or NHWC
    sides: tuple[int, int]  # height and width in pixels; 0: as the pictures come
    resize: str
    crop: float  # side of the middle that is read, of the whole; 1: all
    range: int  # numbers before mean and std are 0 to this
    mean: tuple[float, ...]  # of channels in the order of `color`; empty: 0
    std: tuple[float, ...]  # empty: 1
    color: str  # rgb or bgr

    def plain(self, side: int) -> bool:
        """Whether pictures of `side` pixels are read as they are handed in."""
        whole = self.sides in ((0, 0), (side, side)) and self.crop == 1
        return whole and (self.kind, self.layout, self.color) == ("uint8", "NHWC", "rgb")

    @property
    def said(self) -> str:
        """It, for people."""
        sides = " x ".join(map(str, self.sides)) if any(self.sides) else "all"
        part = f", the middle {self.crop:.3f} of each side" if self.crop < 1 else ""
        numbers = "" if self.kind == "uint8" else f" from 0 to {self.range}"
        for word, values in (("less", self.mean), ("over", self.std)):
            numbers += f" {word} {', '.join(f'{v:.4g}' for v in values)}" if values else ""
        return (
            f"{sides} pixels ({self.resize}{part}), {self.kind} {self.layout} {self.color}{numbers}"
        )

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """(n, h', w', 3), or (n, 3, h', w') where the layout is NCHW."""
        found = self._sized(images)
        if self.color == "bgr":
            found = found[..., ::-1]
        if self.kind != "uint8":
            found = self._scaled(found).astype(self.kind, copy=False)
        if self.layout == "NCHW":
            found = found.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(found)

    def _sized(self, images: np.ndarray) -> np.ndarray:
        """Resized whole, so that the middle that is cut out of it has the wanted sides."""
        given = images.shape[1:3]
        height, width = (own or side for own, side in zip(self.sides, given, strict=True))
        whole = (round(height / self.crop), round(width / self.crop))
        if len(images) and given != whole:
            how = Image.Resampling[self.resize.upper()]
            resized = (Image.fromarray(one).resize(whole[::-1], how) for one in images)
            images = np.stack([np.asarray(one) for one in resized])
        top, left = (whole[0] - height) // 2, (whole[1] - width) // 2
        return images[:, top : top + height, left : left + width]

    def _scaled(self, images: np.ndarray) -> np.ndarray:
        """Normalised: float32 (n, h, w, 3)."""
        std = np.array(self.std or (1.0,), np.float32)
        scale = np.float32(self.range / 255) / std
        shift = np.array(self.mean or (0.0,), np.float32) / std
        return images.astype(np.float32) * scale - shift


def resolve(
    settings: TeacherInput | None, file: Reads, beside: TeacherInput | None = None
) -> Preparation:
    """How a file's pictures are prepared; what the recipe says goes before what lies beside it.

    `DistillError` where neither they nor the file itself say something that it takes to know.
    """
    said, kind = settings or TeacherInput(), _kind(file)
    beside = beside or TeacherInput()
    layout = _layout(file, said.layout)
    sides = _sides(file, layout, said.size, beside.size)
    found = _filled(_with_preset(said), beside)
    if kind == "uint8":
        _check_bytes(found, file)
    elif not found.numbers:
        raise DistillError(
            f"the teacher {file.path} reads {kind}, and nothing says in which range",
            "teacher.input: {preset: imagenet} (or inception, clip, none: 0 to 255; {range: 1}: "
            "0 to 1), or put the preprocessor_config.json of its publisher beside it",
        )
    return Preparation(
        kind,
        layout,
        sides,
        found.resize or "bilinear",
        found.crop or 1.0,
        found.range or 1,
        found.mean,
        found.std,
        found.color or "rgb",
    )


def others(prepare: Preparation) -> dict[str, Preparation]:
    """The usual ways to prepare pictures for the same file, but for its own; none of bytes."""
    if prepare.kind == "uint8":
        return {}
    found = {}
    for name, said in USUAL.items():
        one = _with_preset(said)
        values = {key: getattr(one, key) for key in _VALUES}
        other = replace(prepare, **values | {"color": one.color or "rgb"})
        if other != prepare:
            found[name] = other
    return found


def _with_preset(said: TeacherInput) -> TeacherInput:
    """What is said, and what its preset says beside it."""
    return _filled(said, PRESETS[said.preset]) if said.preset else said


def _filled(said: TeacherInput, other: TeacherInput) -> TeacherInput:
    """What is left out is the other's; but range, mean, std and color belong together."""
    own = {f.name: getattr(said, f.name) for f in fields(TeacherInput) if getattr(said, f.name)}
    whose = {f.name: getattr(other, f.name) for f in fields(TeacherInput)}
    if any(key in own for key in _VALUES):
        whose |= {"range": 0, "mean": (), "std": (), "color": ""}
    elif said.color and said.color != (other.color or "rgb"):  # its numbers belong to colours
        whose |= {"mean": other.mean[::-1], "std": other.std[::-1]}
    return TeacherInput(**whose | own | {"preset": ""})


def _kind(file: Reads) -> str:
    if file.kind not in NUMBERS or len(file.shape) != 4:
        raise DistillError(
            f"the teacher {file.path} takes {file.kind} {file.shape}, which is not a picture",
            f"its input must be {', '.join(NUMBERS.values())} of 4 axes: NCHW or NHWC",
        )
    return NUMBERS[file.kind]


def _layout(file: Reads, said: str) -> str:
    """NCHW or NHWC; all free: of bytes, as files here have it, NHWC."""
    first, last = (file.shape[place] == 3 for place in (1, 3))
    fits = {"NCHW": first or _free(file.shape[1]), "NHWC": last or _free(file.shape[3])}
    if said and fits[said]:
        return said
    if said or not any(fits.values()):
        raise DistillError(
            f"the teacher {file.path} takes {file.kind} {file.shape}: "
            f"{f'no {said}' if said else 'no axis'} of 3 colours",
            "a teacher reads colours: its input is (n, 3, h, w) or (n, h, w, 3)",
        )
    if first != last:
        return "NCHW" if first else "NHWC"
    if sum(fits.values()) == 1:
        return next(layout for layout, fit in fits.items() if fit)
    if file.kind == BYTES and not first:
        return "NHWC"
    raise DistillError(
        f"the teacher {file.path} takes {file.kind} {file.shape}, NCHW or NHWC alike",
        "say which: teacher.input.layout: NCHW, or NHWC",
    )


def _sides(file: Reads, layout: str, said: int, beside: int) -> tuple[int, int]:
    """Height and width: the file's own, else what is said; 0: any."""
    places = (2, 3) if layout == "NCHW" else (1, 2)
    own = [file.shape[place] for place in places]
    if any(not _free(side) and said not in (0, side) for side in own):
        raise DistillError(
            f"the teacher {file.path} reads {own[0]} x {own[1]} pixels, and is to read {said}",
            "leave teacher.input.size out",
        )
    height, width = (said or beside if _free(side) else side for side in own)
    return int(height), int(width)  # type: ignore[arg-type]


def _check_bytes(said: TeacherInput, file: Reads) -> None:
    if said.mean or said.std or said.range == 1:
        raise DistillError(
            f"the teacher {file.path} reads uint8: it can't be given numbers that are normalised",
            "leave range, mean, std and presets but `none` out of teacher.input",
        )


def _free(side: int | str | None) -> bool:
    return not isinstance(side, int) or side <= 0
