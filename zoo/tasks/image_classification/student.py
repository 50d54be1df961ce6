"""Students that classify pictures of any size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import InputError, ZooError
from zoo.inputs import pictures
from zoo.inputs.asked import Asked
from zoo.inputs.pictures import as_array, check_batch, groups, several
from zoo.students.classifier import Classifier, Prediction, check_top, ranked
from zoo.students.student import metadata_value

if TYPE_CHECKING:
    from zoo.inputs.pictures import Picture


class PictureStudent(Classifier):
    """Paths, PIL images and uint8 arrays in; the graph resizes and normalises.

    student = zoo.load("cifar10-separable-small.kd")
    student("cat.jpg")                  # [("cat", 0.93), ("dog", 0.04), ...]
    student(["cat.jpg", "dog.png"])     # one such list a picture
    student.logits(batch)               # uint8 (n, h, w, 3) -> float32 (n, classes)
    """

    contract = ("image", "tensor(uint8)", 4)
    keys = MappingProxyType(
        Classifier.keys
        | {
            "studentzoo.input": 'json.dumps({"name": "image", "dtype": "uint8", "layout": "NHWC", '
            '"color": "RGB", "size": 224})'
        }
    )
    csv = True

    def _read(self, about: dict[str, str]) -> None:
        super()._read(about)
        self.image_size = _image_size(about, self.path)  # pixels a side, inside the graph

    def told(self, asked: Asked) -> Iterator[str | ZooError]:
        """A line for each answer, or a row of a table, or one JSON object a picture.

        Where the folders that were given hold classes, their accuracy follows.
        """
        from zoo.inputs.classes import classes
        from zoo.tasks.image_classification.forms import form_of

        if asked.texts:
            raise InputError(f"{self.name} classifies pictures, not texts", "give picture files")
        files, top = pictures.listed(asked), asked.top or 5
        known = classes(asked.files, files, self.labels)
        form = form_of(asked)(self.labels, top, known)
        return pictures.told(partial(self.rank, top=top), form, files, asked)

    def __call__(self, given: Picture | Iterable[Picture], top: int = 5) -> Any:
        """The `top` likeliest labels with their probabilities, the likeliest first.

        given: a path, a PIL image, a uint8 array (h, w, 3), the bytes of a file or an open file
        gives one list; an iterable of those or an array (n, h, w, 3) gives a list of lists. Sizes
        may differ within it.
        """
        check_top(top)
        if several(given):
            return self.rank(given, top)  # type: ignore[arg-type]
        return self.rank([given], top)[0]  # type: ignore[list-item]

    def rank(self, given: Iterable[Picture], top: int = 5) -> list[Prediction]:
        """One list of (label, probability) a picture."""
        arrays = [as_array(picture, self.image_size) for picture in given]
        return ranked(self._logits_of(arrays), self.labels, top)

    def logits(self, batch: np.ndarray) -> np.ndarray:
        """Float32 (n, classes) for a uint8 batch (n, h, w, 3), as the graph gives them."""
        check_batch(batch)
        if len(batch) == 0:
            return np.zeros((0, len(self.labels)), np.float32)
        return self._run(np.ascontiguousarray(batch))

    def _logits_of(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Float32 (n, classes) of pictures of any sizes; equal sizes go together."""
        logits = np.zeros((len(arrays), len(self.labels)), np.float32)
        for rows in groups([array.shape for array in arrays]):
            batch = np.stack([arrays[r] for r in rows]) if len(rows) > 1 else arrays[rows[0]][None]
            logits[rows] = self.logits(batch)
        return logits


def _image_size(about: dict[str, str], path: Path) -> int:
    described = metadata_value(about, "studentzoo.input", path)
    size = described.get("size") if isinstance(described, dict) else None
    if type(size) is not int or size < 1:
        raise InputError(f"{path}: studentzoo.input in its metadata names no size in pixels")
    return size
