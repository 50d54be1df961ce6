"""Fetch a student: every byte checked against the registry, kept in the standard Hub cache.

A blob gets its name only after its hash was found right, and a snapshot is linked only when all of
its blobs are there. What is complete is hashed again (milliseconds), copies nothing and asks
nobody; what is broken is fetched again. A student without a file in the cache may be pulled by many
processes at once: one fetches, the others wait for it.

sources.py says where bytes come from, fetcher.py how one file arrives, cache.py where it is kept.
"""

from __future__ import annotations

import contextlib
import os
import uuid
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo import files
from zoo.errors import NO_ROOM, NotFound, PullError, StoreError, ZooWarning
from zoo.fetch import cache as caches
from zoo.fetch import sources
from zoo.fetch.cache import CacheError, cache_root
from zoo.fetch.fetcher import Fetcher, Progress
from zoo.fetch.sources import Source
from zoo.records.entry import Entry, FileRef
from zoo.stores import folders

From = Sequence[str | os.PathLike[str] | Source]


def fetch(
    entry: Entry,
    *,
    sources: From = (),
    store: folders.Folders | None = None,
    cache: str | Path | None = None,
    progress: Progress | None = None,
    named: Sequence[str] = (),
) -> Path:
    """`pull` without the self-test, of a given entry; with `store`, from those folders alone.

    `named` are registries that the user has given, see `sources.in_order`.

    Where no cache was asked for, and the user's own cannot be used, a folder of this machine that
    holds the very bytes is given instead, with a ZooWarning.
    """
    try:
        root = cache_root(cache)
        with _told(root, entry), _opened(entry, sources, store, named) as places:
            place = caches.place_of(entry, root)
            return _Job(place, Fetcher(entry, places, progress or _silent)).done()
    except CacheError as problem:
        found = None if cache or store else _here(entry)
        if found is None:
            raise
        warnings.warn(ZooWarning(f"{problem}; {found} is used"), stacklevel=2)
        return found


def _here(entry: Entry) -> Path | None:
    """The student's folder in a store of this machine, if every byte in it is right."""
    for store in folders.here():
        with contextlib.suppress(NotFound, StoreError, OSError):
            folder = store.folder(entry.name)
            if all(caches.is_whole(folder / file, ref) for file, ref in entry.files.items()):
                return folder
    return None


@dataclass(frozen=True)
class _Job:
    """One entry on its way to a cache."""

    place: caches.Place
    fetcher: Fetcher

    def done(self) -> Path:
        """The snapshot, complete."""
        refs = self.fetcher.entry.files
        blobs = {file: self._blob(file, ref) for file, ref in refs.items()}
        snapshot = self.place.made(self.place.snapshot)
        for file, blob in blobs.items():
            caches.link(snapshot / file, blob, refs[file])
        return snapshot

    def _blob(self, file: str, ref: FileRef) -> Path:
        """The blob of one file, fetched if it is not there or not whole."""
        path = self.place.blob(ref.sha256)
        if not caches.is_whole(path, ref):
            self.place.made(path.parent)
            with self.place.locked(ref.sha256) as alone:
                if not caches.is_whole(path, ref):
                    self._fetch(file, path, alone)
        return path

    def _fetch(self, file: str, path: Path, alone: bool) -> None:
        part = path.with_name(f"{path.name}.part")
        if alone and files.is_own(part):
            return self.fetcher.fetch(file, path, part)
        part = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            return self.fetcher.fetch(file, path, part)
        finally:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def _opened(
    entry: Entry, given: From, store: folders.Folders | None, named: Sequence[str]
) -> Iterator[list[Source]]:
    """The sources in their order, closed in the end."""
    with contextlib.ExitStack() as closing:
        alone: list[Source] = [sources.Folder(store.root)] if store else []
        places = alone or sources.in_order(entry, given, named)
        for place in places:
            closing.callback(place.close)
        yield places


def _silent(file: str, done: int, total: int) -> None:
    pass


@contextlib.contextmanager
def _told(cache: Path, entry: Entry) -> Iterator[None]:
    """Turn what the system says of the cache into one error with a way out."""
    try:
        yield
    except OSError as problem:
        choose = "choose another cache with ZOO_CACHE"
        if problem.errno in NO_ROOM:
            need = f"{entry.name} needs {entry.size_bytes / 1e6:.1f} MB"
            raise PullError(f"no room in {cache}: {need}", f"free some, or {choose}") from None
        place = Path(problem.filename or cache)
        owner = files.whose(place) if isinstance(problem, PermissionError) else ""
        message = f"cannot pull into {cache}: {place}: {problem.strerror or problem}{owner}"
        raise CacheError(message, choose) from None
