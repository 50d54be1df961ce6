"""Pictures as the students want them: uint8 RGB arrays, decoded in bounded memory.

What any file becomes: the first frame, turned as its EXIF says; grey, palette, 16-bit and CMYK
converted to RGB; what is transparent laid on white. A side longer than 8 times the model's is
averaged down to 4 times (a box filter; for JPEG as far as possible inside the decoder) before the
graph's own antialiased resize: answers do not move, and a large photo costs no memory.

What cannot be decoded within MAX_DECODE_BYTES is refused by its header, before it is read.
"""

from __future__ import annotations

import contextlib
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from zoo.errors import InputError

MAX_PIXELS = 500_000_000  # of any picture, whatever its format
MAX_DECODE_BYTES = 340_000_000  # of pixels in the decoder at once
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
STRIP_BYTES = 8_000_000  # of pixels that are converted at once

_ROOM = 4  # a shrunk side is this many times the model's
_SHRINK_FROM = 8  # a side of so many times the model's, or more, is shrunk
_WHITE = (255, 255, 255, 255)
_BYTES_A_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "LA": 4}  # else 4
_COPIES = {"WEBP": 4, "AVIF": 3, "JPEG2000": 5, "TIFF": 2}  # that decoders hold, as measured
_TURNS = {  # EXIF 2.32, tag 0x0112
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow raises for a file that is cut or broken.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError, KeyError),
    *(OverflowError, MemoryError, RuntimeError, struct.error, zlib.error),
)


def read(path: str | Path, size: int) -> np.ndarray:
    """Array uint8 (h, w, 3) of a picture file, for a model that resizes to `size` pixels."""
    path = Path(path)
    try:
        with warnings.catch_warnings(action="ignore"), _decoded(path, size) as image:
            return to_array(image, size)
    except InputError as problem:
        raise InputError(f"{path}: {problem}", problem.hint) from None


def to_array(image: Image.Image, size: int) -> np.ndarray:
    """Array uint8 (h, w, 3) of a PIL image, for a model that resizes to `size` pixels."""
    turn = _TURNS.get(_orientation(image))
    if min(image.size) < 1:
        raise InputError(f"a picture of {image.width} x {image.height} pixels has none")
    shrunk = _shrink(image, _goal(image.size, size))
    return np.asarray(shrunk if turn is None else shrunk.transpose(turn))


@contextlib.contextmanager
def _decoded(path: Path, size: int) -> Iterator[Image.Image]:
    """The picture in memory, shrunk as far as its decoder can and a model of `size` allows."""
    try:
        with _opened(path) as image:
            _check_pixels(*image.size)
            full = image.width * image.height
            image.draft(None, _goal(image.size, size))  # type: ignore[arg-type]
            _check_memory(image, full)
            image.load()
            yield image
    except Image.UnidentifiedImageError:
        known = ", ".join(FORMATS)
        raise InputError("not a picture that can be read", f"read are: {known}") from None
    except (FileNotFoundError, IsADirectoryError, PermissionError) as problem:
        raise InputError(f"cannot be opened: {problem.strerror}") from None
    except _BROKEN as problem:
        raise InputError(f"the picture cannot be decoded: {problem}") from None


_open_lock = threading.Lock()


def _opened(path: Path) -> Image.Image:
    """Open by content, only the formats above (EPS, for one, would start another program).

    Pillow's own limit on pixels is a global; it is put aside while the header is read, for
    `_check_pixels` and `_check_memory` know better what a picture costs.
    """
    with _open_lock:
        Image.init()
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=[f for f in FORMATS if f in Image.OPEN])
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _goal(given: tuple[int, int], size: int) -> tuple[int, int]:
    """Width and height to shrink to: each side for itself, as the graph's resize takes it."""
    width, height = (_ROOM * size if side >= _SHRINK_FROM * size else side for side in given)
    return width, height


def _check_pixels(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        limit = f"the limit is {MAX_PIXELS / 1e6:.0f} million"
        raise InputError(f"{width} x {height} pixels; {limit}", "shrink the picture first")


def _check_memory(image: Image.Image, full_pixels: int) -> None:
    """Refuse what the decoder would hold at once; after `draft`, so that JPEG counts as shrunk."""
    need = image.width * image.height * _BYTES_A_PIXEL.get(image.mode, 4)
    need *= _COPIES.get(image.format or "", 1)
    if image.info.get("progressive"):
        need += _coefficient_bytes(image, full_pixels)
    if need > MAX_DECODE_BYTES:
        raise InputError(
            f"{full_pixels / 1e6:.0f} million pixels take {need / 1e6:.0f} MB to decode; "
            f"the limit is {MAX_DECODE_BYTES / 1e6:.0f} MB",
            "shrink the picture first, or save it as a baseline JPEG",
        )


def _coefficient_bytes(image: Image.Image, full_pixels: int) -> int:
    """What libjpeg holds of a progressive file: 16 bits a coefficient, planes as sampled."""
    layers = getattr(image, "layer", [])  # (id, horizontal sampling, vertical sampling, table)
    most = max((h * v for _, h, v, *_ in layers), default=1)
    return sum(2 * full_pixels * h * v // most for _, h, v, *_ in layers)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(0x0112, 1)
    except _BROKEN:  # a broken EXIF block does not make a broken picture
        return 1


def _shrink(image: Image.Image, goal: tuple[int, int]) -> Image.Image:
    """RGB picture of the size `goal`, made strip by strip: only a strip is ever converted."""
    image.load()
    if image.size == goal:
        return _rgb(image)
    width, height = goal
    shrunk = Image.new("RGB", goal)
    scale = image.height / height
    rows = max(1, int(STRIP_BYTES / (4 * image.width * scale)))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        first, last = int(top * scale), min(image.height, int(np.ceil(bottom * scale)))
        strip = _rgb(image.crop((0, first, image.width, last)))
        box = (0, top * scale - first, image.width, min(bottom * scale, image.height) - first)
        part = strip.resize((width, bottom - top), Image.Resampling.BOX, box=box)
        shrunk.paste(part, (0, top))
    return shrunk


def _rgb(image: Image.Image) -> Image.Image:
    """The picture in RGB: 16 bits cut to 8, what is transparent laid on white."""
    if image.mode.startswith("I"):
        wide = np.clip(np.asarray(image), 0, 65535)
        return Image.fromarray((wide >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("F", "LAB"):
        raise InputError(
            f'a picture of mode "{image.mode}" has no known range of values',
            "save it as 8-bit RGB first",
        )
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, _WHITE), rgba).convert("RGB")
    return image.convert("RGB")
