"""How students of a task are measured: the base of a task's part `meter`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from zoo.errors import ZooError
from zoo.records import task
from zoo.records.card import Input
from zoo.records.measures import FRACTION, Scale, Score
from zoo.records.recipe import Recipe

if TYPE_CHECKING:
    import numpy as np

    from zoo.measure.loads import Load
    from zoo.measure.tally import Tally
    from zoo.students.student import Student

R = TypeVar("R", bound=Recipe)
Progress = Callable[[int, int], None]  # done, in all
D = TypeVar("D")  # a split of data: it has a length and a sha256


class Meter(ABC, Generic[R, D]):
    """What is measured of the students of one recipe, and on what."""

    scale: Scale = FRACTION  # of its headline metric, as `score` has it

    def __init__(self, recipe: R) -> None:
        self.recipe = recipe

    @abstractmethod
    def tests(self, root: Path | None) -> dict[str, D]:
        """Every test set by its name, the headline's first; `root` as in `zoo build --data`."""

    @abstractmethod
    def outputs(
        self, path: Path, data: D, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """What the file answers to every example, float32 (n, ...)."""

    @abstractmethod
    def score(self, outputs: np.ndarray, data: D, dataset: str, split: str) -> Score:
        """How good the outputs are."""

    @abstractmethod
    def example(self, data: D) -> np.ndarray:
        """One example as a batch that a file reads: (1, ...)."""

    @abstractmethod
    def loads(self, data: D) -> list[Load]:
        """What a build times; an attempt at 8 bits is judged on the first."""

    @staticmethod
    @abstractmethod
    def loads_of(given: Input, batch: int) -> list[Load]:
        """What `zoo bench` times, of a student with this input."""

    @staticmethod
    def counted(student: Student, root: Path, progress: Progress | None = None) -> Tally:
        """What a student answers to the labelled examples below `root`: `zoo verify FILE`."""
        what = f"{student.name}: students of its task are measured on their recipe's data only"
        raise ZooError(what, "build it, and give `zoo verify` its name")

    def reader(self) -> int:
        """The version of what reads its data: of one set, two may give other hashes."""
        return 1

    def columns(self, data: D, labels: Sequence[str]) -> slice | list[int] | None:
        """Of the outputs of a file with these labels, in the data's order; None: other labels."""
        return slice(None)

    def calibration_error(self, outputs: np.ndarray, data: D) -> float | None:
        """How far its probabilities are off, a fraction; None: it gives none."""
        return None

    def needs(self) -> str:
        """What a score takes beside the data and the files, in words; empty: nothing."""
        return ""

    def dropped(self, data: D) -> int:
        """Examples of a test that were left out, for they stand in the source of train."""
        return 0


def meter(recipe: Recipe) -> Meter[Any, Any]:
    """The meter of the recipe's task."""
    return task.find(recipe.task).part("meter", Meter)(recipe)
