"""The students of this machine's registry, offered by `zoo serve` at their pinned revisions.

They are adopted into the root when the server starts, so that a machine next door pulls them as it
would from the hub that they came from. What people have published to this root stays as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from zoo.errors import IntegrityError, NotFound, ZooError, ZooWarning
from zoo.records.entry import Entry, FileRef
from zoo.registry import registries
from zoo.stores import folders
from zoo.stores.folders import Folders
from zoo.stores.git import blob_id
from zoo.stores.store import Commit, File, Store, is_lfs, pointer

CHUNK = 1 << 20


def adopt_students(
    store: Store, entries: Iterable[Entry] | None = None, shelves: Folders | None = None
) -> list[str]:
    """Make `store` offer every student whose files are in the folders; returns their names.

    Entries and folders are those of this machine unless given. A student whose files are not those
    of its row is left out with a `ZooWarning`; one without a folder is not here to be offered.
    Where nothing has changed, no file is read.
    """
    adopted = []
    for entry in _own_entries() if entries is None else entries:
        try:
            if _adopt(store, entry, shelves or folders.holder(entry.name)):
                adopted.append(entry.name)
        except (ZooError, OSError) as problem:
            _warn(f"{entry.name} is not offered: {problem}")
    return adopted


def _own_entries() -> list[Entry]:
    """The rows that this machine knows without asking anybody."""
    try:
        return [entry for _, entry in registries.entries(fetch=False)]
    except ZooError as problem:
        _warn(f"no student of this machine is offered: {problem}")
        return []


def _adopt(store: Store, entry: Entry, shelves: Folders) -> bool:
    """Whether the student is offered now."""
    commit = _known(store, entry)
    if commit is None and not shelves.has(entry.name):
        return False
    commit = commit or _commit(store, entry, shelves)
    heads = {"main": commit.id} if _may_move(store, entry.repo) else {}
    if not _stands(store, entry.repo, commit, heads):
        store.adopt(entry.repo, commit, heads=heads)
    return True


def _known(store: Store, entry: Entry) -> Commit | None:
    """The pinned commit, where the store has it with all the files of the row."""
    try:
        commit = store.read(entry.repo, entry.revision)
    except NotFound:
        return None
    for name, ref in entry.files.items():
        file = commit.files.get(name)
        if file is None or file.sha256 != ref.sha256 or not store.has(ref.sha256):
            return None
    return commit


def _commit(store: Store, entry: Entry, shelves: Folders) -> Commit:
    """The student as a commit, its files kept. IntegrityError: they are not those of the row."""
    paths = {name: shelves.path(entry.name, name) for name in entry.files}
    files = {name: _added(store, paths[name], ref) for name, ref in entry.files.items()}
    newest = max(path.stat().st_mtime for path in paths.values())
    date = datetime.fromtimestamp(newest, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return Commit(entry.revision, (), "", "studentzoo", date, entry.summary, files=files)


def _added(store: Store, path: Path, ref: FileRef) -> File:
    try:
        sha256, size, oid = store.add(_chunks(path), sha256=ref.sha256, size=ref.size)
    except IntegrityError as problem:
        raise IntegrityError(f"{path.name} is not the file of its row: {problem}") from None
    lfs = is_lfs(path.name, size)
    return File(path.name, size, sha256, blob_id(pointer(sha256, size)) if lfs else oid, lfs)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _may_move(store: Store, repo: str) -> bool:
    """Whether `main` follows the registry: not in a mirror, and not where somebody published."""
    try:
        return not store.origin(repo) and store.read(repo, "main").imported
    except NotFound:
        return True


def _stands(store: Store, repo: str, commit: Commit, heads: dict[str, str]) -> bool:
    """Whether there is nothing to change."""
    try:
        known = store.read(repo, commit.id)
        return known.files == commit.files and heads.items() <= store.refs(repo).heads.items()
    except NotFound:
        return False


def _warn(message: str) -> None:
    warnings.warn(ZooWarning(message), stacklevel=3)
