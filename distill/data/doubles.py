"""Pictures that stand in two splits: what is measured on them is no measurement."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from distill.data.record import Dataset
from distill.errors import DistillError

SHOWN = 5  # names in a message


class Pair(NamedTuple):
    """One picture in two places."""

    one: str  # split/class/name
    other: str
    same_label: bool


class Doubles(NamedTuple):
    """What `find` found."""

    test: int  # pictures of test that were trained on, or chosen by
    doubts: tuple[str, ...]  # a sentence each


def find(train: Dataset, validation: Dataset, test: Dataset) -> Doubles:
    """Pictures of test in train or validation, and of validation in train: equal in every pixel.

    Files of equal bytes are among them. Raises `DistillError` where a picture of test has another
    label in what is trained on.
    """
    seen = _rows(train) | _rows(validation)
    leaked = _pairs(test, seen)
    wrong = [pair for pair in leaked if not pair.same_label]
    if wrong:
        raise DistillError(
            f"{len(wrong)} pictures of test have another label in train: {_shown(wrong)}",
            "one of the labels is wrong: remove or correct it",
        )
    doubts = _two_labels(train)
    if leaked:
        doubts.append(f"{len(leaked)} pictures of test are trained on, too: {_shown(leaked)}")
    within = _pairs(validation, _rows(train))
    if within:
        differ = sum(not pair.same_label for pair in within)
        other = f" ({differ} with another label)" if differ else ""
        doubts.append(
            f"{len(within)} held-out pictures stand in train, too{other}: {_shown(within)}"
        )
    return Doubles(len(leaked), tuple(doubts))


def _two_labels(train: Dataset) -> list[str]:
    """Pictures of train that stand there under several labels."""
    found = _pairs(train, _rows(train))
    wrong = [pair for pair in found if not pair.same_label]
    if not wrong:
        return []
    return [f"{len(wrong)} pictures of train have another label there, too: {_shown(wrong)}"]


def _rows(data: Dataset) -> dict[bytes, tuple[str, int]]:
    """Name and label of each picture, by its pixels."""
    keys = [hashlib.sha256(image.tobytes()).digest() for image in data.images]
    named = zip(keys, _names(data), data.labels.tolist(), strict=True)
    return {key: (name, label) for key, name, label in named}


def _names(data: Dataset) -> list[str]:
    names = data.names or [f"row {row}" for row in range(len(data))]
    return [f"{data.split}/{name}" for name in names]


def _pairs(data: Dataset, seen: dict[bytes, tuple[str, int]]) -> list[Pair]:
    found = []
    for name, label, image in zip(_names(data), data.labels.tolist(), data.images, strict=True):
        twin = seen.get(hashlib.sha256(image.tobytes()).digest())
        if twin:
            found.append(Pair(name, twin[0], twin[1] == label))
    return found


def _shown(pairs: list[Pair]) -> str:
    some = ", ".join(f"{pair.one} = {pair.other}" for pair in pairs[:SHOWN])
    return some + (f" and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else "")
