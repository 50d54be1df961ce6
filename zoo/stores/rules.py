"""What may be called what in a store: names that are one on some system are refused when they come.

What is there already stays as it is, and can be read and deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from pathlib import Path

from zoo.errors import Exists, StoreError, require
from zoo.records.names import (
    check_path,
    check_stored_path,
    check_stored_ref,
    folded,
    quoted,
)
from zoo.stores import layout
from zoo.stores.git import Add, Change, DeleteFolder


def check_names(folder: Path, refs: layout.Names, new: str) -> None:
    """Refuse refs of a bad name, or to commits that are not here."""
    for _, name, id in layout.each(refs):
        require(check_stored_ref, name, StoreError)
        if id != new and layout.resolve(folder, id) != id:
            raise StoreError(f"{quoted(name)} names a commit that is not here: {quoted(id)}")


def check_free(repo: str, others: Sequence[str]) -> None:
    """Refuse a name that is another one's but for its case: Exists."""
    org = repo.partition("/")[0]
    for other in others:
        theirs = other.partition("/")[0]
        if other.lower() == repo.lower() and other != repo:
            raise Exists(f"{other} exists already")
        if theirs.lower() == org.lower() and theirs != org:
            raise Exists(f"{org} is spelled {theirs} here")


def apart(others: Set[str]) -> Callable[[str], None]:
    """A rule for names of refs: none is another but for its case, none is a folder of another."""

    def check(name: str) -> None:
        for other in others - {name}:
            one, two = sorted((folded(name), folded(other)), key=len)
            if one == two or two.startswith(f"{one}/"):
                raise ValueError(
                    f"{quoted(other)} is there, and both cannot be kept on every system"
                )

    return check


def check_paths(changes: Sequence[Change]) -> None:
    for change in changes:
        folder = isinstance(change, DeleteFolder)
        path = change.path.removesuffix("/") if folder else change.path
        require(check_path if isinstance(change, Add) else check_stored_path, path, StoreError)
