"""The one reader of pictures, for training and for running: files to RGB, in bounded memory.

What any picture becomes: the first frame, turned as its EXIF says; grey, palette, 16-bit and CMYK
converted to RGB; what is transparent laid on white. `square` is what a student sees of it; its two
passes of a bilinear, antialiased resize are those of the students' graphs, so a picture squared
here and one that the graph squares give the same answer.

What cannot be decoded within MAX_DECODE_BYTES is refused by its header, before it is read; only a
JPEG beyond that is decoded at a half, a quarter or an eighth of its sides, where that is enough.
Every error is a `DistillError` that does not know the picture's name.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from distill.errors import DistillError
from distill.files import open_plain

MAX_PIXELS = 500_000_000  # of any picture, whatever its format
MAX_DECODE_BYTES = 340_000_000  # of pixels in the decoder at once
WHOLE_PIXELS = 16_000_000  # a picture of more is squared here and not in a graph
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
STRIP_BYTES = 8_000_000  # of pixels that are converted at once

_WHITE = (255, 255, 255, 255)
_BYTES_A_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "LA": 4}  # else 4
_COPIES = {"WEBP": 4, "AVIF": 3, "JPEG2000": 5, "TIFF": 2}  # that decoders hold, as measured
_ROOM = 8  # a side too long for any resize is first averaged to so many times the wanted one


class _Turn(NamedTuple):
    """How a picture is set upright."""

    how: Image.Transpose | None
    sideways: bool  # its rows become columns
    backwards: bool  # what is first in the file becomes the last row


_UPRIGHT = _Turn(None, False, False)
_TURNS = {  # EXIF 2.32, tag 0x0112
    2: _Turn(Image.Transpose.FLIP_LEFT_RIGHT, False, False),
    3: _Turn(Image.Transpose.ROTATE_180, False, True),
    4: _Turn(Image.Transpose.FLIP_TOP_BOTTOM, False, True),
    5: _Turn(Image.Transpose.TRANSPOSE, True, False),
    6: _Turn(Image.Transpose.ROTATE_270, True, False),
    7: _Turn(Image.Transpose.TRANSVERSE, True, True),
    8: _Turn(Image.Transpose.ROTATE_90, True, True),
}
# What Pillow raises for a file that is cut or broken.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError, KeyError),
    *(OverflowError, MemoryError, RuntimeError, AttributeError, struct.error, zlib.error),
)

File = str | Path | bytes | BinaryIO
"""A path, what stands in a file, or a file that is open"""


@contextlib.contextmanager
def decoded(file: File) -> Iterator[Image.Image]:
    """The picture of a file, in memory; Pillow's warnings are the caller's to silence."""
    with contextlib.ExitStack() as stack:
        with _explained():
            image = stack.enter_context(_opened(_stream(file, stack)))
            _limit(image)
            image.load()
        yield image


def pixels(image: Image.Image | np.ndarray, size: int) -> np.ndarray:
    """uint8 (h, w, 3), upright, for a graph that resizes to `size` pixels.

    Of a picture that is too large to go through one: uint8 (size, size, 3), as by `square`. An
    array, uint8 (h, w, 3), comes back as it is unless it is too large.
    """
    strips = _strips(image)
    if not strips.fit(size):
        return np.asarray(_squared(strips, size))
    if isinstance(image, np.ndarray):
        return image
    found = np.empty((strips.height, strips.width, 3), np.uint8)
    for top, part in strips:
        found[top : top + part.height] = np.asarray(part)
    return found


def sides(image: Image.Image) -> tuple[int, int]:
    """(width, height), upright."""
    strips = _strips(image)
    return strips.width, strips.height


def square(image: Image.Image | np.ndarray, size: int) -> Image.Image:
    """RGB of size x size pixels, upright; bilinear, with antialiasing when it shrinks.

    The whole picture is kept: its aspect ratio is not. An array is uint8 (h, w) or (h, w, 3).
    """
    if isinstance(image, np.ndarray) and image.ndim == 2:
        image = Image.fromarray(image)
    return _squared(_strips(image), size)


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to 8-bit RGB: 16 bits cut to 8, what is transparent laid on white."""
    if image.mode.startswith("I"):
        wide = np.clip(np.asarray(image), 0, 65535)
        return Image.fromarray((wide >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("F", "LAB"):
        raise DistillError(
            f'a picture of mode "{image.mode}" has no known range of values',
            "save it as 8-bit RGB first",
        )
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, _WHITE), rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


# --- opening -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """What Pillow and the system raise, as one error."""
    try:
        yield
    except Image.UnidentifiedImageError:
        known = ", ".join(FORMATS)
        raise DistillError("not a picture that can be read", f"read are: {known}") from None
    except _BROKEN as problem:
        if isinstance(problem, OSError) and problem.filename is not None:
            raise DistillError(f"cannot be opened: {problem.strerror}") from None
        raise DistillError(f"the picture cannot be decoded: {problem}") from None


def _stream(file: File, stack: contextlib.ExitStack) -> BinaryIO:
    """Something to go to and fro in; a file of ours is closed by `stack`."""
    if isinstance(file, bytes | bytearray | memoryview):
        stream: BinaryIO = io.BytesIO(file)
    elif isinstance(file, str | Path):
        stream = stack.enter_context(open_plain(file))
    else:
        stream = file
    start = stream.read(1)
    if isinstance(start, str):
        raise DistillError("it is open as text, not as bytes", 'open it with mode "rb"')
    if _seekable(stream):
        stream.seek(0)
        start = start or stream.read(1)  # whoever handed it over may have read it to its end
        stream.seek(0)
    else:  # a pipe: as much as may be decoded
        stream = io.BytesIO(start + stream.read(MAX_DECODE_BYTES))
    if not start:
        raise DistillError("it is empty, 0 bytes")
    return stream


def _seekable(stream: BinaryIO) -> bool:
    try:
        return stream.seekable()
    except AttributeError:  # what has nothing but `read`
        return False


_open_lock = threading.Lock()


def _opened(file: BinaryIO) -> Image.Image:
    """Open by content, only the formats above (EPS, for one, would start another program).

    Pillow's own limit on pixels is a global; it is put aside while the header is read, for
    `_check_pixels` and `_check_memory` know better what a picture costs.
    """
    with _open_lock:
        Image.init()
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=[f for f in FORMATS if f in Image.OPEN])
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _limit(image: Image.Image) -> None:
    """Refuse what the decoder could not hold; let a JPEG's halve it, once or more, where it must.

    By the header alone.
    """
    width, height = image.size
    _check_pixels(width, height)
    halves = (1, 2, 4, 8) if image.format in ("JPEG", "MPO") else (1,)
    for times in halves:
        size = (max(1, width // times), max(1, height // times))
        need = _need_bytes(image, size, width * height)
        if need <= MAX_DECODE_BYTES:
            if times > 1:
                image.draft(None, size)  # type: ignore[arg-type]
            return
    raise DistillError(
        f"{width * height / 1e6:.0f} million pixels take {need / 1e6:.0f} MB to decode; "
        f"the limit is {MAX_DECODE_BYTES / 1e6:.0f} MB",
        "shrink the picture first, or save it as a baseline JPEG",
    )


def _check_pixels(width: int, height: int) -> None:
    if min(width, height) < 1:
        raise DistillError(f"a picture of {width} x {height} pixels has none")
    if width * height > MAX_PIXELS:
        limit = f"the limit is {MAX_PIXELS / 1e6:.0f} million"
        raise DistillError(f"{width} x {height} pixels; {limit}", "shrink the picture first")


def _need_bytes(image: Image.Image, size: tuple[int, int], full_pixels: int) -> int:
    """What the decoder holds at once of a picture of full_pixels that it decodes at `size`."""
    need = size[0] * size[1] * _BYTES_A_PIXEL.get(image.mode, 4)
    need *= _COPIES.get(image.format or "", 1)
    if image.info.get("progressive"):
        need += _coefficient_bytes(image, full_pixels)
    return need


def _coefficient_bytes(image: Image.Image, full_pixels: int) -> int:
    """What libjpeg holds of a progressive file: 16 bits a coefficient, planes as sampled."""
    layers = getattr(image, "layer", [])  # (id, horizontal sampling, vertical sampling, table)
    most = max((h * v for _, h, v, *_ in layers), default=1)
    return sum(2 * full_pixels * h * v // most for _, h, v, *_ in layers)


# --- upright, in RGB, strip by strip -------------------------------------------------------------


@dataclass(frozen=True)
class _Strips:
    """A picture, upright, of which only some rows are converted at once."""

    width: int
    height: int
    rows: Callable[[int, int], Image.Image]  # from and to -> these, in RGB

    def __iter__(self) -> Iterator[tuple[int, Image.Image]]:
        """First row, and the strip."""
        step = max(1, STRIP_BYTES // (4 * self.width))
        for top in range(0, self.height, step):
            yield top, self.rows(top, min(top + step, self.height))

    def fit(self, size: int) -> bool:
        """Whether it, and it at `size` columns, are small enough to be held whole."""
        return max(self.width, size) * self.height <= WHOLE_PIXELS


def _strips(image: Image.Image | np.ndarray) -> _Strips:
    if isinstance(image, np.ndarray):
        array = image
        height, width = array.shape[:2]
        return _Strips(width, height, lambda first, last: Image.fromarray(array[first:last]))
    with _explained():
        image.load()
    _check_pixels(*image.size)
    turn = _TURNS.get(_orientation(image), _UPRIGHT)
    width, height = image.size[::-1] if turn.sideways else image.size
    return _Strips(width, height, lambda first, last: _part(image, turn, height, first, last))


def _part(image: Image.Image, turn: _Turn, height: int, first: int, last: int) -> Image.Image:
    """Rows of the upright picture, which is `height` high, in RGB."""
    start, end = (height - last, height - first) if turn.backwards else (first, last)
    box = (start, 0, end, image.height) if turn.sideways else (0, start, image.width, end)
    with _explained():
        part = to_rgb(image if last - first == height else image.crop(box))
    return part if turn.how is None else part.transpose(turn.how)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(0x0112, 1)
    except _BROKEN:  # a broken EXIF block does not make a broken picture
        return 1


def _squared(strips: _Strips, size: int) -> Image.Image:
    """size x size: the rows are resized first, strip by strip, and then the columns.

    In this order on every version of Pillow, and in graphs: 13 would begin with the columns of what
    is tall, which moves some pixels by one level.
    """
    if size * strips.height > WHOLE_PIXELS:
        strips = _strips(np.asarray(_lowered(strips, _ROOM * size)))
    if (strips.width, strips.height) == (size, size):
        return strips.rows(0, size)
    narrow = Image.new("RGB", (size, strips.height))
    for top, part in strips:
        narrow.paste(part.resize((size, part.height), Image.Resampling.BILINEAR), (0, top))
    return narrow.resize((size, size), Image.Resampling.BILINEAR)


def _lowered(strips: _Strips, height: int) -> Image.Image:
    """Averaged to `height` rows, for a picture like a thread: its resize would take gigabytes."""
    found = Image.new("RGB", (strips.width, height))
    edges = [strips.height * row // height for row in range(height + 1)]
    for row, (first, last) in enumerate(itertools.pairwise(edges)):
        line = strips.rows(first, last).resize((strips.width, 1), Image.Resampling.BOX)
        found.paste(line, (0, row))
    return found
