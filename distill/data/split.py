"""Which example is in which split: pure functions of names."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from distill import names
from distill.data.record import Example, Listing, Split
from distill.errors import DistillError

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SHOWN = 10  # classes in a message
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
    """The examples of one split, in the order of class and name.

    A source that has a validation split has it held out; else `validation` of train is.
    """
    of = _divided(examples, validation)
    if not of[split]:
        raise DistillError(
            f"the {split} split of {where} is empty",
            f"validation: {validation} of every class is held out, rounded; raise it",
        )
    return sorted(of[split], key=lambda e: (e.label, e.name))


def _divided(examples: Iterable[Example], validation: float) -> dict[Split, list[Example]]:
    of: dict[Split, list[Example]] = {split: [] for split in SPLITS}
    for example in examples:
        of[example.split].append(example)
    if not of["validation"]:
        of["validation"], of["train"] = hold_out(of["train"], validation)
    return of


def classes_of(
    examples: Sequence[Example], order: tuple[str, ...], where: str, sort: str = "name"
) -> tuple[str, ...]:
    """The classes in `order`, else sorted by name; train and test must have examples of each.

    sort "natural": numbers in names count as numbers.
    """
    found = {split: {e.label for e in examples if e.split == split} for split in SPLITS}
    needed: tuple[Split, ...] = ("train", "test")
    for split in needed:
        if not found[split]:
            raise DistillError(
                f"{where} has no {split} split",
                "both train and test must be there: the final measurement reads test",
            )
    every = found["train"] | found["test"] | found["validation"]
    _check_spelling(every, found, where)
    classes = order or tuple(sorted(every, key=names.natural if sort == "natural" else str))
    missing = [f"{s}/{name}" for s in needed for name in classes if name not in found[s]]
    if missing:
        raise _missing(missing, where, "every class needs examples in both splits")
    return classes


def check_left(chosen: Sequence[Example], classes: Sequence[str], split: Split, where: str) -> None:
    """What is left of a split without its broken pictures is enough to train and to measure on."""
    found = {example.label for example in chosen}
    bare = [f"{split}/{name}" for name in classes if name not in found]
    hint = "all of its pictures there are broken: replace some of them"
    if bare and (split != "validation" or not chosen):
        raise _missing(bare, where, hint)
    if not chosen:
        raise DistillError(f"{where}: the {split} split is empty", hint)


def _missing(places: Sequence[str], where: str, hint: str) -> DistillError:
    """places are split/class."""
    some = ", ".join(places[:SHOWN]) + (" and others" if len(places) > SHOWN else "")
    split, _, name = places[0].partition("/")
    if len(places) == 1:
        what = f"is missing: the {split} split has no example of the class {name!r}"
    else:
        what = f"are missing: {len(places)} classes have no example in a split"
    return DistillError(f"{where}: {some} {what}", hint)


def _check_spelling(every: set[str], found: dict[Split, set[str]], where: str) -> None:
    """Names are text, and no class is written in two ways.

    By case alone, two may differ that are in the same splits.
    """
    for name in every:
        if name != name.encode(errors="replace").decode():
            raise DistillError(
                f"{where}: the name of the class {name!r} is no text: its bytes are not UTF-8",
                "rename its folder",
            )
    for group in names.alike(every):
        for one, other in itertools.combinations(group, 2):
            ways = names.difference(one, other)
            if ways == names.CASE and all((one in f) == (other in f) for f in found.values()):
                continue
            places = [f"{next(s for s in found if n in found[s])}/{n}" for n in (one, other)]
            raise DistillError(
                f"{where}: {places[0]!r} and {places[1]!r} differ in {ways} only",
                "one class has one name: rename one of the folders",
            )


def not_held_out(examples: Sequence[Example], validation: float) -> tuple[str, ...]:
    """Which classes have no example by which choices are made, as one sentence."""
    of = _divided(examples, validation)
    count = Counter(e.label for e in of["train"])
    bare = sorted(set(count) - {e.label for e in of["validation"]})
    if not bare:
        return ()
    some = ", ".join(f"{name!r} ({count[name]} in train)" for name in bare[:5])
    more = f" and {len(bare) - 5} more" if len(bare) > 5 else ""
    return (f"no example is held out of {some}{more}: no choice looks at them",)


def said(examples: Sequence[Example], why: str) -> tuple[str, ...]:
    """What `with_test` held out, as one sentence."""
    if not examples:
        return ()
    held = sum(e.split == "test" for e in examples)
    what = (
        "each class by the sha256 of class/name"
        if examples[0].label
        else "them by the sha256 of the name"
    )
    how = f"a fifth of {what}"
    return (f"{why}: {held} of {len(examples)} pictures, {how}, are held out as the test split",)


def with_splits(examples: list[Example], why: str = "") -> Listing:
    """As a source names them, `val` being the test split where there is no other.

    why there are none, in words: then a fifth becomes test.
    """
    if why:
        examples = with_test(examples)
        return Listing(examples, (), said(examples, why))
    splits = {example.split for example in examples}
    if "test" in splits or "validation" not in splits:
        return Listing(examples)
    examples = [e._replace(split="test") if e.split == "validation" else e for e in examples]
    count = sum(e.split == "test" for e in examples)
    return Listing(examples, (), (f"no test/: the {count} pictures of val/ are the test split",))


def with_test(examples: Iterable[Example]) -> list[Example]:
    """For a source without splits: `hold_out` of TEST_FRACTION becomes test, the rest train."""
    held, rest = hold_out(examples, TEST_FRACTION)
    return [e._replace(split="test") for e in held] + [e._replace(split="train") for e in rest]
