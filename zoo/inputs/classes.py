"""Folders that are called like a student's labels: of what is in them the right answer is known."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import InputError
from zoo.inputs import pictures
from zoo.records.reader import near


@dataclass(frozen=True)
class Classes:
    """The right answer of each file below some folders, the roots."""

    roots: tuple[str, ...]  # what the paths below each begin with
    named: Mapping[str, str]  # folder of a root -> the label that it is called like
    others: tuple[str, ...] = ()  # folders of roots that are no class
    outside: int = 0  # files that stand in no class

    def of(self, file: Path) -> str | None:
        """The label of a file; None: it stands in no class."""
        return self.named.get(_folder(file, self.roots))


def classes(roots: Iterable[Path], files: Iterable[Path], labels: Sequence[str]) -> Classes | None:
    """The classes of `files`; None where the folders of the `roots` are not called like labels.

    They are where all of them are, or more than one. A name that only differs from a label in how
    it is written (capitals, Unicode's normal form) is that label.
    """
    places = tuple(map(_start, roots))
    counts = Counter(_folder(file, places) for file in files)
    folders = [name for name in counts if name]
    named = _named(folders, labels)
    if not named or len(named) == 1 < len(folders):
        return None
    others = tuple(name for name in folders if name not in named)
    return Classes(places, named, others, sum(n for name, n in counts.items() if name not in named))


def labelled(root: Path, labels: Sequence[str]) -> tuple[Path, list[Path], Classes]:
    """Every picture below `root`, each in the folder of its class, and where they are.

    Where `root` is a data set in splits, that is its test split. What stands in no class is an
    error.
    """
    files = pictures.found([root])
    found = classes([root], files, labels)
    if found is None and (test := _test_split(root)):
        return labelled(test, labels)
    if found is None or found.outside:
        what = ", ".join(found.others[:3]) if found and found.others else ""
        said = f"is in no class of the student ({what})" if what else "is in no folder of a class"
        count = found.outside if found else len(files)
        first = near(found.others[0], labels) if found and found.others else ""
        raise InputError(f"{root}: of {len(files):,} pictures {count:,} {said}", first or LAYOUT)
    return root, files, found


LAYOUT = "labelled pictures are LABEL/NAME.jpg, or test/LABEL/NAME.jpg"


def _test_split(root: Path) -> Path | None:
    """The folder of a data set that is its test split, as training reads it."""
    from distill.data.tree import SPLITS

    roles = {SPLITS.get(path.name.casefold()): path for path in root.iterdir() if path.is_dir()}
    return roles.get("test") or roles.get("validation")


def _folder(file: Path, roots: Sequence[str]) -> str:
    """The folder of a root that a file is in, at any depth; "": it is in none."""
    name = str(file)
    for root in roots:
        if name.startswith(root):
            folder, below, _ = name[len(root) :].partition(os.sep)
            if folder and below:
                return folder
    return ""


def _start(root: Path) -> str:
    """What the paths of all that is below a root begin with."""
    return "" if root == Path() else str(root).rstrip(os.sep) + os.sep


def _named(folders: Sequence[str], labels: Sequence[str]) -> dict[str, str]:
    """Folder -> label, of the folders that are called like one."""
    from distill.names import look

    alike = Counter(map(look, labels))
    meant = {look(label): label for label in labels if alike[look(label)] == 1}
    exact = {label: label for label in labels}
    found = {name: exact.get(name) or meant.get(look(name)) for name in folders}
    return {name: label for name, label in found.items() if label}
