"""How it is measured: the mean absolute error, in levels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from levels_task import data as levels
from levels_task.data import Pictures
from levels_task.recipe import LevelRecipe
from zoo.measure.loads import Load, PictureLoad
from zoo.measure.meter import Meter
from zoo.measure.verify import Z95, logits_of
from zoo.records.card import Input
from zoo.records.measures import Scale, Score

ERROR = Scale(unit="levels", best="lowest", high=None)


def within(found: np.ndarray, expected: np.ndarray) -> float:
    """Fraction of the answers (n, 1) that are at most half a level apart."""
    return float((np.abs(found - expected) <= 0.5).mean())


class LevelMeter(Meter[LevelRecipe, Pictures]):
    scale = ERROR

    def tests(self, root: Path | None) -> dict[str, Pictures]:
        data = self.recipe.data
        return {data.name: levels.make("test", data.image_size, data.held_out)}

    def outputs(
        self, path: Path, data: Pictures, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        return logits_of(path, data.images, progress=progress)

    def score(self, outputs: np.ndarray, data: Pictures, dataset: str, split: str) -> Score:
        errors = np.abs(outputs - data.values)
        value, half = float(errors.mean()), Z95 * float(errors.std()) / len(errors) ** 0.5
        low, high = max(0.0, value - half), value + half
        return Score("mean absolute error", dataset, split, len(data), value, low, high, ERROR)

    def example(self, data: Pictures) -> np.ndarray:
        return data.images[:1]

    def loads(self, data: Pictures) -> list[Load]:
        return [PictureLoad(1, data.images.shape[1])]

    @staticmethod
    def loads_of(given: Input, batch: int) -> list[Load]:
        return [PictureLoad(batch, given.size or 1)]
