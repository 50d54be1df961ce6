"""The interface that every kind of teacher has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from distill import config
from distill.errors import DistillError

Answer = Callable[[Any], np.ndarray]
"""What a teacher sees, uint8 (n, h, w, 3) or n texts in a list -> logits (n, classes)"""

BATCH = 128  # pictures that a teacher sees at a time


@dataclass(frozen=True)
class Teacher:
    """A large model that answers, and where it comes from."""

    name: str
    source: str  # where it can be had, for people
    sha256: str  # of its file; of a function: of its code
    licence: str  # SPDX id of its weights
    classes: int  # how many logits it gives
    answer: Answer = field(repr=False)
    labels: tuple[str, ...] = ()  # names of its classes, where its file says them
    batch: int = BATCH  # pictures or texts that it sees at a time

    def __call__(self, examples: np.ndarray | Sequence[str]) -> np.ndarray:
        """Logits float32 (n, classes) for pictures uint8 (n, h, w, 3) or n texts, in batches.

        Raises `DistillError` when an answer has another shape or is not finite.
        """
        logits = np.empty((len(examples), self.classes), np.float32)
        for start in range(0, len(examples), self.batch):
            batch = examples[start : start + self.batch]
            rows = self._checked(self.answer(batch), len(batch))
            logits[start : start + self.batch] = rows
        return logits

    def _checked(self, answer: object, n: int) -> np.ndarray:
        """answer as float32 (n, classes), all finite."""
        try:
            with np.errstate(over="ignore"):
                logits = np.asarray(answer, dtype=np.float32)
        except (TypeError, ValueError, RuntimeError) as error:  # the last: a tensor with gradient
            raise DistillError(
                f"the teacher {self.name} does not answer with an array of numbers: {error}",
                f"a NumPy array of logits (n, {self.classes}) is needed",
            ) from error
        if logits.shape != (n, self.classes):
            raise DistillError(
                f"the teacher {self.name} answers {logits.shape} to {n} examples",
                f"logits ({n}, {self.classes}) are needed: a row an example, a column a class",
            )
        if not np.isfinite(logits).all():
            raise DistillError(
                f"the teacher {self.name} answers with numbers that are not finite",
                "logits in the range of float32 are needed; the log of a probability of 0 is not",
            )
        return logits


class Asked(NamedTuple):
    """What a teacher will be asked."""

    what: str  # "pictures" or "texts"
    classes: int  # how many the data has
    names: tuple[str, ...] = ()  # of the classes, of texts only
    image_size: int = 0  # side in pixels of the pictures
    onnx_path: Path | None = None  # the file of another recipe's student
    threads: int = 0  # cores that a file answers on; 0: all


class Kind(NamedTuple):
    """How the teachers of one kind are opened."""

    open: Callable[[config.Teacher, Asked], Teacher]  # raises `DistillError`
    reads: tuple[str, ...]  # "pictures", "texts" or both
