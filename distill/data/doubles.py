"""Pictures that stand twice: what is measured on them, or learned from them, is doubtful."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from distill.data.record import Dataset
from distill.errors import DistillError

SHOWN = 5  # names in a message


class Seen(NamedTuple):
    """One picture and its label."""

    name: str  # split/class/name
    label: int


class Pair(NamedTuple):
    """One picture in two places; the other has another label, if any has."""

    one: Seen
    other: Seen

    @property
    def same_label(self) -> bool:
        """Whether both places agree."""
        return self.one.label == self.other.label


class Doubles(NamedTuple):
    """What `find` found."""

    test: int  # pictures of test that were trained on, or chosen by
    doubts: tuple[str, ...]  # a sentence each


Places = dict[bytes, list[Seen]]
"""Where each picture stands, by the hash of its pixels"""


def find(train: Dataset, validation: Dataset, test: Dataset) -> Doubles:
    """Pictures that are equal in every pixel: of two splits, or of one under two labels.

    Files of equal bytes are among them. Raises `DistillError` where a picture of test has another
    label anywhere in what is trained on.
    """
    trained, held, tested = _places(train), _places(validation), _places(test)
    leaked = _pairs(tested, {key: trained.get(key, []) + held.get(key, []) for key in tested})
    wrong = [pair for pair in leaked if not pair.same_label]
    if wrong:
        raise DistillError(
            f"{len(wrong)} pictures of test have another label in train: {_shown(wrong)}",
            "one of the labels is wrong: remove or correct it",
        )
    doubts = []
    if leaked:
        doubts.append(f"{len(leaked)} pictures of test are trained on, too: {_shown(leaked)}")
    within = _pairs(held, trained)
    if within:
        differ = sum(not pair.same_label for pair in within)
        other = f" ({differ} with another label)" if differ else ""
        doubts.append(
            f"{len(within)} held-out pictures stand in train, too{other}: {_shown(within)}"
        )
    for split, places in (("train", trained), ("validation", held), ("test", tested)):
        torn = list(_torn(places))
        if torn:
            doubts.append(
                f"{len(torn)} pictures of {split} have another label there, too: {_shown(torn)}"
            )
    return Doubles(len(leaked), tuple(doubts))


def _places(data: Dataset) -> Places:
    names = data.names or [f"row {row}" for row in range(len(data))]
    places: Places = defaultdict(list)
    for name, label, image in zip(names, data.labels.tolist(), data.images, strict=True):
        key = hashlib.sha256(image.tobytes()).digest()
        places[key].append(Seen(f"{data.split}/{name}", label))
    return dict(places)


def _pairs(places: Places, others: Places) -> list[Pair]:
    """Each picture of places that others have, too."""
    return [
        Pair(one, _other(one, others[key]))
        for key, seen in places.items()
        if others.get(key)
        for one in seen
    ]


def _torn(places: Places) -> Iterator[Pair]:
    """Pictures that stand under more than one label, each once."""
    pairs = (Pair(seen[0], _other(seen[0], seen)) for seen in places.values())
    return (pair for pair in pairs if not pair.same_label)


def _other(one: Seen, seen: list[Seen]) -> Seen:
    """One of seen with another label than `one`, or else the first."""
    return next((other for other in seen if other.label != one.label), seen[0])


def _shown(pairs: list[Pair]) -> str:
    some = ", ".join(f"{pair.one.name} = {pair.other.name}" for pair in pairs[:SHOWN])
    return some + (f" and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else "")
