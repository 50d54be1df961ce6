"""Models of others with the accuracy that they published; nothing here was measured by us.

    for model in baselines.on(baselines.packaged(), score): ...

`baselines.yaml`, beside this module, has them by test set: a score can stand beside another only
where metric, data set, split and number of examples are the same. What was measured here of other
tools is something else: `records.peers`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol

from zoo.errors import CardError
from zoo.records import reader
from zoo.records.names import check, quoted
from zoo.records.text import Document, load_yaml
from zoo.said import one_line

FILE = Path(__file__).with_name("baselines.yaml")
_LONGEST = 80  # characters of a name, a source, a metric and a data set


@dataclass(frozen=True)
class Baseline:
    """A model as somebody else published it."""

    name: str  # as the field calls it: "ResNet-20"
    accuracy_percent: float  # of its float weights, on the test set that it stands under
    parameters: int  # as the source rounds them
    source: str  # public repository or paper, as people call it
    url: str  # where the figures stand: an https address, of one commit where there are commits
    read: str  # ISO date on which it said so
    macs: int | None = None  # multiply-accumulates of one example; None: not stated

    def __post_init__(self) -> None:
        _check_plain(self.name, "name")
        _check_plain(self.source, "source")
        percent = self.accuracy_percent
        check(1 < percent <= 100, f"accuracy_percent is per cent in (1, 100], not {percent}")
        check(self.parameters > 0, f"parameters must be positive, not {self.parameters}")
        check(self.macs is None or self.macs > 0, f"macs must be positive, not {self.macs}")
        right = re.fullmatch(r"https://[A-Za-z0-9][A-Za-z0-9._~:/?#@!$&*+,;=%-]*", self.url)
        check(right is not None, f"url must be an https address, not {quoted(self.url)}")
        check(_is_day(self.read), f"read must be a day as 2026-01-31, not {quoted(self.read)}")

    @property
    def accuracy(self) -> float:
        """A fraction in [0, 1], as scores of cards are."""
        return self.accuracy_percent / 100


@dataclass(frozen=True)
class Baselines:
    """Those of one test set."""

    metric: str  # as cards call it: "top-1 accuracy"
    dataset: str  # as cards call it: "CIFAR-10"
    split: str  # "test"
    n: int  # examples
    models: tuple[Baseline, ...]

    def __post_init__(self) -> None:
        _check_plain(self.metric, "metric")
        _check_plain(self.dataset, "dataset")
        check(self.metric.endswith("accuracy"), f"metric must be an accuracy, not {self.metric}")
        check(self.n > 0, f"n must be positive, not {self.n}")
        check(bool(self.models), "models must not be empty")
        _check_once((model.name.casefold() for model in self.models), "models")


class Tested(Protocol):
    """What tells which test set something was measured on: a score, a row, `Baselines`."""

    @property
    def metric(self) -> str: ...
    @property
    def dataset(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def n(self) -> int: ...


@dataclass(frozen=True)
class _File:
    """The whole of baselines.yaml."""

    format: Literal[1]
    test_sets: tuple[Baselines, ...]

    def __post_init__(self) -> None:
        _check_once((str(tested_on(one)) for one in self.test_sets), "test_sets")


@lru_cache(maxsize=1)
def packaged() -> tuple[Baselines, ...]:
    """Those that come with this package."""
    return load(FILE)


def load(path: Path) -> tuple[Baselines, ...]:
    """Those of a file, their texts fit to be shown; a CardError names file and line."""
    return bind(load_yaml(path, CardError))


def bind(document: Document) -> tuple[Baselines, ...]:
    """Those of a document."""
    found = reader.read(_File, document, CardError).test_sets
    return tuple(replace(one, models=tuple(map(cleaned, one.models))) for one in found)


def tested_on(score: Tested) -> tuple[str, str, str, int]:
    """What two scores must share to be compared."""
    return score.metric, score.dataset, score.split, score.n


def on(found: Iterable[Baselines], score: Tested) -> tuple[Baseline, ...]:
    """Those that were measured on the test set of `score`, the smallest first."""
    models = [m for one in found if tested_on(one) == tested_on(score) for m in one.models]
    return tuple(sorted(models, key=lambda model: (model.parameters, model.name)))


def cleaned(model: Baseline) -> Baseline:
    """The same with texts that are fit to be shown."""
    name, source = one_line(model.name, _LONGEST), one_line(model.source, _LONGEST)
    return replace(model, name=name, source=source)


def _check_plain(value: str, key: str) -> None:
    """Refuse no text, a long one, and what markdown or HTML could take for more than text."""
    plain = bool(value.strip()) and len(value) <= _LONGEST and not set(value) & set("[]<>`|*")
    check(plain, f"{key} must be at most {_LONGEST} characters without markup, not {quoted(value)}")


def _check_once(names: Iterable[str], key: str) -> None:
    seen: set[str] = set()
    for name in names:
        check(name not in seen, f"{key} has {quoted(name)} twice")
        seen.add(name)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
