"""Where a repository's commits and refs stand in its folder, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote

from zoo.errors import Damaged, RevisionNotFound
from zoo.records.names import check_stored_ref
from zoo.stores.git import Commit, Refs, from_json

Kind = Literal["heads", "tags"]
KINDS: tuple[Kind, Kind] = ("heads", "tags")
Names = Mapping[Kind, Mapping[str, str]]  # kind -> name -> commit id


def commit_path(folder: Path, id: str) -> Path:
    """The file of a commit."""
    return folder / "commits" / f"{id}.json"


def ref_path(folder: Path, kind: Kind, name: str) -> Path:
    """The file of a branch or tag; a "/" in its name is no folder."""
    return folder / "refs" / kind / quote(name, safe="")


def each(refs: Names) -> Iterator[tuple[Kind, str, str]]:
    """Kind, name and commit id of each ref."""
    return ((kind, name, id) for kind, ids in refs.items() for name, id in ids.items())


def line(id: str) -> bytes:
    """What a ref's file holds."""
    return f"{id}\n".encode()


def read_commit(path: Path) -> Commit:
    """A commit from its file. RevisionNotFound: not there. Damaged: it cannot be read."""
    try:
        return from_json(path.stem, path.read_bytes())
    except FileNotFoundError:
        raise RevisionNotFound(f"the commit {path.stem} is not here") from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise Damaged(f"{path}: the commit is damaged", "run `zoo store fsck`") from None


def read_ref(path: Path) -> str | None:
    """The commit id that a ref holds; None where there is no such ref. Damaged: none in it."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    if not re.fullmatch(rb"[0-9a-f]{40}\n", text):
        raise Damaged(f"{path}: holds no commit id", "run `zoo store fsck`")
    return text[:40].decode()


def read_refs(folder: Path) -> Refs:
    """All branches and tags, sorted by name."""
    return Refs(_read_kind(folder, "heads"), _read_kind(folder, "tags"))


def _read_kind(folder: Path, kind: Kind) -> dict[str, str]:
    parent = folder / "refs" / kind
    paths = parent.iterdir() if parent.is_dir() else ()
    found = {unquote(path.name): read_ref(path) for path in paths}
    return {name: id for name, id in sorted(found.items()) if id is not None}


def find_ref(folder: Path, kind: Kind, name: str) -> str | None:
    """The commit id of one branch or tag; None for what is not there, or is no name."""
    try:
        check_stored_ref(name)
    except ValueError:
        return None
    return read_ref(ref_path(folder, kind, name))


def resolve(folder: Path, revision: str) -> str | None:
    """The commit id of a branch, a tag, refs/heads/x, refs/tags/x or 40 hex digits."""
    for kind in KINDS:
        prefix = f"refs/{kind}/"
        if revision.startswith(prefix):
            return find_ref(folder, kind, revision.removeprefix(prefix))
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return revision if commit_path(folder, revision).is_file() else None
    return find_ref(folder, "heads", revision) or find_ref(folder, "tags", revision)
