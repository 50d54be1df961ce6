"""What the publisher of an ONNX file put beside it: how it wants its pictures, whose names it has.

`preprocessor_config.json` is Hugging Face's, a `config.json` with `pretrained_cfg` is timm's; both
also stand a folder up, where the file lies in one called `onnx`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill.config import TeacherInput
from distill.errors import DistillError
from distill.files import open_plain

_RESAMPLE = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # Pillow's numbers
_LARGEST = 10_000_000  # bytes of such a file


def find(path: Path) -> tuple[TeacherInput | None, str]:
    """What lies beside the file `path`, and the name of where that stands; None, "": nothing."""
    for folder in _folders(path):
        for name, read in (("preprocessor_config.json", _processor), ("config.json", _timm)):
            if not (folder / name).is_file():
                continue
            found = _told(folder / name, read)
            if found is not None:
                return found, name
    return None, ""


def load(path: Path) -> Any:
    """JSON; `DistillError` where it cannot be read."""
    try:
        with open_plain(path) as file:
            return json.loads(file.read(_LARGEST))
    except (OSError, ValueError, RecursionError) as error:
        raise DistillError(f"{path} cannot be read: {error}") from error


def _folders(path: Path) -> list[Path]:
    folder = path.absolute().parent
    return [folder, folder.parent] if folder.name == "onnx" else [folder]


def _told(path: Path, read: Any) -> TeacherInput | None:
    facts = load(path)
    try:
        return read(facts) if isinstance(facts, Mapping) else None
    except (TypeError, ValueError, LookupError, ArithmeticError) as error:
        raise DistillError(
            f"{path} says in an unknown way how the teacher wants its pictures: {error}",
            "say it in the recipe: teacher.input: {preset: ...}, or range, mean and std",
        ) from error


def _processor(facts: Mapping[str, Any]) -> TeacherInput | None:
    """Hugging Face: values are x * factor, less 1 with rescale_offset, then (x - mean) / std."""
    known = ("image_mean", "do_normalize", "do_rescale", "rescale_factor", "size")
    if not any(key in facts for key in known):
        return None  # of another kind of model
    factor = float(facts.get("rescale_factor", 1 / 255)) if facts.get("do_rescale", True) else 1.0
    offset = 1.0 if facts.get("rescale_offset") else 0.0
    normal = facts.get("do_normalize", "image_mean" in facts)
    mean, std = (_three(facts[key]) if normal else None for key in ("image_mean", "image_std"))
    top = 255 * factor
    size, crop = _size(facts)
    return TeacherInput(
        range=1,
        mean=tuple((m + offset) / top for m in mean or (0.0,) * 3),
        std=tuple(s / top for s in std or (1.0,) * 3),
        size=size,
        crop=crop,
        resize=_RESAMPLE[facts.get("resample", 2)],  # type: ignore[arg-type]
        color="bgr" if facts.get("do_flip_channel_order") else "rgb",
    )


def _size(facts: Mapping[str, Any]) -> tuple[int, float]:
    """Pixels a side that are read, and their share of the resized side."""
    resized = _side(facts.get("size", 0)) if facts.get("do_resize", True) else 0
    if facts.get("do_center_crop") and facts.get("crop_size"):
        size = _side(facts["crop_size"])
        return size, size / resized if resized > size else 1.0
    share = float(facts.get("crop_pct") or 1.0)
    return resized, share if resized < 384 else 1.0  # ConvNeXT's: larger ones are not cropped


def _side(said: Any) -> int:
    if isinstance(said, Mapping):
        found = [said[k] for k in ("shortest_edge", "height", "longest_edge") if k in said]
        return int(found[0])
    return int(said[0] if isinstance(said, list) else said)


def _timm(facts: Mapping[str, Any]) -> TeacherInput | None:
    """timm: `pretrained_cfg`; values are 0 to 1, then (x - mean) / std."""
    told = facts.get("pretrained_cfg")
    if not isinstance(told, Mapping):
        return None  # transformers' config.json says nothing of pictures
    how = told.get("interpolation", "bicubic")
    return TeacherInput(
        range=1,
        mean=_three(told["mean"]),
        std=_three(told["std"]),
        size=int(told["input_size"][1]),
        crop=float(told.get("crop_pct") or 1.0),
        resize=how if how in _RESAMPLE else "bilinear",
    )


def _three(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
