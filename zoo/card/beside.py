"""Cards side by side: what of their figures can be compared, and what was done differently. No I/O.

The first student is what the others are compared with.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from zoo.errors import ZooError
from zoo.records import plain, recipe
from zoo.records.card import Card
from zoo.records.measures import Measurement, Score
from zoo.records.text import Document

PRECISIONS = ("int8", "fp32")
_NAMES = ("name", "summary")  # of a recipe: what it is called


@dataclass(frozen=True)
class Side:
    """One of the students."""

    label: str  # as it was given: a name, a folder, a file
    card: Card
    run: Mapping[str, Any]  # its run.json; empty: not there

    def part(self, key: str) -> dict[str, Any]:
        """A mapping in the run; empty where there is none."""
        found = self.run.get(key)
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Doubt:
    """What is to be known before any figure is read."""

    label: str  # of the student, beside the first
    comparable: bool  # whether the two scores may be compared all the same
    why: str


@dataclass(frozen=True)
class Gap:
    """How far a score is above the first one's, with its 95 % interval (Newcombe 1998, method 10).

    Both are taken to be measured on examples of their own: on the same ones chance is smaller.
    """

    label: str
    precision: str
    value: float  # on the metric's scale
    low: float
    high: float

    @property
    def larger_than_chance(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Setup:
    """What must be the same for two latencies to be compared."""

    device: str
    device_name: str
    isa: str
    runtime: str
    runtime_version: str
    precision: str
    batch: int
    threads: int
    text_length: int | None


@dataclass(frozen=True)
class Latency:
    """A set-up in which two of them, or more, were timed."""

    setup: Setup
    p50_ms: dict[str, float]  # by label; who was not timed so is not in it


@dataclass(frozen=True)
class Differing:
    """A key that is not the same in all of them."""

    key: str  # with dots
    values: dict[str, Any]  # by label; who has none is not in it


# --- can they be compared ------------------------------------------------------------------------


def doubts(sides: Sequence[Side]) -> list[Doubt]:
    """Of each but the first, where data, labels, metric or teacher are others than the first's."""
    first, *others = sides
    return [Doubt(one.label, *said) for one in others if (said := _doubt(first, one))]


def _doubt(first: Side, one: Side) -> tuple[bool, str] | None:
    """(comparable all the same, why not or with what caution)."""
    if why := unlike(first, one):
        return False, why
    if first.card.data.sha256 == one.card.data.sha256:
        return None
    return True, "it was trained on other data, and tested on the same"


def unlike(first: Side, one: Side) -> str:
    """Why the score of one says nothing beside that of the first; "" where they are comparable."""
    scores = [side.card.variants["fp32"].accuracy for side in (first, one)]
    kinds = [
        (side.card.task, score.metric, score.scale)
        for side, score in zip((first, one), scores, strict=True)
    ]
    if kinds[0] != kinds[1]:
        return f"its score is {scores[1].metric} of {one.card.task}"
    if sorted(first.card.labels) != sorted(one.card.labels):
        return f"it chooses among other labels ({len(one.card.labels)})"
    tests = [side.part("data").get("test") for side in (first, one)]
    if None not in tests and tests[0] != tests[1]:
        return f"it was tested on other data{_reader(first, one)}"
    where = [(score.dataset, score.split, score.n) for score in scores]
    same = first.card.data.sha256 == one.card.data.sha256 and where[0] == where[1]
    if None in tests and not same:
        return f"it was made with other data (sha256){_reader(first, one)}"
    teachers = [side.card.teacher and side.card.teacher.sha256 for side in (first, one)]
    if scores[1].of_teacher and teachers[0] != teachers[1]:
        return "its score is agreement with another teacher"
    return ""


def _reader(first: Side, one: Side) -> str:
    versions = [side.run.get("reader", 1) for side in (first, one)]
    return ", or another version of the reader read it" if versions[0] != versions[1] else ""


def gaps(sides: Sequence[Side]) -> list[Gap]:
    """Of every file of those that may be compared with the first."""
    first, *others = sides
    barred = {doubt.label for doubt in doubts(sides) if not doubt.comparable}
    return [
        gap(one.label, precision, one.card.variants[precision].accuracy, against.accuracy)
        for precision in PRECISIONS
        if (against := first.card.variants.get(precision))
        for one in others
        if one.label not in barred and precision in one.card.variants
    ]


def gap(label: str, precision: str, one: Score, first: Score) -> Gap:
    """By the intervals of the two: squares of the halves that face each other are added."""
    value = one.value - first.value
    below = math.hypot(one.value - one.low, first.high - first.value)
    above = math.hypot(one.high - one.value, first.value - first.low)
    return Gap(label, precision, value, value - below, value + above)


# --- latency -------------------------------------------------------------------------------------


def latencies(sides: Sequence[Side]) -> list[Latency]:
    """Rows of the cards that were timed alike: on one device, by one version of a runtime."""
    found: dict[Setup, dict[str, float]] = {}
    for side in sides:
        for row in side.card.latency:
            if row.precision in PRECISIONS:
                found.setdefault(_setup(row), {})[side.label] = row.p50_ms
    return [Latency(setup, times) for setup, times in found.items() if len(times) > 1]


def _setup(row: Measurement) -> Setup:
    return Setup(**{field.name: getattr(row, field.name) for field in fields(Setup)})


# --- what was done differently -------------------------------------------------------------------


def differences(sides: Sequence[Side]) -> dict[str, list[Differing]]:
    """By what they are about."""
    return {"settings": settings(sides), "data": data(sides), "versions": versions(sides)}


def settings(sides: Sequence[Side]) -> list[Differing]:
    """Of those of the first one's task whose run is known: the recipe, defaults written out."""
    alike = (side for side in sides if side.card.task == sides[0].card.task)
    return _differing({side.label: _recipe(side) for side in alike if side.part("recipe")})


def _recipe(side: Side) -> dict[str, Any]:
    """As this version reads it: what came later has its default; else as it was written."""
    found = side.part("recipe")
    with contextlib.suppress(ZooError):  # of a task, or with keys, that are not known here
        found = plain.to_dict(recipe.bind(Document(found, f"{side.label}: run.json")))
    return {key: value for key, value in found.items() if key not in _NAMES}


def data(sides: Sequence[Side]) -> list[Differing]:
    """Hashes and numbers of the data."""
    return _differing(
        {
            side.label: {**plain.essentials(side.card.data), "splits": side.part("data")}
            for side in sides
        }
    )


def versions(sides: Sequence[Side]) -> list[Differing]:
    """When, where and by which versions they were made."""
    return _differing({side.label: _making(side) for side in sides})


def _making(side: Side) -> dict[str, Any]:
    first: Any = next(iter(side.part("seeds").values()), None)
    trained = first if isinstance(first, dict) else {}
    keys = ("commit", "device", "processes", "seconds", "versions", "weights_sha256")
    return {
        "created": side.card.created,
        "commit": side.card.code_commit,
        "recipe_sha256": side.card.recipe_sha256,
        "teacher_sha256": side.card.teacher.sha256 if side.card.teacher else None,
        "versions": side.part("versions"),
        "trained": {key: trained[key] for key in keys if key in trained},
    }


def _differing(told: Mapping[str, Any]) -> list[Differing]:
    """Keys of nested data, with dots, whose values are not all the same; in their order."""
    flat = {label: dict(_flat(value)) for label, value in told.items()}
    keys = dict.fromkeys(key for values in flat.values() for key in values)
    rows = ((key, {k: v[key] for k, v in flat.items() if key in v}) for key in keys)
    return [
        Differing(key, found) for key, found in rows if len(found) < len(flat) or _unlike(found)
    ]


def _unlike(values: Mapping[str, Any]) -> bool:
    return len({json.dumps(value, sort_keys=True) for value in values.values()}) > 1


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for place, inner in enumerate(value):
            yield from _flat(inner, f"{key}[{place}]")
    elif value not in ({}, None):  # as if it were not said
        yield key, value
