"""The layout `split/class/name.ext`, the same in a folder, a zip and a tar: pure functions.

- The splits are `train` and `test`. `val` beside both is what is held out; without `test` it is the
  test split, and a part of train is held out. `training`, `testing`, `valid`, `validation` and
  `dev` are other names of theirs; capitals do not matter. Another folder beside them is an error.
- `class/name.ext` alone has no splits: a fifth of each class becomes test.
- One folder around everything is looked through (`name-main/train/...`).
- What systems leave behind is passed over (`distill.names`), and so are files at the top (README,
  LICENSE).
- Anything else that is not a picture in a class folder is an error: what is in a data set is
  there on purpose or it is a mistake.

What was decided here without being asked is said: `Listing.doubts`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from distill.data.record import Example, Listing, Split
from distill.data.split import SHOWN, with_splits
from distill.errors import DistillError
from distill.names import SUFFIXES, ignored, is_picture

SPLITS: dict[str, Split] = {  # by a folder's name in lower case
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
}
UNLABELLED = "without labels it is data.labelled: false, and the student learns from its teacher"
LAYOUT = "the layout is split/class/name.ext with the splits train and test, or class/name.ext"


def member_name(name: str, where: str) -> str:
    """The name of an archive's member, tidied; an error if it points out of the archive."""
    if leads_out(name):
        raise DistillError(
            f"{where}: the member {name!r} points out of the archive",
            "names must be relative, with forward slashes and no '..'; pack it again",
        )
    return str(PurePosixPath(name))


def leads_out(name: str) -> bool:
    """Whether a name is no relative path below where it stands, on whatever system."""
    path = PurePosixPath(name)
    odd = "\\" in name or "\0" in name or ":" in name[:2]
    return odd or path.is_absolute() or ".." in path.parts


def parse(files: Iterable[str], folders: Iterable[str], where: str) -> Listing:
    """The examples among `files`, relative names; `folders` shows which classes are empty."""
    files = list(files)
    every = {*folders, *(name.rpartition("/")[0] for name in files)}  # of debris alone, too
    wanted = [name for name in files if not ignored(name)]
    top = wrapper(wanted)
    inside = [name for name in wanted if "/" in name.removeprefix(top)]
    splits = _splits({name.removeprefix(top).split("/")[0] for name in inside}, where)
    examples = [_example(name, top, splits, where) for name in inside]
    if not examples and (doubts := _strays(wanted, top)):
        raise DistillError(f"{where}: {doubts[0]}", f"{LAYOUT}; {UNLABELLED}")
    check_unique(examples, where)
    _check_full(examples, top, splits, every, where)
    doubts = _strays(wanted, top)
    found = with_splits(examples, "" if splits else "no train/ and test/")
    return found._replace(doubts=(*doubts, *found.doubts))


def wrapper(files: list[str]) -> str:
    """`name/` if one folder that is not a split holds everything, else the empty string."""
    tops = {name.split("/")[0] for name in files if "/" in name}
    if len(tops) == 1 and not roles(tops):
        return tops.pop() + "/"
    return ""


def roles(tops: Iterable[str]) -> dict[str, Split]:
    """Those that are named like a split."""
    return {top: SPLITS[top.casefold()] for top in tops if top.casefold() in SPLITS}


def _splits(tops: set[str], where: str) -> dict[str, Split]:
    """The split of each top folder; empty where they are classes."""
    found = roles(tops)
    for split in found.values():
        names = sorted(top for top in found if found[top] == split)
        if len(names) > 1:
            raise DistillError(f"{where}: {' and '.join(names)} are the same split", LAYOUT)
    return found


def _layout(splits: dict[str, Split]) -> str:
    """The hint where `_splits` may have taken a class for a split."""
    if not splits:
        return LAYOUT
    read = " and ".join(f"{top}/" for top in sorted(splits))
    return f"{LAYOUT}; {read} was read as a split: name it otherwise if it is a class"


def _example(name: str, wrapper: str, splits: dict[str, Split], where: str) -> Example:
    parts = name.removeprefix(wrapper).split("/")
    if splits and parts[0] not in splits:
        raise DistillError(f"{where}: {name} is in neither train nor test", _layout(splits))
    split: Split = splits[parts.pop(0)] if splits else "train"
    if len(parts) != 2:
        raise DistillError(f"{where}: {name} is not in a class folder", _layout(splits))
    if not is_picture(name):
        raise DistillError(
            f"{where}: {name} does not have the name of a picture",
            f"remove it; pictures end in {', '.join(sorted(SUFFIXES))}",
        )
    label, file = parts
    return Example(split, label, file, name)


def _check_full(
    examples: list[Example], wrapper: str, splits: dict[str, Split], folders: set[str], where: str
) -> None:
    """Every class folder holds something."""
    full = {str(PurePosixPath(str(e.key)).parent) for e in examples}
    tops = [f"{wrapper}{split}/" for split in splits] or [wrapper]
    empty = []
    for folder in sorted(folders - full):
        top, _, label = folder.rpartition("/")
        if label and (f"{top}/" if top else "") in tops and examples and not ignored(folder):
            empty.append(folder)
    if empty:
        kind = "class folder" + ("s" if len(empty) > 1 else "")
        some = ", ".join(empty[:SHOWN]) + (" and others" if len(empty) > SHOWN else "")
        raise DistillError(
            f"{where}: the {kind} {some} {'are' if empty[1:] else 'is'} empty", LAYOUT
        )


def _strays(files: list[str], wrapper: str) -> tuple[str, ...]:
    """Pictures at the top are in no class."""
    found = [n for n in files if "/" not in n.removeprefix(wrapper) and is_picture(n)]
    if not found:
        return ()
    return (f"{len(found)} pictures are in no class folder and passed over, as {found[0]}",)


def check_unique(examples: list[Example], where: str) -> None:
    """An archive may hold a name twice."""
    seen: set[str | int] = set()
    for example in examples:
        if example.key in seen:
            raise DistillError(f"{where}: {example.key} is in it twice", "pack it again")
        seen.add(example.key)
