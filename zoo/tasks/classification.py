"""What all tasks measure alike whose students choose among labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.measure.meter import D, Meter, R

if TYPE_CHECKING:
    import numpy as np


class ClassMeter(Meter[R, D]):
    """Of data with `labels` int (n,), index into `classes`; outputs are logits (n, classes)."""

    def columns(self, data: D, labels: Sequence[str]) -> list[int] | None:
        """Logits in the order of the data's classes."""
        classes: tuple[str, ...] = data.classes  # type: ignore[attr-defined]
        return [labels.index(name) for name in classes] if set(classes) == set(labels) else None

    def calibration_error(self, outputs: np.ndarray, data: D) -> float | None:
        """Of the largest probability (Guo et al., ICML 2017, eq. 3)."""
        from zoo.measure.verify import calibration_error

        return calibration_error(outputs, data.labels)  # type: ignore[attr-defined]
