"""The interface that every kind of teacher has."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from distill import config
from distill.errors import DistillError

Answer = Callable[[Any], np.ndarray]
"""What a teacher sees, uint8 (n, h, w, 3) or n texts in a list -> logits (n, classes)"""

Gives = Literal["logits", "probabilities"]
CLIP = 1e-9  # stands for a smaller probability, also for 0, whose logarithm is not finite
BATCH = 128  # pictures that a teacher sees at a time


class NotFiniteError(DistillError):
    """An answer with NaN or infinity in it."""

    def __init__(self, teacher: str, row: int, example: str = "") -> None:
        """row is the example's place among those asked; example is its name, where it is known."""
        super().__init__(
            f"the teacher {teacher} answers with numbers that are not finite"
            + (f" to {example}" if example else ""),
            "logits in the range of float32 are needed; the log of a probability of 0 is not",
        )
        self.teacher, self.row = teacher, row


@contextmanager
def naming(examples: Any, names: Sequence[str] = ()) -> Iterator[None]:
    """A `NotFiniteError` tells the example's name, of `names` where there are any, or its text."""
    try:
        yield
    except NotFiniteError as error:
        if len(names) > error.row:
            called = names[error.row]
        else:
            called = repr(examples[error.row][:60]) if isinstance(examples[error.row], str) else ""
        raise NotFiniteError(error.teacher, error.row, called) from None


@dataclass(frozen=True)
class Teacher:
    """A large model that answers, and where it comes from."""

    name: str
    source: str  # where it can be had, for people
    sha256: str  # of its file and of how it is asked; of a function: of its code
    licence: str  # SPDX id of its weights
    classes: int  # how many logits it gives
    answer: Answer = field(repr=False)
    labels: tuple[str, ...] = ()  # names of its classes, where its file says them
    batch: int = BATCH  # pictures or texts that it sees at a time
    width: int = 0  # numbers in a row of `answer`; 0: as many as classes
    columns: tuple[int, ...] = ()  # those of them that are the classes; empty: all, in their order
    gives: Gives = "logits"  # what the numbers of `answer` are
    others: Mapping[str, Answer] = field(default_factory=dict, repr=False)
    # `answer` with pictures prepared in other usual ways, by what a recipe says for each
    notes: tuple[str, ...] = ()  # what was decided without being asked, a sentence each

    def __call__(self, examples: np.ndarray | Sequence[str]) -> np.ndarray:
        """Logits float32 (n, classes) for pictures uint8 (n, h, w, 3) or n texts, in batches.

        Raises `DistillError` when an answer has another shape, `NotFiniteError` when it has NaN.
        """
        return self.logits(self.whole(examples))

    def logits(self, whole: np.ndarray) -> np.ndarray:
        """Logits (n, classes) of what `whole` gave, (n, width)."""
        if self.gives == "probabilities":
            whole = np.log(np.maximum(whole, CLIP))
        return whole[:, list(self.columns)] if self.columns else whole

    def whole(self, examples: np.ndarray | Sequence[str]) -> np.ndarray:
        """What it answers, float32 (n, width), before anything is made of it; raises as above."""
        found = np.empty((len(examples), self.width or self.classes), np.float32)
        for start in range(0, len(examples), self.batch):
            batch = examples[start : start + self.batch]
            try:
                found[start : start + self.batch] = self._checked(self.answer(batch), len(batch))
            except NotFiniteError as error:
                raise NotFiniteError(self.name, start + error.row) from None
        return found

    def giving(self, gives: Gives) -> Teacher:
        """The same, known to give that; answers that are kept are then others."""
        if gives == self.gives:
            return self
        sha256 = hashlib.sha256(f"{self.sha256} {gives}".encode()).hexdigest()
        return replace(self, gives=gives, sha256=sha256)

    def _checked(self, answer: object, n: int) -> np.ndarray:
        """answer as float32 (n, width), all finite."""
        width = self.width or self.classes
        try:
            with np.errstate(over="ignore"):
                found = np.asarray(answer, dtype=np.float32)
        except (TypeError, ValueError, RuntimeError) as error:  # the last: a tensor with gradient
            raise DistillError(
                f"the teacher {self.name} does not answer with an array of numbers: {error}",
                f"a NumPy array of logits (n, {width}) is needed",
            ) from error
        if found.shape != (n, width):
            raise DistillError(
                f"the teacher {self.name} answers {found.shape} to {n} examples",
                f"logits ({n}, {width}) are needed: a row an example, a column a class; if it "
                "knows other classes than the data, teacher.classes says their names",
            )
        finite = np.isfinite(found).all(axis=1)
        if not finite.all():
            raise NotFiniteError(self.name, int(np.argmin(finite)))
        return found


class Asked(NamedTuple):
    """What a teacher will be asked."""

    what: str  # "pictures" or "texts"
    classes: int  # how many it has itself: as many as the data, unless `labels` says others
    names: tuple[str, ...] = ()  # of the data's classes, where they are known
    image_size: int = 0  # side in pixels of the pictures
    onnx_path: Path | None = None  # the file of another recipe's student
    threads: int = 0  # cores that a file answers on; 0: all
    labels: tuple[str, ...] = ()  # its own names, where the recipe says them


class Kind(NamedTuple):
    """How the teachers of one kind are opened."""

    open: Callable[[config.Teacher, Asked], Teacher]  # raises `DistillError`
    reads: tuple[str, ...]  # "pictures", "texts" or both
    check: Callable[[config.Teacher], object] = lambda settings: None
    # refuses one whose package is not installed, unopened: a `DistillError`
