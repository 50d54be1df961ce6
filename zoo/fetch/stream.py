"""What a source is: a place that opens one file of an entry at an offset, as a stream of bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from zoo.errors import PullError, disk
from zoo.files import open_plain
from zoo.records.entry import Entry

CHUNK_BYTES = 256 * 1024  # read from a disk at once


class Interrupted(PullError):  # noqa: N818
    """The link broke; what has arrived is kept, and asking again may help.

    `wait_s`: so long the source has asked to wait, in seconds; None: it says nothing.
    """

    def __init__(self, message: str, hint: str = "", wait_s: float | None = None) -> None:
        super().__init__(message, hint)
        self.wait_s = wait_s


class Unreachable(PullError):  # noqa: N818
    """No connection to the source."""


@dataclass(frozen=True)
class Stream:
    """The bytes of a file from some place on."""

    where: str  # path or URL, for people
    start: int  # place of the first byte: the offset asked for, or 0 if the source cannot skip
    size: int | None  # of the whole file in bytes, where the source tells
    chunks: Iterator[bytes]  # raises PullError and Interrupted, never OSError


class Source(Protocol):
    """One place that may have a student's files."""

    @property
    def label(self) -> str:
        """The place in a few words; no secret is in it."""

    def open(self, entry: Entry, file: str, offset: int) -> AbstractContextManager[Stream]:
        """The bytes of `file` from `offset` (0 <= offset < size of the file) on."""

    def close(self) -> None:
        """Let go of connections and open files; the next `open` makes new ones."""


@contextmanager
def read_part(
    path: Path, offset: int, *, begin: int = 0, size: int | None = None
) -> Iterator[Stream]:
    """A file on disk from `offset` on; or, of a file in it, `size` bytes from the place `begin`."""
    with disk(path, PullError, hint=""):
        reader = open_plain(path)
    with reader:
        length = os.fstat(reader.fileno()).st_size if size is None else size
        reader.seek(begin + offset)
        yield Stream(str(path), offset, length, _chunks(reader, path, length - offset))


def _chunks(reader: BinaryIO, path: Path, left: int) -> Iterator[bytes]:
    while left > 0:
        with disk(path, PullError, hint=""):
            chunk = reader.read(min(CHUNK_BYTES, left))
        if not chunk:
            raise PullError(f"{path}: ends early")
        left -= len(chunk)
        yield chunk
