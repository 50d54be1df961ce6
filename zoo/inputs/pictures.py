"""Pictures as they are handed in: paths, folders, PIL images and arrays; many at a time."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from zoo.errors import InputError, NothingGiven
from zoo.inputs.asked import Asked, Form
from zoo.inputs.lines import STDIN

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    Picture = str | os.PathLike[str] | Image | np.ndarray | bytes | BinaryIO

T = TypeVar("T")
MAX_BATCH_PIXELS = 16_000_000  # of the pictures that go through the network together
MAX_BATCH = 256


def found(paths: Iterable[Path]) -> list[Path]:
    """Files as given, - too, and the pictures (by their suffix) below each folder, sorted.

    What training passes over in a folder is passed over here too.
    """
    files: list[Path] = []
    for path in paths:
        files += _below(path) if str(path) != STDIN and path.is_dir() else [path]
    return files


def _below(folder: Path) -> list[Path]:
    from distill import names
    from distill.files import below

    try:
        there = [path for _, path in below(folder, names.ignored)]
    except OSError as problem:
        raise InputError(f"{folder}: cannot be listed: {problem}") from None
    files = sorted(path for path in there if names.is_picture(path.name) and path.is_file())
    if not files:
        known = " ".join(sorted(names.SUFFIXES))
        raise InputError(f"{folder}: no pictures in it", f"known are {known}")
    return files


# --- what `zoo run` does with them ---------------------------------------------------------------


def listed(asked: Asked) -> list[Path]:
    """The files of a call."""
    if not asked.files:
        raise NothingGiven("give pictures, or folders of them; - is standard input")
    return found(asked.files)


def told(
    answer: Callable[[list[Any]], Iterable[Any]], form: Form, files: Sequence[Path], asked: Asked
) -> Iterator[str | InputError]:
    """What `form` makes of each picture's answer, or what is wrong with it; in order.

    A broken picture stops no other, but is an InputError in the end; of a single one at once.
    """
    failed: list[InputError] = []
    yield from form.head()
    for path, one in asked.watched(_answers(answer, files, asked.batch or 16), len(files)):
        if isinstance(one, InputError):
            if len(files) == 1:
                raise one
            failed.append(one)
            yield one
        else:
            yield form.row(path, one)
    yield from form.end()
    if failed:
        hints = dict.fromkeys(error.hint for error in failed if error.hint)
        message = f"{len(failed)} of {len(files)} pictures could not be read"
        raise InputError(message, "; ".join(hints))


def _answers(
    answer: Callable[[list[Any]], Iterable[T]], files: Sequence[Path], batch: int
) -> Iterator[tuple[Path, T | InputError]]:
    waiting = iter(files)
    while chunk := list(islice(waiting, batch)):
        yield from zip(chunk, _answer(answer, list(map(_opened, chunk))), strict=True)


def _answer(
    answer: Callable[[list[Any]], Iterable[T]], chunk: list[Any]
) -> Iterator[T | InputError]:
    """The answers of one batch; where a picture breaks it, each is tried alone."""
    try:
        yield from answer(chunk)
    except InputError as error:
        if len(chunk) == 1:
            yield error
            return
        for given in chunk:
            yield from _answer(answer, [given])


class _Piped(io.BytesIO):
    """What came from standard input: it can be read once, and a picture may be tried twice."""

    name = "standard input"


def _opened(path: Path) -> Path | BinaryIO:
    """A path as it is; of -, what stands on standard input."""
    if str(path) != STDIN:
        return path
    from distill.data.image import MAX_DECODE_BYTES

    if sys.stdin.isatty():
        raise NothingGiven("standard input is a terminal: pipe a picture into it")
    content = sys.stdin.buffer.read(MAX_DECODE_BYTES + 1)
    if len(content) > MAX_DECODE_BYTES:
        limit = f"the limit is {MAX_DECODE_BYTES / 1e6:.0f} MB"
        raise InputError(f"standard input: too long for one picture; {limit}", "save it as a file")
    return _Piped(content)


# --- as arrays -----------------------------------------------------------------------------------


def several(given: Any) -> bool:
    """Whether it is more than one picture: a batch, or anything that gives one after the other."""
    if hasattr(given, "dtype"):
        return given.ndim == 4 or given.dtype.kind in "OU"  # a batch, or paths in an array
    alone = isinstance(given, str | bytes | bytearray | memoryview | os.PathLike)
    return not alone and not hasattr(given, "read") and hasattr(given, "__iter__")


def as_array(picture: Picture, size: int) -> np.ndarray:
    """Array uint8 (h, w, 3) of a picture, for a model of `size`.

    It is a path, a PIL image, such an array, the bytes of a file, or a file that is open.
    """
    import numpy as np

    from zoo.inputs import image

    if isinstance(picture, np.ndarray):
        check_array(picture, "(h, w, 3)")
        return image.to_array(picture, size)
    if isinstance(picture, str | os.PathLike):
        return image.read(Path(picture), size)
    if isinstance(picture, bytes | bytearray | memoryview) or hasattr(picture, "read"):
        return image.read(picture, size)
    if hasattr(picture, "getexif"):  # a PIL image, whatever its class
        return image.to_array(picture, size)
    raise InputError(
        f"a picture cannot be a {type(picture).__name__}",
        "give a path, a PIL image, a uint8 array (h, w, 3), the bytes of a file, or an open file",
    )


def check_batch(batch: np.ndarray) -> None:
    """Refuse what is not uint8 (n, h, w, 3)."""
    if getattr(batch, "ndim", 0) != 4:
        raise _wrong_array(batch, "(n, h, w, 3)")
    check_array(batch, "(n, h, w, 3)")


def check_array(array: np.ndarray, wanted: str) -> None:
    """Refuse an array that is not uint8 of the shape `wanted`: "(h, w, 3)" or "(n, h, w, 3)"."""
    if array.ndim != wanted.count(",") + 1 or array.shape[-1] != 3 or 0 in array.shape[-3:]:
        raise _wrong_array(array, wanted)
    if array.dtype != "uint8":
        hint = "pixels are whole numbers from 0 to 255: use array.astype(numpy.uint8)"
        if array.dtype.kind == "f":
            hint = "for values in 0..1, use (array * 255).round().astype(numpy.uint8)"
        raise InputError(f"the array must be uint8, not {array.dtype}", hint)


def _wrong_array(array: Any, wanted: str) -> InputError:
    shape = getattr(array, "shape", type(array).__name__)
    return InputError(
        f"the array must have the shape {wanted}, RGB last, not {shape}",
        "a grey picture is np.repeat(grey[..., None], 3, axis=-1); channels first is "
        "array.transpose(1, 2, 0)",
    )


def groups(shapes: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Rows that may go through the network together: of one shape, not too many pixels."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for row, shape in enumerate(shapes):
        by_shape.setdefault(shape, []).append(row)
    parts = []
    for (height, width, _), rows in by_shape.items():
        step = max(1, min(MAX_BATCH, MAX_BATCH_PIXELS // (height * width)))
        parts += [rows[i : i + step] for i in range(0, len(rows), step)]
    return parts
