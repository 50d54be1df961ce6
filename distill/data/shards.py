"""A folder of WebDataset shards: tars, in which files of one name are a sample.

    train-000000.tar    000017.jpg, 000017.cls, 000018.jpg, 000018.cls, ...

- A name ends at its first dot. A sample is one picture and its label: `.cls`, a name or a number in
  text, or `.json` with a field `label`, `class` or `category`. Its other files are not looked at.
- The split of a shard is the first word of its name or the name of its folder; where no shard says
  one, a fifth of each class becomes test.
- A shard is a tar as `archives` reads it: nothing is unpacked to disk, links and bombs are refused.

Pictures are read in the order of the shards, one shard at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from distill.data import tree
from distill.data.archives import Tar
from distill.data.record import Example, Listing, Picture, Split
from distill.data.split import with_splits
from distill.data.tables import LABELS
from distill.errors import DistillError
from distill.names import SUFFIXES, ignored, is_picture

PATTERNS = ("*.tar", "*/*.tar", "*.tar.gz", "*/*.tar.gz")


class Shard(NamedTuple):
    """One tar."""

    path: Path
    name: str  # relative to the folder
    split: Split | None  # None: its name says none


class Sample(NamedTuple):
    """What a shard holds under one name."""

    picture: str = ""  # the member
    label: str = ""


def shards_of(folder: Path) -> list[Shard]:
    """The shards in a folder, by name; none where it holds pictures as well."""
    found = {path for pattern in PATTERNS for path in folder.glob(pattern)}
    names = sorted((path.relative_to(folder).as_posix(), path) for path in found)
    shards = [Shard(path, name, _split(name)) for name, path in names if not ignored(name)]
    pictures = (path for form in ("*", "*/*", "*/*/*") for path in folder.glob(form))
    if shards and any(is_picture(path.name) for path in pictures):
        return []
    return shards


def _split(name: str) -> Split | None:
    """As the first word of a shard's name, or its folder, says."""
    folder, _, file = name.rpartition("/")
    words = (re.split("[-._]", file)[0].casefold(), folder.casefold())
    return next((tree.SPLITS[word] for word in words if word in tree.SPLITS), None)


class Shards:
    """Names and labels are read by `listing`, in one pass of every shard."""

    def __init__(self, folder: Path, shards: Sequence[Shard]) -> None:
        self.where = str(folder)
        self.shards = shards

    def listing(self) -> Listing:
        """Every sample. Classes that are numbers stand in their order."""
        found = self._listing(labelled=True)
        every = {example.label for example in found.examples}
        numbers = all(name.isascii() and name.isdigit() for name in every)
        return found._replace(classes=tuple(sorted(every, key=int)) if numbers else ())

    def pictures(self) -> Listing:
        """Every picture, as if none had a label."""
        return self._listing(labelled=False)

    def read(self, wanted: Sequence[Example]) -> Iterator[Picture]:
        """The pictures of `wanted`, in the order of the shards."""
        places = {str(example.key): place for place, example in enumerate(wanted)}
        used = {key.partition(":")[0] for key in places}
        for number, shard in enumerate(self.shards):
            if str(number) not in used:
                continue
            for name, content in Tar(shard.path).contents(lambda n, i=number: f"{i}:{n}" in places):  # type: ignore[misc]
                yield Picture(places[f"{number}:{name}"], f"{shard.path}: {name}", content)

    def _listing(self, labelled: bool) -> Listing:
        examples = [
            Example(shard.split or "train", one.label, f"{shard.name}/{key}", f"{i}:{one.picture}")
            for i, shard in enumerate(self.shards)
            for key, one in _samples(shard, labelled).items()
        ]
        without = [shard.name for shard in self.shards if shard.split is None]
        if without and len(without) < len(self.shards):
            raise DistillError(
                f"{self.where}: {without[0]} is in no split, and other shards are in one",
                "name all of them train-..., test-..., or none",
            )
        return with_splits(examples, "the shards name no split" if without else "")


def _samples(shard: Shard, labelled: bool) -> dict[str, Sample]:
    """By name; a `DistillError` where one has not one picture, or no label."""
    found: dict[str, Sample] = {}
    for name, content in Tar(shard.path).contents(lambda name: not ignored(name)):
        folder, slash, file = name.rpartition("/")
        stem, _, ending = file.partition(".")
        key = f"{folder}{slash}{stem}"
        sample = found.get(key, Sample())
        if f".{ending.lower()}" in SUFFIXES:
            if sample.picture:
                raise DistillError(f"{shard.path}: {key} has two pictures", "a sample has one")
            found[key] = sample._replace(picture=name)
        elif ending == "cls" and labelled:
            found[key] = sample._replace(label=_text(content, shard, name).strip())
        elif ending == "json" and labelled and not sample.label:
            found[key] = sample._replace(label=_of_json(content, shard, name))
    found = {key: sample for key, sample in found.items() if any(sample)}
    for key, sample in found.items():
        if not sample.picture or (labelled and not sample.label):
            what = "label (.cls)" if sample.picture else "picture"
            raise DistillError(f"{shard.path}: {key} has no {what}", "a sample has both")
    return found


def _text(content: bytes, shard: Shard, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise DistillError(f"{shard.path}: {name} is not UTF-8 text") from None


def _of_json(content: bytes, shard: Shard, name: str) -> str:
    """The label in a sample's facts; empty where there is none."""
    try:
        facts = json.loads(_text(content, shard, name))
    except (ValueError, RecursionError) as error:
        raise DistillError(f"{shard.path}: {name} is not JSON: {error}") from None
    given = [facts[key] for key in LABELS if key in facts] if isinstance(facts, dict) else []
    label = given[0] if given else ""
    if isinstance(label, bool) or not isinstance(label, str | int):
        raise DistillError(f"{shard.path}: the label in {name} is {label!r}", "a name or a number")
    return str(label).strip()
