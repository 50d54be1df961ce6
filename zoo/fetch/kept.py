"""What a cache holds of students, whether it is sound, and what may go.

The cache is shared with every other model that the Hub's client has fetched, so only what is ours
is looked at: repositories that a row of the registry names, snapshots with a student's card in
them, and `<sha256>.part` files, which nobody else makes.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zoo.errors import StoreError, ZooError
from zoo.fetch.cache import Place, is_whole, place_of
from zoo.files import whose
from zoo.records.entry import Entry, FileRef

_PART = re.compile(r"[0-9a-f]{64}(\.[0-9a-f]{8})?\.part")
_BLOB = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Kept:
    """One revision of a student in the cache."""

    name: str  # the student's; of one that no row names, its repository's
    repo: str  # "org/name"
    revision: str  # 40 hex digits
    listed: bool  # whether a row of the registry names this very revision
    state: Literal["complete", "partial"]
    size_bytes: int  # here
    total_bytes: int  # when it is complete


@dataclass(frozen=True)
class Broken:
    """A file that is not what its hash says."""

    name: str  # of the student
    revision: str
    file: str
    problem: str  # in a few words


@dataclass(frozen=True)
class Removed:
    """Something that went, or would go."""

    path: str
    what: Literal["partial file", "snapshot", "blob"]
    size_bytes: int  # what it frees; a snapshot is links, its blobs are counted by themselves


def kept(root: Path, entries: Iterable[Entry]) -> list[Kept]:
    """The students in the cache `root`, by name; those that no row names among them."""
    rows = _unique(entries)
    with _told(root):
        found = [_row(place_of(row, root), row) for row in rows]
        others = [_other(place) for place in _unlisted(root, rows)]
    return sorted([one for one in found if one.size_bytes] + others, key=lambda one: one.name)


def verify(root: Path, entries: Iterable[Entry]) -> list[Broken]:
    """Hash all files of the students in the cache again; what is not there yet is not broken."""
    rows = _unique(entries)
    with _told(root):
        broken = [one for row in rows for one in _broken(place_of(row, root), row)]
        return broken + [one for place in _unlisted(root, rows) for one in _broken_links(place)]


def prune(root: Path, entries: Iterable[Entry], *, dry_run: bool = False) -> list[Removed]:
    """Remove partial files, and snapshots that no row names with the blobs only they need.

    A file that somebody is fetching at this moment stays. With `dry_run`, nothing is touched.
    """
    rows = _unique(entries)
    gone: list[Removed] = []
    with _told(root):
        for folder in _repos(root):
            gone += _Repo(root, folder, rows).prune(dry_run)
    return gone


@contextlib.contextmanager
def _told(root: Path) -> Iterator[None]:
    """What the system refuses in the cache, and whose it is."""
    try:
        yield
    except OSError as problem:
        place = Path(problem.filename or root)
        owner = whose(place) if isinstance(problem, PermissionError) else ""
        raise StoreError(f"{root}: {problem.strerror}: {place}{owner}", _HINT) from None


_HINT = "ask whoever made it, or choose another cache with ZOO_CACHE"


# --- what is there -------------------------------------------------------------------------------


def _unique(entries: Iterable[Entry]) -> list[Entry]:
    """Each revision once, also where two registries name it."""
    return list({(entry.repo, entry.revision): entry for entry in entries}.values())


def _repos(root: Path) -> list[Path]:
    return sorted(folder for folder in root.glob("models--*--*") if folder.is_dir())


def _row(place: Place, row: Entry) -> Kept:
    have = [_have(place, ref) for ref in row.files.values()]
    linked = all(_size(place.snapshot / file) == ref.size for file, ref in row.files.items())
    state: Literal["complete", "partial"] = "complete" if linked else "partial"
    size = row.size_bytes if linked else sum(have)
    return Kept(row.name, row.repo, row.revision, True, state, size, row.size_bytes)


def _have(place: Place, ref: FileRef) -> int:
    """Bytes of one file that are here, whole or on their way."""
    blob = place.blob(ref.sha256)
    return _size(blob) or _size(blob.with_name(f"{blob.name}.part")) or 0


def _size(path: Path) -> int | None:
    """Bytes of a file, None where there is none."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


def _unlisted(root: Path, rows: Sequence[Entry]) -> Iterator[Place]:
    """Snapshots of students that no row names."""
    for folder in _repos(root):
        repo = _Repo(root, folder, rows)
        yield from (Place(root, repo.name, snapshot.name) for snapshot in repo.unlisted())


def _other(place: Place) -> Kept:
    size = sum(_size(path) or 0 for path in place.snapshot.iterdir())
    name = place.repo.rpartition("/")[2]
    return Kept(name, place.repo, place.revision, False, "complete", size, size)


def _broken(place: Place, row: Entry) -> Iterator[Broken]:
    for file, ref in row.files.items():
        path = place.snapshot / file
        if not place.snapshot.is_dir():
            path = place.blob(ref.sha256)
            if not path.exists():
                continue
        if not is_whole(path, ref):
            yield Broken(row.name, row.revision, file, _problem(path, "published"))


def _broken_links(place: Place) -> Iterator[Broken]:
    """Of a snapshot without a row: a blob's name is its sha256."""
    for path in sorted(place.snapshot.iterdir()):
        name = path.resolve().name
        if not re.fullmatch(r"[0-9a-f]{64}", name):
            whole = path.is_file()
        else:
            whole = is_whole(path, FileRef(name, _size(path) or 0))
        if not whole:
            repo = place.repo.rpartition("/")[2]
            yield Broken(repo, place.revision, path.name, _problem(path, "its name says"))


def _problem(path: Path, wanted: str) -> str:
    """Why a file is not whole."""
    try:
        with path.open("rb"):
            return f"other bytes than {wanted}"
    except FileNotFoundError:
        return "missing"
    except OSError as problem:
        return f"{problem.strerror}{whose(path.resolve())}"


# --- what may go ---------------------------------------------------------------------------------


class _Repo:
    """The folder of one repository in the cache."""

    def __init__(self, root: Path, folder: Path, rows: Sequence[Entry]) -> None:
        self.root, self.folder = root, folder
        self.name = folder.name.removeprefix("models--").replace("--", "/", 1)  # "org/name"
        ours = [row for row in rows if Place(root, row.repo, "").folder == folder]
        self.revisions = {row.revision for row in ours}
        self.named = {ref.sha256 for row in ours for ref in row.files.values()}

    def snapshots(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("snapshots/*") if path.is_dir())

    def unlisted(self) -> list[Path]:
        """Snapshots of a student that no row names; none in a repository that is not ours."""
        others = [path for path in self.snapshots() if path.name not in self.revisions]
        return [path for path in others if self.revisions or _is_student(path)]

    def prune(self, dry_run: bool) -> list[Removed]:
        """Links go before the blobs that they lead to."""
        snapshots = self.unlisted()
        gone = [self._gone(path, "snapshot") for path in snapshots]
        files = [(path, "partial file") for path in self._parts()]
        if self.revisions or snapshots:
            files += [(path, "blob") for path in self._orphans(set(snapshots))]
        if not dry_run:
            self._remove_snapshots(snapshots)
        for path, what in files:
            one = self._gone(path, what)
            if dry_run or self._remove(path):
                gone.append(one)
        if gone and not dry_run and not (self.snapshots() or any(self.folder.glob("blobs/*"))):
            shutil.rmtree(self.folder)
        return gone

    def _gone(self, path: Path, what: str) -> Removed:
        size = 0 if what == "snapshot" else _size(path) or 0  # a pull may have just ended
        return Removed(str(path.relative_to(self.root)), what, size)  # type: ignore[arg-type]

    def _parts(self) -> list[Path]:
        blobs = sorted(self.folder.glob("blobs/*.part"))
        return [path for path in blobs if _PART.fullmatch(path.name)]

    def _orphans(self, without: set[Path]) -> list[Path]:
        """Blobs that neither a row nor a link of another snapshot needs."""
        rest = [path for path in self.snapshots() if path not in without]
        needed = {link.resolve() for snapshot in rest for link in snapshot.rglob("*")}
        blobs = [path for path in sorted(self.folder.glob("blobs/*")) if _BLOB.fullmatch(path.name)]
        return [p for p in blobs if p.name not in self.named and p.resolve() not in needed]

    def _remove_snapshots(self, snapshots: Sequence[Path]) -> None:
        names = {path.name for path in snapshots}
        for ref in self.folder.glob("refs/**/*"):
            if ref.is_file() and ref.read_text(errors="replace").strip() in names:
                ref.unlink()
        for path in snapshots:
            shutil.rmtree(path)

    def _remove(self, path: Path) -> bool:
        """Remove a file unless somebody has its lock."""
        with Place(self.root, self.name, "").unused(path.name.partition(".")[0]) as free:
            if free:
                path.unlink(missing_ok=True)
            return free


def _is_student(snapshot: Path) -> bool:
    """Whether there is a student's card in the folder."""
    from zoo.records import card

    try:
        return bool(card.read(snapshot))
    except ZooError:
        return False
