"""What all students share: a session, the labels that the file carries, probabilities.

Student
├── PictureStudent   image uint8 (n, h, w, 3)     -> logits float32 (n, classes)
└── TextStudent      codepoints int32 (n, length) -> logits float32 (n, classes)
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from zoo.errors import InputError
from zoo.students.session import ORT_ERRORS, one_line

if TYPE_CHECKING:
    import onnxruntime as ort

Prediction = list[tuple[str, float]]  # (label, probability), the likeliest first
Precision = Literal["auto", "int8", "fp32"]


class Student(ABC):
    """One ONNX file in a session, with the labels that the file carries."""

    contract: ClassVar[tuple[str, str, int]]  # name, type and rank of the graph's one input

    def __init__(self, path: Path, session: ort.InferenceSession) -> None:
        about = session.get_modelmeta().custom_metadata_map
        self.path = path
        self.session = session
        self.name: str = about.get("studentzoo.name", path.stem)
        self.labels = _labels(about, session, path)
        self.precision = precision_of(path)
        self._read(about)

    @staticmethod
    def open(
        path: str | os.PathLike[str], *, precision: Precision = "auto", threads: int = 0
    ) -> Student:
        """The student in a folder (as published) or in one ONNX file; see `zoo.load`."""
        from zoo.students.load import open_student

        return open_student(Path(path), precision, threads)

    def __repr__(self) -> str:
        return f"<Student {self.name} {self.precision}, {len(self.labels)} labels>"

    @abstractmethod
    def __call__(self, given: Any, top: int = 5) -> Any:
        """The `top` likeliest labels of one input, or a list of such lists."""

    @abstractmethod
    def logits(self, batch: np.ndarray) -> np.ndarray:
        """Float32 (n, classes) of a batch as the graph reads it."""

    @abstractmethod
    def _read(self, about: dict[str, str]) -> None:
        """Keep what this kind of student has in the file's metadata."""

    def _run(self, batch: np.ndarray) -> np.ndarray:
        """Float32 (n, classes) of a batch that fits the graph's input."""
        try:
            return self.session.run(["logits"], {self.contract[0]: batch})[0]
        except ORT_ERRORS as problem:
            said = one_line(problem)
            raise InputError(f"{self.path}: onnxruntime cannot run it: {said}") from None


def check_top(top: int) -> None:
    """Refuse a number of answers below one."""
    if top < 1:
        raise InputError(f"top must be at least 1, not {top}")


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis of logits (n, classes)."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers


def ranked(logits: np.ndarray, labels: Sequence[str], top: int) -> list[Prediction]:
    """The `top` likeliest of each row of logits (n, classes); of equal ones the first."""
    order = _best(logits, min(top, logits.shape[1]))
    best = np.take_along_axis(softmax(logits), order, axis=1)
    return [
        [(labels[i], probability) for i, probability in zip(places, row, strict=True)]
        for places, row in zip(order.tolist(), best.tolist(), strict=True)
    ]


def _best(logits: np.ndarray, top: int) -> np.ndarray:
    """Places int64 (n, top) of the largest in each row (n, classes), falling; first of equals."""
    if top > 8:
        return np.argsort(-logits, axis=1, kind="stable")[:, :top]
    left, rows = logits.copy(), np.arange(len(logits))
    order = np.empty((len(logits), top), np.int64)
    for place in range(top):  # a few passes are quicker than sorting all
        order[:, place] = left.argmax(axis=1)
        left[rows, order[:, place]] = -np.inf
    return order


def ranked_one(logits: np.ndarray, labels: Sequence[str], top: int) -> Prediction:
    """`ranked` of one row (classes,), in few calls of numpy: some graphs take 15 us."""
    order = (-logits).argsort(kind="stable")[:top].tolist()
    powers = np.exp(logits - logits[order[0]])
    total = np.add.reduce(powers)
    return [(labels[i], float(powers[i] / total)) for i in order]


def precision_of(file: Path) -> str:
    """Of a file, by its name."""
    return "int8" if "int8" in file.name else "fp32"


def metadata(about: dict[str, str], key: str, path: Path) -> Any:
    """One JSON value of the file's metadata."""
    try:
        return json.loads(about[key])
    except (KeyError, ValueError):
        raise InputError(
            f"{path}: an ONNX file, but not a student: its metadata has no {key}",
            "a student carries its labels and its input in its metadata",
        ) from None


def _labels(about: dict[str, str], session: ort.InferenceSession, path: Path) -> tuple[str, ...]:
    labels = metadata(about, "studentzoo.labels", path)
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise InputError(f"{path}: studentzoo.labels in its metadata is not a list of texts")
    classes = next(o.shape[1] for o in session.get_outputs() if o.name == "logits")
    if isinstance(classes, int) and classes != len(labels):
        raise InputError(f"{path}: {classes} classes, but {len(labels)} labels in its metadata")
    return tuple(labels)
