"""The end of every build: teacher, fp32 and int8 side by side, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.chain.made import Carded, Compressed, Measured, Stored
from zoo.records import reader
from zoo.records.measures import FRACTION, Score
from zoo.records.names import FILES
from zoo.records.text import Document

if TYPE_CHECKING:
    from compress.config import Gates
    from zoo.chain.job import Job

HEAD = ("", "score", "as the teacher", "size", "time of a call")


class Row(NamedTuple):
    """One of those that answer; "" where nothing is known."""

    name: str
    score: Score
    teacher: float | None = None  # fraction that the teacher answers alike
    size: str = ""
    time: str = ""

    def cells(self) -> tuple[str, ...]:
        """As people read them."""
        shown, one = self.score.scale.shown, self.score
        unit = f" {one.scale.unit}" if one.scale.unit else ""
        value = f"{shown(one.value)}{unit}"
        if one.low != one.high:  # it is known
            value += f" ({shown(one.low)} to {shown(one.high)})"
        alike = "" if self.teacher is None else f"{self.teacher:.2%}"
        return self.name, value, alike, self.size, self.time


def tell(job: Job, made: Any, verdict: str) -> None:
    """Say it, of the record of the last stage; nothing where there is no 8-bit file yet."""
    if isinstance(made, Stored):
        made = made.carded
    if isinstance(made, Carded):
        made = made.measured
    if isinstance(made, Compressed):
        where, rows = "validation", list(_judged(made))
    elif isinstance(made, Measured):
        where, rows = "test", list(_measured(made))
    else:
        return
    first = rows[0].score
    dataset = f"{first.dataset} " if first.dataset else ""
    job.tell(f"{first.name} on {dataset}{where}, n = {first.n:,}, 95 % intervals")
    for line in laid_out([HEAD, *(row.cells() for row in rows)]):
        job.say(f"  {line}")
    compressed = made.compressed if isinstance(made, Measured) else made
    for line in _doubts(compressed, job.recipe.gates):
        job.say(f"  {line}")
    job.say(f"  {verdict}")


def laid_out(rows: list[tuple[str, ...]]) -> list[str]:
    """Lines with the cells of each column under each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    cells = ([c.ljust(w) for c, w in zip(row, widths, strict=True)] for row in rows)
    return ["  ".join(row).rstrip() for row in cells]


def _judged(made: Compressed) -> Iterator[Row]:
    """On held-out data: the winner, else the attempt that has most right."""
    known, folder = made.known, made.exported.folder
    if known.teacher:
        yield Row("teacher", known.teacher)
    yield Row("fp32", known.fp32, known.agreement, _size((folder / FILES["fp32"]).stat().st_size))
    best = chosen(made)
    if best is None:
        return
    score = _like(known.fp32, best["accuracy"])
    yield Row("int8", score, None, _size(best["size_bytes"] or 0), _ratio(best))


def chosen(made: Compressed) -> dict[str, Any] | None:
    """The attempt that passed, else the one that has most right; None where none was measured."""
    found = [one for one in made.attempts if one["accuracy"] is not None]
    highest = made.known.fp32.scale.best == "highest"
    rank = (lambda one: one["accuracy"]) if highest else (lambda one: -one["accuracy"])
    passed = [one for one in found if one["verdict"] == "pass"]
    return next(iter(passed or sorted(found, key=rank, reverse=True)), None)


def _like(score: Score, value: float) -> Score:
    """The same with another value, and its interval (Wilson's) where it is a fraction."""
    from zoo.measure.verify import wilson

    if score.scale != FRACTION:
        return replace(score, value=value, low=value, high=value)
    low, high = wilson(round(value * score.n), score.n)
    return replace(score, value=value, low=low, high=high)


def _measured(made: Measured) -> Iterator[Row]:
    """On the test split, of the files that are published."""
    found = made.found["scores"]
    if "teacher" in found:
        yield Row("teacher", _score(found["teacher"]["accuracy"]))
    for precision, file in FILES.items():
        facts, size = found[precision], _size((made.folder / file).stat().st_size)
        times = [r for r in made.found["latency"] if r["precision"] == precision]
        time = f"{times[0]['p50_ms']:.3g} ms" if times else ""
        score = _score(facts["accuracy"])
        yield Row(precision, score, facts["agreement_teacher"], size, time)


def _score(data: dict[str, Any]) -> Score:
    from zoo.errors import CardError

    return reader.read(Score, Document(data, "measure"), CardError)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1000:,.1f} kB"


def _ratio(tried: dict[str, Any]) -> str:
    if tried["speed_ratio"] is None:
        return "not timed"
    low, high = tried["speed_ratio_low"], tried["speed_ratio_high"]
    return f"{tried['speed_ratio']:.2f} of fp32 ({low:.2f} to {high:.2f})"


# --- what held-out data cannot show --------------------------------------------------------------


def seen_from(n: int, agreement: float) -> float:
    """Points of accuracy that a drop must have to show among n examples, at 95 %.

    Two files that agree on a share of the answers differ in accuracy by what the others decide:
    1.96 standard errors of that, at least the 3 / n of none seen in n.
    """
    return 100 * max(1.96 * math.sqrt(max(0.0, 1 - agreement) / n), 3 / n)


def _doubts(made: Compressed, gates: Gates | None) -> Iterator[str]:
    """Gates whose bound is finer than the held-out data."""
    best, score = chosen(made), made.known.fp32
    if best is None or gates is None or score.scale != FRACTION:
        return
    least, n = seen_from(score.n, best["agreement"]), score.n
    if least > gates.max_drop_points:
        yield (
            f"note: validation has n = {n:,}, which shows a drop from {least:.2g} points on; "
            f"one of {gates.max_drop_points:g} (gates.max_drop_points) cannot be seen there"
        )
    found = _like(score, best["accuracy"])
    low, high = found.low, found.high
    if low < gates.min_accuracy <= high:
        yield (
            f"note: validation has n = {n:,}, accuracy is {low:.2%} to {high:.2%} (95 %): whether "
            f"it is {gates.min_accuracy:.2%} (gates.min_accuracy) is not sure"
        )
