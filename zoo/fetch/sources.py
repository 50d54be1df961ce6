"""Where the bytes of a student may come from: folders, stores, bundles, hubs.

A source supplies bytes and no trust: whatever it says, the registry's size and sha256 decide. Each
is a `Source`: it opens one file of an entry at an offset and gives a `Stream` of what follows, or
raises one line that names the place.

    NotFound       it has no such file
    PullError      it cannot be read, or answers what cannot be used
    Interrupted    the link broke; asking again may help
    Unreachable    nobody is there
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import NotFound, PullError, ZooError, disk
from zoo.fetch.stream import Source, Stream, read_part
from zoo.files import expanded
from zoo.records.names import check_endpoint
from zoo.registry import endpoints

if TYPE_CHECKING:
    from zoo.records.entry import Entry


@dataclass(frozen=True)
class _Directory:
    """A source on a disk; each kind of it says where a file is."""

    root: Path

    @property
    def label(self) -> str:
        return str(self.root)

    def open(self, entry: Entry, file: str, offset: int) -> AbstractContextManager[Stream]:
        with disk(self.root, PullError, hint=""):
            path = self._path(entry, file)
        return read_part(path, offset)

    def close(self) -> None:
        pass

    def _path(self, entry: Entry, file: str) -> Path:
        raise NotImplementedError


class Folder(_Directory):
    """Students as plain folders, `root/<name>/<file>`, or the folder of a single one."""

    def _path(self, entry: Entry, file: str) -> Path:
        """The file in the student's folder, else the one right in `root`."""
        from zoo.stores.folders import Folders

        try:
            return Folders(self.root).path(entry.name, file)
        except NotFound as problem:
            path = self.root / file
            if not os.path.isfile(path):  # noqa: PTH113 (false, not an error, where nobody may look)
                raise NotFound(str(problem)) from None  # the name is right, whatever is near it
            return path


class StoreRoot(_Directory):
    """The root of a `zoo.stores.store`: whichever repository the bytes were published in."""

    def _path(self, entry: Entry, file: str) -> Path:
        from zoo.stores.blobs import Blobs

        try:
            return Blobs(self.root).blob(entry.files[file].sha256)
        except NotFound:
            raise NotFound(f"{self.root} holds no {file} with the registry's sha256") from None


@dataclass(frozen=True)
class Nothing:
    """A source that was named but cannot be used, and why; an entry in the list of reasons."""

    label: str
    why: ZooError

    def open(self, entry: Entry, file: str, offset: int) -> AbstractContextManager[Stream]:
        raise self.why

    def close(self) -> None:
        pass


def source(where: str | os.PathLike[str], named: Sequence[str] = ()) -> Source:
    """The source that a path or a URL means; NotFound or StoreError where there is none.

    A URL is a hub; `named` are registries that the user has given, see `endpoints`. A file is a
    bundle (`bundle`). A folder with blobs/ and repos/ in it is a store's root; any other folder has
    a folder for each student, or is one student's.
    """
    text = os.fspath(where)
    if not text:  # of a variable that is not set; Path("") would be the folder one stands in
        raise PullError("the place to pull from is empty", "give a folder, a bundle or a hub's URL")
    if re.match(r"https?://", text):
        from zoo.fetch.link import Hub

        url = _checked(text.rstrip("/"))
        return Hub(url, endpoints.lab_token(url, named) or "", tuple(named))
    if "://" in text:
        raise PullError(f"{text}: not an address to pull from", "http:// and https:// are")
    path = expanded(text)
    if path.is_dir():
        is_store = (path / "blobs").is_dir() and (path / "repos").is_dir()
        return StoreRoot(path) if is_store else Folder(path)
    if path.is_file():
        from zoo.fetch.bundle import Bundle

        return Bundle(path)
    if path.exists():
        hint = "give a folder, a bundle or a hub's URL"
        raise PullError(f"{path}: neither a folder nor a plain file", hint)
    raise NotFound(f"{path}: no such folder or bundle", "give a folder, a bundle or a hub's URL")


def _checked(url: str) -> str:
    try:
        check_endpoint(url)
    except ValueError as problem:
        raise PullError(f"{url}: not the address of a hub", str(problem)) from None
    return url


def mirrors(named: Sequence[str] = ()) -> list[Source]:
    """The sources in $ZOO_MIRRORS: paths and URLs, commas or blanks between them.

    One that is not there now (a stick that is not plugged in) is no error before it is needed.
    """
    return [_or_nothing(name, named) for name in mirror_names()]


def mirror_names() -> list[str]:
    """What stands in $ZOO_MIRRORS."""
    return [word for word in re.split(r"[,\s]+", os.environ.get("ZOO_MIRRORS", "")) if word]


def _or_nothing(where: str, named: Sequence[str]) -> Source:
    try:
        return source(where, named)
    except ZooError as problem:
        return Nothing(where, problem)


def hub(entry: Entry, named: Sequence[str] = ()) -> Source:
    """The hub that the entry names; the user's token goes along where it belongs to that hub."""
    from zoo.fetch.link import Hub

    endpoint = (entry.endpoint or endpoints.default()).rstrip("/")
    return Hub(endpoint, endpoints.lab_token(endpoint, named) or "", tuple(named))


def in_order(
    entry: Entry,
    given: Sequence[str | os.PathLike[str] | Source],
    named: Sequence[str] = (),
) -> list[Source]:
    """The folders of this machine first (`folders.here`), `given`, mirrors, the entry's hub.

    `named` are registries that the user has given: their hub may be told $ZOO_TOKEN, a source of
    bytes is not for being one.
    """
    from zoo.stores import folders

    there = [source(one, named) if isinstance(one, str | os.PathLike) else one for one in given]
    here = [Folder(store.root) for store in folders.here()]
    return [*here, *there, *mirrors(named), hub(entry, named)]
