"""Pictures as the students want them: uint8 RGB arrays, read as training reads them.

`distill.data.image` is the reader. A graph gets the pixels of the file and resizes them itself; of
a picture of over 16 million pixels it gets the square that it would have made of it, so that a
large photo costs little memory.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import InputError


def read(file: Any, size: int) -> np.ndarray:
    """Array uint8 (h, w, 3) of a picture, for a model that resizes to `size` pixels.

    `file` is a path, the bytes of a file, or a file that is open.
    """
    return read_sides(file, size)[0]


def read_sides(file: Any, size: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The same, and the sides (width, height) of the picture: what is too large for a graph comes
    as a square of `size` pixels, whatever its sides.
    """
    from distill.data.image import decoded, pixels, sides

    name = file if isinstance(file, str | Path) else getattr(file, "name", type(file).__name__)
    quiet = warnings.catch_warnings(action="ignore")
    with quiet, _as_input_error(f"{name}: "), decoded(file) as image:
        return pixels(image, size), sides(image)


def to_array(image: Any, size: int) -> np.ndarray:
    """Array uint8 (h, w, 3) of a PIL image or such an array, for a model of `size` pixels."""
    from distill.data.image import pixels

    with warnings.catch_warnings(action="ignore"), _as_input_error():
        return pixels(image, size)


@contextlib.contextmanager
def _as_input_error(name: str = "") -> Iterator[None]:
    from distill.errors import DistillError

    try:
        yield
    except DistillError as problem:
        raise InputError(f"{name}{problem}", problem.hint) from None
