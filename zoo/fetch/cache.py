"""The standard Hub cache, laid out so that the Hub's own client finds a student's files.

cache/models--org--name/blobs/<sha256>                   the bytes
cache/models--org--name/blobs/<sha256>.part              bytes on their way
cache/models--org--name/snapshots/<revision>/<file>      a link to its blob
cache/.locks/models--org--name/<sha256>.lock             the Hub client's own lock
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zoo import files
from zoo.errors import NoHome, PullError
from zoo.fetch import locks
from zoo.files import replacing, sha256
from zoo.records.entry import Entry, FileRef
from zoo.registry.endpoints import hf_home
from zoo.stores import git


class CacheError(PullError):
    """The cache cannot be used; whether the bytes could be had was not asked."""


def cache_root(cache: str | Path | None = None) -> Path:
    """The argument, else $ZOO_CACHE, $HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub."""
    chosen = cache or os.environ.get("ZOO_CACHE") or os.environ.get("HF_HUB_CACHE")
    try:
        return files.expanded(chosen or hf_home() / "hub")
    except NoHome as problem:
        raise CacheError(f"no folder for the cache: {problem}", "name one: ZOO_CACHE=DIR") from None


@dataclass(frozen=True)
class Place:
    """Where one revision of a repository is kept."""

    root: Path  # of the cache
    repo: str  # "org/name"
    revision: str  # 40 hex digits

    @property
    def folder(self) -> Path:
        """Of the repository."""
        return self.root / ("models--" + self.repo.replace("/", "--"))

    @property
    def snapshot(self) -> Path:
        """The folder that a pull gives."""
        return self.folder / "snapshots" / self.revision

    def blob(self, digest: str) -> Path:
        """Where the bytes with this sha256 are."""
        return self.folder / "blobs" / digest

    def made(self, folder: Path) -> Path:
        """A folder of the cache, made where it is not there.

        A CacheError where a link leads to nowhere, or is somebody else's: what is written there
        could take the place of the user's own files.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.root
        for part in folder.relative_to(self.root).parts:
            path = path / part
            if files.is_strange_link(path):
                raise CacheError(f"{path} is a link{files.whose(path)}", _ANOTHER)
            if path.is_symlink() and not path.exists():
                raise CacheError(f"{path} leads to {path.readlink()}, which is not there", _ANOTHER)
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                files.share(path)
        return folder

    @contextlib.contextmanager
    def locked(self, digest: str) -> Iterator[bool]:
        """Wait for the one that fetches this blob; False where there can be no lock.

        Without one, two processes may fetch the same bytes, and each needs a name of its own.
        """
        with locks.held(self._lock(digest)) as alone:
            yield bool(alone)

    @contextlib.contextmanager
    def unused(self, digest: str) -> Iterator[bool]:
        """Whether nobody is fetching this blob; nobody begins before the block ends."""
        with locks.held(self._lock(digest), wait=False) as alone:
            yield alone is not False

    def _lock(self, digest: str) -> Path:
        """Where the Hub's own client has it too."""
        folder = self.root / ".locks" / self.folder.name
        with contextlib.suppress(PermissionError):  # another user's: there will be no lock
            self.made(folder)
        return folder / f"{digest}.lock"


_ANOTHER = "remove it, or choose another cache with ZOO_CACHE"


def place_of(entry: Entry, cache: str | Path | None = None) -> Place:
    """Where an entry's files are kept."""
    return Place(cache_root(cache), entry.repo, entry.revision)


def is_whole(path: Path, ref: FileRef) -> bool:
    """Whether the file can be read and has the very bytes."""
    try:
        return path.is_file() and path.stat().st_size == ref.size and sha256(path) == ref.sha256
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False


def _is_sound(path: Path) -> bool:
    """Whether it leads to a blob whose name, sha256 or git's id, is that of its bytes."""
    name = path.resolve().name
    if not path.is_file() or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name):
        return False
    return name == (sha256(path) if len(name) == 64 else git.blob_id(path.read_bytes()))


def _target(path: Path, blob: Path) -> str:
    """Where a link at `path` leads to reach `blob`; folders on the way may be links themselves."""
    target = os.path.relpath(blob, path.parent)
    try:
        if (path.parent / target).samefile(blob):
            return target
    except OSError:  # nothing is there
        pass
    return os.path.relpath(os.path.realpath(blob), os.path.realpath(path.parent))


def link(path: Path, blob: Path, ref: FileRef) -> None:
    """Make `path` lead to `blob`; where the system has no symbolic links, copy.

    Sound bytes of somebody else that stand there already are not replaced: a PullError.
    """
    target = _target(path, blob)
    if path.is_symlink() and str(path.readlink()) == target:
        return
    if is_whole(path, ref):
        return
    if _is_sound(path) and not is_whole(path, ref):  # another pull may have linked it just now
        raise PullError(
            f"{path} holds other bytes than the registry names for that very revision",
            "ask who made the registry; to pull all the same, choose another cache with ZOO_CACHE",
        )
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        fresh.symlink_to(target)
        fresh.replace(path)
    except (NotImplementedError, OSError):  # FAT, or Windows without the right to make links
        with blob.open("rb") as reader, replacing(path) as writer:
            shutil.copyfileobj(reader, writer)
    finally:
        fresh.unlink(missing_ok=True)
