"""Students beside what others published on the same test set: accuracy over parameters. No I/O.

Models of others come without a file or a latency of ours, so how many parameters they have is what
can be compared. They are marked as not measured here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zoo.records import baselines
from zoo.records.baselines import Baseline, Baselines
from zoo.serve.catalogue import plot
from zoo.serve.catalogue.models import Row
from zoo.serve.catalogue.plot import Point

_COST = "parameters, millions (log scale)"


@dataclass(frozen=True)
class Line:
    """A student, or a model of others."""

    name: str
    url: str  # its page here, or where its figures were published
    parameters: int  # above 0
    macs: int | None  # of one example; None: not stated
    accuracy: float  # fraction in [0, 1]
    precision: str  # "int8" or "fp32"; of others empty
    source: str = ""  # who published it; empty: a student
    read: str = ""  # ISO date on which that was so


@dataclass(frozen=True)
class Comparison:
    """All of one test set."""

    test_set: str
    lines: tuple[Line, ...]  # the smallest first

    def picture(self, frame: plot.Frame) -> str:
        """Accuracy over parameters as SVG, which the table of the lines must stand beside."""
        points = [
            Point(x.name, x.url, x.parameters / 1e6, x.accuracy, self.test_set, bool(x.source))
            for x in self.lines
        ]
        return plot.draw(points, _COST, frame)


def compared(rows: Iterable[Row], known: Sequence[Baselines]) -> list[Comparison]:
    """A comparison for each test set that has both a student of `rows` and a published model."""
    fit = [row for row in rows if row.has_accuracy and row.parameters > 0]
    found = []
    for one in known:
        ours = [row for row in fit if baselines.on([one], row)]
        if ours:
            lines = [*map(_student, ours), *map(_published, one.models)]
            lines.sort(key=lambda line: (line.parameters, line.name, line.url))
            found.append(Comparison(ours[0].test_set, tuple(lines)))
    return found


def _student(row: Row) -> Line:
    url = f"/{row.repo}"
    return Line(row.name, url, row.parameters, row.macs, row.accuracy, row.precision)


def _published(model: Baseline) -> Line:
    size = (model.parameters, model.macs, model.accuracy)
    return Line(model.name, model.url, *size, "", model.source, model.read)
