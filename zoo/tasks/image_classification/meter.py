"""How students that classify pictures are measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.inputs.classes import labelled
from zoo.measure.loads import Load, PictureLoad
from zoo.measure.meter import Progress
from zoo.records.card import Input
from zoo.records.measures import Score
from zoo.tasks.classification import ClassMeter
from zoo.tasks.image_classification.recipe import ImageRecipe

if TYPE_CHECKING:
    import numpy as np

    from distill.data import Dataset
    from zoo.measure.tally import Tally
    from zoo.students.student import Student

BATCH = 16  # pictures that are read at once


AGREEMENT = "agreement with its teacher"


class PictureMeter(ClassMeter[ImageRecipe, "Dataset"]):
    """On the test split of the recipe's own data."""

    def tests(self, root: Path | None) -> dict[str, Dataset]:
        """The test split under its data set's name."""
        from distill.data import load

        data = self.recipe.data
        return {data.name or data.source: load(data, "test", root)}

    def reader(self) -> int:
        """Of pictures that must be resized."""
        from distill.data.record import READER

        return READER

    def outputs(
        self, path: Path, data: Dataset, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Logits float32 (n, classes)."""
        from zoo.measure.verify import logits_of

        return logits_of(path, data.images, progress=progress)

    def score(self, outputs: np.ndarray, data: Dataset, dataset: str, split: str) -> Score:
        """Top-1 accuracy; where the labels are the teacher's answers, agreement with it."""
        from zoo.measure.verify import accuracy_score

        found = accuracy_score(outputs, data.labels, dataset=dataset, split=split)
        return found if self.recipe.data.labelled else replace(found, metric=AGREEMENT)

    def calibration_error(self, outputs: np.ndarray, data: Dataset) -> float | None:
        """None where nobody knows what is right."""
        return super().calibration_error(outputs, data) if self.recipe.data.labelled else None

    def needs(self) -> str:
        """Its teacher, where the data have no labels."""
        return "" if self.recipe.data.labelled else "its teacher's answers"

    def example(self, data: Dataset) -> np.ndarray:
        """One picture."""
        return data.images[:1]

    def loads(self, data: Dataset) -> list[Load]:
        """One picture, on which an attempt is judged, and 32 together."""
        side = data.images.shape[1]
        return [PictureLoad(1, side), PictureLoad(32, side)]

    @staticmethod
    def counted(student: Student, root: Path, progress: Progress | None = None) -> Tally:
        """Of the pictures in folders of classes below `root`, or below its test split."""
        from zoo.measure.tally import Tally
        from zoo.tasks.image_classification.student import PictureStudent

        assert isinstance(student, PictureStudent)  # of the same task
        place, files, known = labelled(root, student.labels)
        tally = Tally(str(place))
        for start in range(0, len(files), BATCH):
            chunk = files[start : start + BATCH]
            for file, answer in zip(chunk, student.rank(chunk, 1), strict=True):
                tally.add(str(known.of(file)), answer[0][0])
            if progress is not None:
                progress(start + len(chunk), len(files))
        return tally

    @staticmethod
    def loads_of(given: Input, batch: int) -> list[Load]:
        """Pictures of the student's own size."""
        return [PictureLoad(batch, given.size or 1)]
