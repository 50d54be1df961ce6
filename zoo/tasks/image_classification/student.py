"""Students that classify pictures of any size."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import InputError
from zoo.students.student import Prediction, Student, check_top, metadata, ranked

if TYPE_CHECKING:
    from PIL.Image import Image

    Picture = str | os.PathLike[str] | Image | np.ndarray

MAX_BATCH_PIXELS = 16_000_000  # of the pictures that go through the network together
MAX_BATCH = 256


class PictureStudent(Student):
    """Paths, PIL images and uint8 arrays in; the graph resizes and normalises.

    student = zoo.load("cifar10-separable-small.kd")
    student("cat.jpg")                  # [("cat", 0.93), ("dog", 0.04), ...]
    student(["cat.jpg", "dog.png"])     # one such list a picture
    student.logits(batch)               # uint8 (n, h, w, 3) -> float32 (n, classes)
    """

    contract = ("image", "tensor(uint8)", 4)

    def _read(self, about: dict[str, str]) -> None:
        self.image_size = _image_size(about, self.path)  # pixels a side, inside the graph

    def __call__(self, pictures: Picture | Sequence[Picture], top: int = 5) -> Any:
        """The `top` likeliest labels with their probabilities, the likeliest first.

        pictures: a path, a PIL image or a uint8 array (h, w, 3) gives one list; a list of those or
        an array (n, h, w, 3) gives a list of lists. Sizes may differ within a list.
        """
        check_top(top)
        if isinstance(pictures, list | tuple) or getattr(pictures, "ndim", 0) == 4:
            return self.rank(pictures, top)  # type: ignore[arg-type]
        return self.rank([pictures], top)[0]  # type: ignore[list-item]

    def rank(self, pictures: Iterable[Picture], top: int = 5) -> list[Prediction]:
        """One list of (label, probability) a picture."""
        arrays = [as_array(picture, self.image_size) for picture in pictures]
        return ranked(self._logits_of(arrays), self.labels, top)

    def logits(self, batch: np.ndarray) -> np.ndarray:
        """Float32 (n, classes) for a uint8 batch (n, h, w, 3), as the graph gives them."""
        if getattr(batch, "ndim", 0) != 4:
            raise _wrong_array(batch, "(n, h, w, 3)")
        check_array(batch, "(n, h, w, 3)")
        if len(batch) == 0:
            return np.zeros((0, len(self.labels)), np.float32)
        return self._run(np.ascontiguousarray(batch))

    def _logits_of(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Float32 (n, classes) of pictures of any sizes; equal sizes go together."""
        logits = np.zeros((len(arrays), len(self.labels)), np.float32)
        for rows in groups([array.shape for array in arrays]):
            logits[rows] = self.logits(np.stack([arrays[row] for row in rows]))
        return logits


def as_array(picture: Picture, size: int) -> np.ndarray:
    """Array uint8 (h, w, 3) of a path, a PIL image or such an array, for a model of `size`."""
    if isinstance(picture, np.ndarray):
        check_array(picture, "(h, w, 3)")
        return picture
    from zoo.inputs import image

    if isinstance(picture, str | os.PathLike):
        return image.read(Path(picture), size)
    if hasattr(picture, "getexif"):  # a PIL image, whatever its class
        return image.to_array(picture, size)
    kind = type(picture).__name__
    raise InputError(
        f"a picture cannot be a {kind}", "give a path, a PIL image or a uint8 array (h, w, 3)"
    )


def check_array(array: np.ndarray, wanted: str) -> None:
    """Refuse an array that is not uint8 of the shape `wanted`: "(h, w, 3)" or "(n, h, w, 3)"."""
    if array.ndim != wanted.count(",") + 1 or array.shape[-1] != 3 or 0 in array.shape[-3:]:
        raise _wrong_array(array, wanted)
    if array.dtype != np.uint8:
        hint = "pixels are whole numbers from 0 to 255: use array.astype(numpy.uint8)"
        if np.issubdtype(array.dtype, np.floating):
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


def _image_size(about: dict[str, str], path: Path) -> int:
    described = metadata(about, "studentzoo.input", path)
    size = described.get("size") if isinstance(described, dict) else None
    if type(size) is not int or size < 1:
        raise InputError(f"{path}: studentzoo.input in its metadata names no size in pixels")
    return size
