"""The layout `split/class/name.ext`, the same in a folder, a zip and a tar: pure functions.

- The splits are `train` and `test`; another folder beside them is an error.
- One folder around everything is looked through (`name-main/train/...`).
- Hidden files (a part of the path begins with a dot), `__MACOSX`, `Thumbs.db` and `desktop.ini`
  are passed over, and so are files at the top (README, LICENSE).
- Anything else that is not a picture in a class folder is an error: what is in a data set is
  there on purpose or it is a mistake.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from distill.data.pictures import SUFFIXES
from distill.data.record import Example, Listing
from distill.errors import DistillError

SPLITS = ("train", "test")
LAYOUT = "the layout is split/class/name.ext with the splits train and test"
_DEBRIS = frozenset(("__MACOSX", "Thumbs.db", "desktop.ini"))


def member_name(name: str, where: str) -> str:
    """The name of an archive's member, tidied; an error if it points out of the archive."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or ":" in name[:2]:
        raise DistillError(
            f"{where}: the member {name!r} points out of the archive",
            "names must be relative, with forward slashes and no '..'; pack it again",
        )
    return str(path)


def parse(files: Iterable[str], folders: Iterable[str], where: str) -> Listing:
    """The examples among `files`, relative names; `folders` shows which classes are empty."""
    wanted = [name for name in files if not ignored(name)]
    wrapper = _wrapper(wanted)
    examples = [e for name in wanted if (e := _example(name, wrapper, where))]
    _check_unique(examples, where)
    full = {f"{wrapper}{e.split}/{e.label}" for e in examples}
    for folder in sorted(set(folders) - full):
        parts = folder.removeprefix(wrapper).split("/")
        if len(parts) == 2 and parts[0] in SPLITS and not ignored(folder):
            raise DistillError(f"{where}: the class folder {folder} is empty", LAYOUT)
    return Listing(examples)


def ignored(name: str) -> bool:
    """Whether a relative name is what systems leave behind."""
    return any(part.startswith(".") or part in _DEBRIS for part in name.split("/"))


def _wrapper(files: list[str]) -> str:
    """`name/` if one folder that is not a split holds everything, else the empty string."""
    tops = {name.split("/")[0] for name in files if "/" in name}
    if len(tops) == 1 and not tops & set(SPLITS):
        return tops.pop() + "/"
    return ""


def _example(name: str, wrapper: str, where: str) -> Example | None:
    parts = name.removeprefix(wrapper).split("/")
    if len(parts) == 1:
        return None
    split = parts[0]
    if split not in SPLITS:
        raise DistillError(f"{where}: {name} is in neither train nor test", LAYOUT)
    if len(parts) != 3:
        raise DistillError(f"{where}: {name} is not in a class folder", LAYOUT)
    if PurePosixPath(name).suffix.lower() not in SUFFIXES:
        raise DistillError(
            f"{where}: {name} does not have the name of a picture",
            f"remove it; pictures end in {', '.join(sorted(SUFFIXES))}",
        )
    return Example("train" if split == "train" else "test", parts[1], parts[2], name)


def _check_unique(examples: list[Example], where: str) -> None:
    seen: set[str | int] = set()
    for example in examples:
        if example.key in seen:
            raise DistillError(f"{where}: {example.key} is in it twice", "pack it again")
        seen.add(example.key)
