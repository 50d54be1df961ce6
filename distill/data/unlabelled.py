"""Pictures without labels, in folders and archives of any depth: pure functions of names.

A folder says nothing of what a picture shows. Only where all pictures lie in folders that are named
like splits, `train` and `test` among them, they are these splits; else a fifth becomes test. What
is no picture is passed over, and said.

A label is the empty string, and a name the whole path. Who gives labels later: `Dataset.answered`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from distill.data.record import Example, Listing
from distill.data.split import with_splits
from distill.data.tree import check_unique, roles, wrapper
from distill.errors import DistillError
from distill.names import ignored, is_picture


def parse(files: Iterable[str], where: str) -> Listing:
    """The pictures among `files`, relative names."""
    seen = [name for name in files if not ignored(name)]
    names = [name for name in seen if is_picture(name)]
    if not names:
        raise DistillError(f"{where} holds no picture", "pictures are known by their endings")
    examples = _divided(names)
    check_unique(examples, where)
    others = [name for name in seen if not is_picture(name)]
    count = f"{len(others)} files are not named like pictures and passed over"
    doubts = (f"{count}, as {others[0]}",) if others else ()
    tested = any(example.split == "test" for example in examples)
    found = with_splits(examples, "" if tested else "no train/ and test/")
    return found._replace(doubts=(*doubts, *found.doubts))


def _divided(names: Sequence[str]) -> list[Example]:
    """Into the splits that folders name, if they name train and test; else all into train."""
    top = wrapper(list(names))
    inside = [name.removeprefix(top) for name in names]
    splits = roles({name.split("/")[0] for name in inside if "/" in name})
    parts = [name.partition("/") for name in inside]
    found = set(splits.values())
    if not {"train", "test"} <= found or not all(first in splits for first, _, _ in parts):
        return [Example("train", "", name, name) for name in names]
    return [
        Example(splits[first], "", rest, name)
        for name, (first, _, rest) in zip(names, parts, strict=True)
    ]


def without_labels(listing: Listing) -> Listing:
    """What a source of labelled pictures holds, as if nobody had said what they show."""
    examples = [e._replace(label="", name=f"{e.label}/{e.name}") for e in listing.examples]
    return Listing(examples, (), listing.doubts)
