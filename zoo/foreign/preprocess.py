"""How a picture becomes what a file reads: options, presets, or what stands beside the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import InputError

if TYPE_CHECKING:
    import numpy as np

CONVNEXT = 384  # its processor crops what is smaller, by crop_pct
LEAST, MOST = 0.01, 256.0  # that black and white may be apart after mean and std
BESIDE = ("preprocessor_config.json", "config.json")  # transformers' and timm's
COLORS = ("RGB", "BGR", "gray")
HINT = (
    "give --preset, or --mean and --std (and --range 255 where white is 255), "
    "or put preprocessor_config.json beside the file"
)


@dataclass(frozen=True)
class Preprocess:
    """`(pixel / 255 * white - mean) / std`, a channel each, of a picture of `size`."""

    mean: tuple[float, ...] = (0.0,)  # one for each channel, or one for all
    std: tuple[float, ...] = (1.0,)
    white: float = 1.0  # what a white pixel is before mean and std: 1 or 255
    color: str = "RGB"  # the order of the channels, or gray
    size: tuple[int, int] | None = None  # (height, width); None: the file's own
    crop: float | None = None  # side of the square that is read, of the shorter side; None: all

    def __post_init__(self) -> None:
        if self.color not in COLORS:
            raise InputError(f"color {self.color!r} is not known", f"it is {', '.join(COLORS)}")
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) not in (1, self.channels):
                raise InputError(
                    f"{name} has {len(numbers)} numbers",
                    f"give one, or {self.channels}: one for each channel",
                )
        if not all(abs(number) < 1e6 for number in self.mean):
            raise InputError(f"mean {self.mean} is not a sane number", HINT)
        if not all(1e-6 < number < 1e6 for number in self.std):
            raise InputError(f"std must be above 0, not {self.std}", HINT)
        if not 0 < self.white < 1e6:
            raise InputError(f"range must be above 0, not {self.white}", HINT)
        self._check_together()
        if self.size is not None and not all(0 < side <= 8192 for side in self.size):
            raise InputError(f"size must be 1 to 8192 pixels, not {self.size}")
        if self.crop is not None and not 0 < self.crop <= 1:
            raise InputError(f"crop is a share of the shorter side, 0 to 1, not {self.crop}")

    def _check_together(self) -> None:
        """Numbers of which each may be, and that together are of two ranges: 0 to 1, 0 to 255."""
        if max(self.mean) > self.white:
            raise InputError(
                f"mean {self.mean} is brighter than white, which is {self.white:g}",
                "give --range 255 where the mean is of 0 to 255",
            )
        spans = [self.white / number for number in self.std]
        if max(spans) > MOST or min(spans) < LEAST:
            raise InputError(
                f"std {self.std} does not go with white at {self.white:g}: black and white would "
                f"be {max(spans) if max(spans) > MOST else min(spans):.3g} apart",
                "give --range 255 where std is of 0 to 255, and none where it is of 0 to 1",
            )

    @property
    def channels(self) -> int:
        return 1 if self.color == "gray" else 3

    @property
    def scale(self) -> tuple[float, ...]:
        """What a level of 255 is worth, for each channel."""
        return tuple(self.white / 255 / s for s in self._each(self.std))

    @property
    def shift(self) -> tuple[float, ...]:
        """What a black pixel becomes, for each channel."""
        pairs = zip(self._each(self.mean), self._each(self.std), strict=True)
        return tuple(-mean / std for mean, std in pairs)

    def _each(self, numbers: tuple[float, ...]) -> tuple[float, ...]:
        return numbers * self.channels if len(numbers) == 1 else numbers

    def values(self, picture: np.ndarray) -> np.ndarray:
        """float32 (h, w, channels) of bytes (h, w, channels) in the file's own color."""
        import numpy as np

        scale, shift = (np.array(each, np.float32) for each in (self.scale, self.shift))
        return picture.astype(np.float32) * scale + shift


PRESETS = {
    "imagenet": Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "inception": Preprocess(mean=(0.5,), std=(0.5,)),  # -1 to 1; TensorFlow's, Keras' "tf"
    "clip": Preprocess(
        mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711)
    ),
    "lite": Preprocess(mean=(127 / 255,), std=(128 / 255,)),  # EfficientNet-Lite
    "studentzoo": Preprocess(mean=(128 / 255,), std=(64 / 255,)),
    "caffe": Preprocess(mean=(103.939, 116.779, 123.68), white=255.0, color="BGR"),
    "unit": Preprocess(),  # 0 to 1
    "bytes": Preprocess(white=255.0),  # 0 to 255
}


def beside(path: Path) -> tuple[Preprocess, Path] | None:
    """What a file beside the model at `path` says of its pictures, and which file that is."""
    for name in BESIDE:
        file = path.parent / name
        if file.is_file() and (found := _from_config(_json(file), file)) is not None:
            return found, file
    return None


def _json(file: Path) -> Mapping[str, Any]:
    try:
        if file.stat().st_size > 10_000_000:
            raise InputError(f"{file} is larger than any such file", HINT)
        read = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise InputError(f"{file} cannot be read: {problem}", HINT) from None
    if not isinstance(read, dict):
        raise InputError(f"{file} holds no settings", HINT)
    return read


def _from_config(config: Mapping[str, Any], file: Path) -> Preprocess | None:
    """transformers' keys, or timm's; None where the file is about something else."""
    timm = config.get("pretrained_cfg", config)
    try:
        if not {"image_mean", "do_normalize", "do_rescale", "rescale_factor"}.isdisjoint(config):
            return _transformers(config)
        if isinstance(timm, dict) and "mean" in timm and "std" in timm:
            return _timm(timm)
    except (TypeError, ValueError, KeyError, IndexError) as problem:
        raise InputError(f"{file}: its settings cannot be read: {problem!r}", HINT) from None
    return None


def _transformers(config: Mapping[str, Any]) -> Preprocess:
    white = 255 * float(config.get("rescale_factor", 1 / 255))
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    if config.get("do_normalize", "image_mean" in config):
        mean, std = _numbers(config["image_mean"]), _numbers(config["image_std"])
    white = white if config.get("do_rescale", True) else 255.0
    if config.get("do_rescale", True) and config.get("rescale_offset"):
        mean = tuple(number + 1 for number in mean)  # of 0 to 2, that is, less 1
    color = "BGR" if config.get("do_flip_channel_order") else "RGB"
    size, crop = config.get("size"), None
    if config.get("do_center_crop") and "crop_size" in config:
        wanted = _sides(config["crop_size"])
        if isinstance(size, dict) and "shortest_edge" in size:
            size = size["shortest_edge"]
        crop = min(1.0, min(wanted) / min(_sides(size))) if size is not None else 1.0
        return Preprocess(mean, std, white, color, wanted, crop)
    sides = None if size is None else _sides(size)
    if config.get("crop_pct") and sides is not None and min(sides) < CONVNEXT:
        crop = min(1.0, float(config["crop_pct"]))
    return Preprocess(mean, std, white, color, sides, crop)


def _timm(config: Mapping[str, Any]) -> Preprocess:
    _, height, width = (int(side) for side in config["input_size"])
    crop = float(config.get("crop_pct") or 1.0)
    mean, std = _numbers(config["mean"]), _numbers(config["std"])
    return Preprocess(mean, std, size=(height, width), crop=min(crop, 1.0))


def _numbers(given: Any) -> tuple[float, ...]:
    return tuple(float(n) for n in (given if isinstance(given, list) else [given]))


def _sides(given: Any) -> tuple[int, int]:
    """(height, width) of 224, {"height": 224, "width": 224} or {"shortest_edge": 224}."""
    if isinstance(given, dict):
        if "height" in given:
            return int(given["height"]), int(given["width"])
        given = given["shortest_edge"]
    return int(given), int(given)


@dataclass(frozen=True)
class Asked:
    """What the user said of the pictures; None: nothing."""

    preset: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    white: float | None = None
    color: str | None = None
    size: tuple[int, int] | None = None
    crop: float | None = None


def settled(asked: Asked, path: Path, needed: bool) -> tuple[Preprocess, str]:
    """What holds, and where it is from: options over a preset over what stands beside the file.

    `needed`: the file reads floats, so that something must say how they are made.
    """
    base, source = Preprocess(white=255.0), "the file reads bytes"
    if asked.preset is not None:
        if asked.preset not in PRESETS:
            raise InputError(f"no preset {asked.preset!r}", f"there are {', '.join(PRESETS)}")
        base, source = PRESETS[asked.preset], f"preset {asked.preset}"
    elif asked.mean is not None or asked.std is not None or asked.white is not None:
        base, source = Preprocess(), "options"
    elif (found := beside(path)) is not None:
        base, source = found[0], found[1].name
    elif needed:
        raise InputError(f"{path}: how its pictures are normalised is not known", HINT)
    given = {
        name: value for name, value in vars(asked).items() if name != "preset" and value is not None
    }
    return replace(base, **given), source
