"""What a reader of the catalogue asks for: filters, an order, an axis. Pure, no I/O."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from zoo.errors import InputError
from zoo.serve.catalogue.models import Row
from zoo.serve.catalogue.plot import Point, front

SORTS: dict[str, tuple[str, Callable[[Row], Any]]] = {
    "name": ("name", lambda row: ()),
    "accuracy": (
        "accuracy, best first",
        lambda row: (not row.has_accuracy, row.metric, row.scale.unit, _worse(row)),
    ),
    "size": ("size, smallest first", lambda row: row.size_bytes),
    "latency": ("latency, fastest first", lambda row: row.latency_ms or math.inf),
    "newest": ("newest first", lambda row: [-ord(c) for c in row.created]),
}
AXES = ("latency", "size")
_LONGEST = 200  # characters of a value


@dataclass(frozen=True)
class Query:
    """The fields of the form; what is empty asks for nothing."""

    search: str = ""  # words that must all occur
    task: str = ""
    licence: str = ""
    max_size_mb: str = ""  # a number of 1e6 bytes, above 0
    sort: str = "name"  # of SORTS
    axis: str = "latency"  # of AXES: what the plot sets against accuracy

    @property
    def limit_bytes(self) -> float:
        """The largest size of a file, in bytes."""
        return 1e6 * float(self.max_size_mb) if self.max_size_mb else math.inf


def parse(fields: Mapping[str, str]) -> Query:
    """The query of an address; an InputError for a wrong value, unknown fields are left alone."""
    known = {name: fields[name].strip() for name in Query.__dataclass_fields__ if name in fields}
    for name, value in known.items():
        if len(value) > _LONGEST:
            raise InputError(f"{name} is longer than {_LONGEST} characters")
    query = Query(**{name: value for name, value in known.items() if value})
    _check_choice("sort", query.sort, SORTS)
    _check_choice("axis", query.axis, AXES)
    _check_size(query.max_size_mb)
    return query


def _check_choice(name: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise InputError(f'{name} cannot be "{value}"', f"one of {', '.join(known)}")


def _check_size(text: str) -> None:
    try:
        right = not text or (0 < float(text) < math.inf and text.isascii())
    except ValueError:
        right = False
    if not right:
        raise InputError(f'max_size_mb cannot be "{text}"', "a number of megabytes above 0")


def select(rows: Iterable[Row], query: Query) -> list[Row]:
    """The rows that fit, in the order asked for."""
    words = query.search.casefold().split()
    found = [row for row in rows if _fits(row, query, words)]
    key = SORTS[query.sort][1]
    return sorted(found, key=lambda row: (key(row), row.name, row.repo))


def _fits(row: Row, query: Query, words: list[str]) -> bool:
    text = " ".join(
        (row.repo, row.name, row.summary, row.task, row.licence, row.dataset, row.architecture)
    ).casefold()
    return (
        all(word in text for word in words)
        and query.task in ("", row.task)
        and query.licence in ("", row.licence)
        and row.size_bytes <= query.limit_bytes
    )


def points(rows: Iterable[Row], axis: str) -> list[Point]:
    """What the plot shows: latency in ms or size in 1e6 bytes; without those not timed.

    Students whose score is no accuracy have no place on its other axis.
    """
    rows = [row for row in rows if row.has_accuracy]
    if axis == "size":
        return [_point(row, row.size_bytes / 1e6, row.test_set) for row in rows]
    timed = [(row, row.latency_ms) for row in rows if row.latency_ms is not None]
    alike = len({row.device for row, _ in timed}) == 1
    return [
        _point(row, cost, row.test_set if alike else f"{row.test_set} ({row.device})")
        for row, cost in timed
    ]


def _worse(row: Row) -> float:
    """Larger where the score is worse."""
    return -row.accuracy if row.scale.best == "highest" else row.accuracy


def _point(row: Row, cost: float, group: str) -> Point:
    return Point(row.name, f"/{row.repo}", cost, row.accuracy, group)


def on_front(rows: Iterable[Row], axis: str) -> set[str]:
    """Addresses of the rows that no other of their test set beats, where enough stand."""
    return {point.href for point in front(points(rows, axis))}


def as_json(rows: list[Row], axis: str) -> list[dict[str, Any]]:
    """The rows for machines, each told whether it is on the front of these rows."""
    best = on_front(rows, axis)
    return [
        {**asdict(row), "pareto": f"/{row.repo}" in best, "url": f"/{row.repo}"} for row in rows
    ]
