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
from typing import TYPE_CHECKING

from zoo.errors import PullError
from zoo.files import replacing, sha256
from zoo.records.entry import Entry, FileRef
from zoo.registry.endpoints import hf_home
from zoo.stores import git

if TYPE_CHECKING:
    from filelock import BaseFileLock


def cache_root(cache: str | Path | None = None) -> Path:
    """The argument, else $ZOO_CACHE, $HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub."""
    chosen = cache or os.environ.get("ZOO_CACHE") or os.environ.get("HF_HUB_CACHE")
    return Path(chosen or hf_home() / "hub").expanduser()


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

    @contextlib.contextmanager
    def locked(self, digest: str) -> Iterator[bool]:
        """Wait for the one that fetches this blob; False where the system has no locks.

        Without one, two processes may fetch the same bytes, and each needs a name of its own.
        """
        try:
            held = self._lock(digest).acquire()
        except NotImplementedError:  # a network file system without flock
            yield False
            return
        with held:
            yield True

    @contextlib.contextmanager
    def unused(self, digest: str) -> Iterator[bool]:
        """Whether nobody is fetching this blob; nobody begins before the block ends."""
        from filelock import Timeout

        try:
            held = self._lock(digest).acquire(timeout=0)
        except Timeout:
            yield False
            return
        except NotImplementedError:
            yield True
            return
        with held:
            yield True

    def _lock(self, digest: str) -> BaseFileLock:
        from filelock import FileLock

        path = self.root / ".locks" / self.folder.name / f"{digest}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path, mode=0o664)  # as the client has it: a group may share a cache


def place_of(entry: Entry, cache: str | Path | None = None) -> Place:
    """Where an entry's files are kept."""
    return Place(cache_root(cache), entry.repo, entry.revision)


def is_whole(path: Path, ref: FileRef) -> bool:
    """Whether the file has the very bytes."""
    try:
        return path.stat().st_size == ref.size and sha256(path) == ref.sha256
    except (FileNotFoundError, NotADirectoryError):
        return False


def _is_sound(path: Path) -> bool:
    """Whether it leads to a blob whose name, sha256 or git's id, is that of its bytes."""
    name = path.resolve().name
    if not path.is_file() or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name):
        return False
    return name == (sha256(path) if len(name) == 64 else git.blob_id(path.read_bytes()))


def link(path: Path, blob: Path, ref: FileRef) -> None:
    """Make `path` lead to `blob`; where the system has no symbolic links, copy.

    Sound bytes of somebody else that stand there already are not replaced: a PullError.
    """
    target = os.path.relpath(blob, path.parent)
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
