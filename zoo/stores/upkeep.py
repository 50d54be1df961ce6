"""What keeps a store in order: collecting what nothing reaches, and looking for damage."""

from __future__ import annotations

import graphlib
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import ZooError
from zoo.files import sha256
from zoo.stores.git import Commit, commit_id, tree_id
from zoo.stores.layout import commit_path, read_commit, read_refs


@dataclass(frozen=True)
class Collected:
    """What a collection removed."""

    blobs: int
    commits: int
    size_bytes: int  # of the blobs and of what was left over from broken uploads


def collect(root: Path, older_than_s: float) -> Collected:
    """Remove what no ref reaches and is older; the caller holds the lock.

    All is read before anything is removed: what cannot be read is an error, and nothing is lost.
    """
    before = time.time() - older_than_s
    commits: list[Path] = []
    live: set[str] = set()
    for folder in repositories(root):
        kept, gone = _sorted_out(folder, before)
        commits += [commit_path(folder, id) for id in gone]
        live |= {file.sha256 for commit in kept for file in commit.files.values()}
    for path in commits:
        path.unlink()
    dead = [path for path in _blobs(root) if path.name not in live and _is_hex(path.name, 64)]
    sizes = [size for path in dead for size in drop(path, before)]
    leftovers = _sweep(root / "incoming", before)
    return Collected(len(sizes), len(commits), sum(sizes) + leftovers)


def repositories(root: Path) -> list[Path]:
    """The folders of all repositories."""
    return sorted(path.parent for path in (root / "repos").glob("*/*/repo.json"))


def _sorted_out(folder: Path, before: float) -> tuple[list[Commit], list[str]]:
    """Commits that stay: reached from a ref or from a fresh commit; ids that go, children first."""
    refs = read_refs(folder)
    paths = {path.stem: path for path in (folder / "commits").glob("*.json")}
    fresh = [id for id, path in paths.items() if path.stat().st_mtime > before]
    kept = reached(folder, {*refs.heads.values(), *refs.tags.values(), *fresh})
    gone = {id: read_commit(paths[id]) for id in paths.keys() - kept.keys()}
    order: graphlib.TopologicalSorter[str] = graphlib.TopologicalSorter({id: () for id in gone})
    for id, commit in gone.items():
        for parent in gone.keys() & set(commit.parents):
            order.add(parent, id)
    return list(kept.values()), list(order.static_order())


def reached(folder: Path, starts: set[str]) -> dict[str, Commit]:
    """All commits from `starts` back; only those of another hub may lack parents here."""
    found: dict[str, Commit] = {}
    ahead = sorted(starts)
    while ahead:
        id = ahead.pop()
        if id in found:
            continue
        found[id] = read_commit(commit_path(folder, id))
        parents = found[id].parents
        if found[id].imported:
            parents = tuple(p for p in parents if commit_path(folder, p).is_file())
        ahead += parents
    return found


def _blobs(root: Path) -> Iterator[Path]:
    return (path for path in (root / "blobs").glob("??/*") if path.is_file())


def drop(path: Path, before: float) -> Iterator[int]:
    """Remove a blob that is old; yields its size in bytes if it went.

    Whoever adds it again at this moment renews its time. So it is moved aside first, where nobody
    can renew it any more, then looked at, and put back if it is fresh.
    """
    if path.stat().st_mtime > before:
        return
    aside = path.parents[2] / "incoming" / uuid.uuid4().hex
    aside.parent.mkdir(exist_ok=True)
    path.rename(aside)
    about = aside.stat()
    if about.st_mtime > before:
        aside.rename(path)
        return
    aside.unlink()
    yield about.st_size


def _sweep(incoming: Path, before: float) -> int:
    """Remove old uploads that never ended; bytes freed."""
    freed = 0
    for path in incoming.iterdir() if incoming.is_dir() else ():
        try:
            about = path.stat()
        except FileNotFoundError:  # an upload that ended just now
            continue
        if about.st_mtime > before or not _is_hex(path.name, 32):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
            freed += about.st_size
    return freed


def _is_hex(name: str, digits: int) -> bool:
    """Whether a store gave this name: nothing else is ever removed."""
    return re.fullmatch(rf"[0-9a-f]{{{digits}}}", name) is not None


# --- fsck ----------------------------------------------------------------------------------------


def check_repositories(root: Path) -> list[str]:
    """What is wrong with refs and commits; the caller holds the lock."""
    return [f"{_name(root, f)}: {p}" for f in repositories(root) for p in _problems(root, f)]


def check_blobs(root: Path) -> list[str]:
    """Blobs whose bytes are not those of their name; one that vanishes meanwhile is no problem."""
    return [problem for path in sorted(_blobs(root)) for problem in _blob_problem(root, path)]


def _blob_problem(root: Path, path: Path) -> Iterator[str]:
    try:
        found = sha256(path)
    except FileNotFoundError:
        return
    except OSError as problem:
        yield f"{_name(root, path)}: {problem.strerror or problem}"
        return
    if found != path.name or path.parent.name != found[:2]:
        yield f"{_name(root, path)}: its bytes have sha256 {found}; remove it and send it again"


def _problems(root: Path, folder: Path) -> Iterator[str]:
    try:
        refs = read_refs(folder)
    except ZooError as problem:
        yield str(problem)
        return
    names = {f"refs/heads/{name}": id for name, id in refs.heads.items()}
    names |= {f"refs/tags/{name}": id for name, id in refs.tags.items()}
    for name, id in names.items():
        if not commit_path(folder, id).is_file():
            yield f"{name} names the commit {id}, which is not here"
    for path in sorted((folder / "commits").glob("*.json")):
        try:
            commit = read_commit(path)
        except ZooError as problem:
            yield str(problem)
        else:
            yield from _commit_problems(root, folder, commit)


def _commit_problems(root: Path, folder: Path, commit: Commit) -> Iterator[str]:
    if commit.imported:  # its id is another hub's word, its bytes and parents may come later
        return
    if tree_id(commit.files) != commit.tree or commit_id(commit) != commit.id:
        yield f"commit {commit.id}: what it holds has another id"
    for parent in commit.parents:
        if not commit_path(folder, parent).is_file():
            yield f"commit {commit.id}: its parent {parent} is not here"
    for file in commit.files.values():
        blob = root / "blobs" / file.sha256[:2] / file.sha256
        try:
            size = blob.stat().st_size
        except FileNotFoundError:
            yield f"commit {commit.id}: the bytes of {file.path} are not here ({file.sha256})"
        else:
            if size != file.size:
                yield f"commit {commit.id}: {file.path} has {size} bytes, not {file.size}"


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
