"""Which example is in which split: pure functions of names."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

from distill.data.record import Example, Split
from distill.errors import DistillError

TEST_FRACTION = 0.2  # of a source that has no test split of its own


def rank(example: Example) -> str:
    """sha256 of `class/name`, hexadecimal: a random order that never changes."""
    name = f"{example.label}/{example.name}"
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()


def hold_out(examples: Iterable[Example], fraction: float) -> tuple[list[Example], list[Example]]:
    """(held out, rest): per class, the round(fraction * n) examples of smallest `rank`.

    At least one example of every class stays in the rest.
    """
    by_class: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_class[example.label].append(example)
    held: list[Example] = []
    rest: list[Example] = []
    for members in by_class.values():
        members.sort(key=rank)
        count = min(round(fraction * len(members)), len(members) - 1)
        held += members[:count]
        rest += members[count:]
    return held, rest


def select(
    examples: Iterable[Example], split: Split, validation: float, where: str
) -> list[Example]:
    """The examples of one split, in the order of class and name."""
    if split == "test":
        chosen = [e for e in examples if e.split == "test"]
    else:
        held, rest = hold_out((e for e in examples if e.split == "train"), validation)
        chosen = held if split == "validation" else rest
    if not chosen:
        raise DistillError(
            f"the {split} split of {where} is empty",
            f"validation: {validation} of every class is held out, rounded; raise it",
        )
    return sorted(chosen, key=lambda e: (e.label, e.name))


def classes_of(examples: Sequence[Example], order: tuple[str, ...], where: str) -> tuple[str, ...]:
    """The classes in `order`, else sorted by name; both splits must have examples of each."""
    found = {split: {e.label for e in examples if e.split == split} for split in ("train", "test")}
    for split, members in found.items():
        if not members:
            raise DistillError(
                f"{where} has no {split} split",
                "both train and test must be there: the final measurement reads test",
            )
    classes = order or tuple(sorted(found["train"] | found["test"]))
    for split in found:
        missing = [name for name in classes if name not in found[split]]
        if missing:
            raise DistillError(
                f"{where}: {split}/{missing[0]} is missing: the {split} split has no example of "
                f"the class {missing[0]!r}",
                f"{len(missing)} such class(es); every class needs examples in both splits",
            )
    return classes


def with_test(examples: Iterable[Example]) -> list[Example]:
    """For a source without splits: `hold_out` of TEST_FRACTION becomes test, the rest train."""
    held, rest = hold_out(examples, TEST_FRACTION)
    return [e._replace(split="test") for e in held] + [e._replace(split="train") for e in rest]
