"""Fetch a student: every byte checked against the registry, kept in the standard Hub cache.

    cache/models--org--name/blobs/<sha256>                         the bytes
    cache/models--org--name/snapshots/<revision>/<file>            a link to its blob
    cache/.locks/models--org--name/<sha256>.lock                   the Hub client's own lock

A blob gets its name only after its hash was found right, and a snapshot is linked only when all of
its blobs are there. What is complete is hashed again (milliseconds) and copies nothing; what is
broken is fetched again. A student without a file in the cache may be pulled by many processes at
once: one copies, the others wait for it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from zoo import folders, registry
from zoo.errors import IntegrityError, NotFound, PullError, ZooWarning
from zoo.files import replacing, sha256
from zoo.registry import Entry, FileRef

CHUNK_BYTES = 256 * 1024
Progress = Callable[[str, int, int], None]  # file, bytes done, bytes in all


def pull(
    name: str,
    *,
    cache: str | Path | None = None,
    progress: Progress | None = None,
    verify: bool = True,
) -> Path:
    """Folder with the student's files, each checked by its sha256.

    With `verify`, the golden vectors run on this processor: a ZooWarning tells when the 8-bit file
    answers differently here (`zoo.load` then uses the fp32 file), a PullError when both do.
    """
    folder = fetch(registry.find(name), cache=cache, progress=progress)
    if verify:
        self_test(folder, name)
    return folder


def cache_root(cache: str | Path | None = None) -> Path:
    """The argument, else $ZOO_CACHE, $HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub."""
    home = os.environ.get("HF_HOME")
    candidates = (
        cache,
        os.environ.get("ZOO_CACHE"),
        os.environ.get("HF_HUB_CACHE"),
        Path(home) / "hub" if home else None,
        Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface" / "hub",
    )
    return Path(next(c for c in candidates if c)).expanduser()


def fetch(
    entry: Entry,
    *,
    store: folders.Folders | None = None,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """`pull` without the self-test, of a given entry from a given store."""
    job = _Job(entry, store or folders.default(), cache_root(cache), progress or _silent)
    with _told(job.cache, entry):
        blobs = {file: job.blob(file, ref) for file, ref in entry.files.items()}
        job.snapshot.mkdir(parents=True, exist_ok=True)
        for file, blob in blobs.items():
            _link(job.snapshot / file, blob, entry.files[file])
    return job.snapshot


def self_test(folder: Path, name: str) -> None:
    """Run the golden vectors of the student's files in `folder` on this processor."""
    from zoo.verify import golden

    if (folder / "model.int8.onnx").is_file():
        if golden(folder, "int8").ok:
            return
        warnings.warn(
            f"{name}: the 8-bit file answers differently on this processor; the fp32 file is used",
            ZooWarning,
            stacklevel=3,
        )
    if not golden(folder, "fp32").ok:
        raise PullError(
            f"{name}: the files are those that were published, but answer differently here",
            "try another version of onnxruntime, and tell us the output of `zoo doctor`",
        )


@dataclass(frozen=True)
class _Job:
    """One entry on its way from a store to a cache."""

    entry: Entry
    store: folders.Folders
    cache: Path
    progress: Progress

    @property
    def _repo(self) -> str:
        return "models--" + self.entry.repo.replace("/", "--")

    @property
    def snapshot(self) -> Path:
        return self.cache / self._repo / "snapshots" / self.entry.revision

    def blob(self, file: str, ref: FileRef) -> Path:
        """The blob of one file, fetched if it is not there or not whole."""
        path = self.cache / self._repo / "blobs" / ref.sha256
        if not _is_whole(path, ref):
            path.parent.mkdir(parents=True, exist_ok=True)
            with _lock(self.cache / ".locks" / self._repo / f"{ref.sha256}.lock"):
                if not _is_whole(path, ref):
                    self._copy(file, ref, path)
        return path

    def _copy(self, file: str, ref: FileRef, path: Path) -> None:
        for leftover in path.parent.glob(f"{ref.sha256}.*.part"):  # of pulls that were killed
            leftover.unlink(missing_ok=True)
        source = self.store.path(self.entry.name, file)
        digest, done = hashlib.sha256(), 0
        with source.open("rb") as reader, replacing(path) as writer:
            while chunk := reader.read(CHUNK_BYTES):
                writer.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if done > ref.size:
                    break
                self.progress(file, done, ref.size)
            if (done, digest.hexdigest()) != (ref.size, ref.sha256):
                raise _broken(source, ref, digest.hexdigest())


def _broken(source: Path, ref: FileRef, digest: str) -> IntegrityError:
    size = source.stat().st_size
    found = f"{size} bytes" if size != ref.size else f"sha256 {digest[:12]}..."
    wanted = f"{ref.size} bytes" if size != ref.size else f"{ref.sha256[:12]}..."
    return IntegrityError(
        f"{source} is not the published file: {found}, the registry says {wanted}",
        "nothing was kept; install the package again, or restore the file from version control",
    )


def _silent(file: str, done: int, total: int) -> None:
    pass


def _is_whole(path: Path, ref: FileRef) -> bool:
    """Whether the file has the very bytes."""
    try:
        return path.stat().st_size == ref.size and sha256(path) == ref.sha256
    except (FileNotFoundError, NotADirectoryError):
        return False


def _link(link: Path, blob: Path, ref: FileRef) -> None:
    """Make `link` lead to `blob`; where the system has no symbolic links, copy."""
    target = os.path.relpath(blob, link.parent)
    if link.is_symlink() and str(link.readlink()) == target:
        return
    if not link.is_symlink() and _is_whole(link, ref):
        return
    fresh = link.with_name(f".{link.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        fresh.symlink_to(target)
        fresh.replace(link)
    except (NotImplementedError, OSError):  # FAT, or Windows without the right to make links
        with blob.open("rb") as reader, replacing(link) as writer:
            shutil.copyfileobj(reader, writer)
    finally:
        fresh.unlink(missing_ok=True)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Wait for the one that fetches this blob; go on unlocked where locks do not exist.

    Without a lock two processes may copy the same bytes, each to a name of its own.
    """
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire()
    except NotImplementedError:  # a network file system without flock
        yield
        return
    try:
        yield
    finally:
        lock.release()


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def _told(cache: Path, entry: Entry) -> Iterator[None]:
    """Turn what the system says into one error with a way out."""
    try:
        yield
    except NotFound as problem:
        raise PullError(
            f"{problem}, although the registry lists it",
            "install the package again, or set ZOO_STORE to a store that has its own registry.yaml",
        ) from None
    except OSError as problem:
        choose = "choose another cache with ZOO_CACHE"
        if problem.errno in _NO_ROOM:
            need = f"{entry.name} needs {entry.size_bytes / 1e6:.1f} MB"
            message, hint = f"no room in {cache}: {need}", f"free some, or {choose}"
        else:
            place = problem.filename or cache
            message = f"cannot pull into {cache}: {place}: {problem.strerror or problem}"
            hint = choose
        raise PullError(message, hint) from None
