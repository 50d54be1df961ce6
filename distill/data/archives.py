"""A zip or a tar of `split/class/name.ext`, read in place: nothing is unpacked to disk.

Every member is checked, also those that are not asked for. A name that points out of the
archive, a link, a device and an encrypted member are errors. So is what unpacks to too much: a
member of over 64 MiB, headers of over 1 MiB before one, or all together over 1 GiB and over 200
times the archive.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from distill.data import tree, unlabelled
from distill.data.record import Example, Listing, Picture
from distill.errors import DistillError
from distill.files import DAMAGED

MAX_MEMBER_BYTES = 64 * 2**20
MAX_HEADER_BYTES = 2**20  # of a tar, before one member: long names and the like
MAX_TOTAL_BYTES = 2**30  # of all that is unpacked, or MAX_RATIO times the archive if that is more
MAX_RATIO = 200  # unpacked over packed
COMPRESSIONS: dict[bytes, Callable[..., Any]] = {  # by the first bytes
    b"\x1f\x8b": gzip.open,
    b"\xfd7zXZ\0": lzma.open,
    b"BZh": bz2.open,
}


class _Budget:
    """How much an archive may still unpack to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left = max(MAX_TOTAL_BYTES, MAX_RATIO * path.stat().st_size)

    def check(self, name: str, size_bytes: int) -> None:
        """Refuse a member that says it is too large, before it is unpacked."""
        if size_bytes > min(MAX_MEMBER_BYTES, self.left):
            raise self.exceeded(f"the member {name} unpacks")

    def take(self, name: str, size_bytes: int) -> None:
        """`check`, and count it."""
        self.check(name, size_bytes)
        self.left -= size_bytes

    def exceeded(self, what: str) -> DistillError:
        return DistillError(
            f"{self.path}: {what} to too much",
            f"limits: {MAX_MEMBER_BYTES} bytes a member, {MAX_HEADER_BYTES} its headers, "
            f"{MAX_TOTAL_BYTES} or {MAX_RATIO} times the archive together; unpack it yourself and "
            "give the folder",
        )


class _Archive:
    """What a zip and a tar have in common."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = str(path)

    def listing(self) -> Listing:
        """Every example, by name; nothing is unpacked to disk."""
        entries = list(self._entries())
        files = [name for name, is_folder in entries if not is_folder]
        return tree.parse(files, [name for name, is_folder in entries if is_folder], self.where)

    def pictures(self) -> Listing:
        """Every picture, as if none had a label."""
        files = [name for name, is_folder in self._entries() if not is_folder]
        return unlabelled.parse(files, self.where)

    def _entries(self) -> Iterator[tuple[str, bool]]:
        """Name of every member, checked, and whether it is a folder."""
        raise NotImplementedError


class Zip(_Archive):
    """A zip: its directory is at its end, so members are read in any order."""

    def read(self, wanted: Sequence[Example]) -> Iterator[Picture]:
        """The members of `wanted`, in their order; each is checked against its CRC-32."""
        with zipfile.ZipFile(self.path) as archive:
            members = {str(PurePosixPath(i.filename)): i for i in archive.infolist()}
            for place, example in enumerate(wanted):
                name = f"{self.where}: {example.key}"
                yield Picture(place, name, _content(archive, members[str(example.key)]))

    def _entries(self) -> Iterator[tuple[str, bool]]:
        budget = _Budget(self.path)
        with _reading(self.path), zipfile.ZipFile(self.path) as archive:
            for info in archive.infolist():
                name = tree.member_name(info.filename, self.where)
                self._check(info)
                budget.take(name, info.file_size)
                yield name, info.is_dir()

    def _check(self, info: zipfile.ZipInfo) -> None:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _special(self.where, info.filename)
        if info.flag_bits & 1:
            raise DistillError(
                f"{self.where}: the member {info.filename} is encrypted", "pack it without"
            )


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes | DistillError:
    """What stands in a member, or why it cannot be read."""
    try:
        return archive.read(member)
    except DAMAGED as error:
        return DistillError(f"it is damaged in the archive: {error}", "pack or fetch it again")


class Tar(_Archive):
    """A tar, compressed or not: a stream, so it is read twice, once for its names."""

    def read(self, wanted: Sequence[Example]) -> Iterator[Picture]:
        """The members of `wanted`, in the order of the archive."""
        places = {str(example.key): i for i, example in enumerate(wanted)}
        for name, content in self.contents(places.__contains__):
            yield Picture(places[name], f"{self.where}: {name}", content)

    def contents(self, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
        """Name and content of every plain file whose name is wanted, in the archive's order."""
        for member, archive in self._members():
            name = tree.member_name(member.name, self.where)
            if member.isreg() and wanted(name):
                with _reading(f"{self.where}: {name}"):
                    file = archive.extractfile(member)
                    content = file.read() if file else b""
                yield name, content

    def _entries(self) -> Iterator[tuple[str, bool]]:
        for member, _ in self._members():
            yield tree.member_name(member.name, self.where), member.isdir()

    def _members(self) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
        """Every member, checked, while the stream stands at it."""
        budget = _Budget(self.path)
        with (
            _reading(self.path),
            _unpacked(self.path, budget) as file,
            tarfile.open(fileobj=file, mode="r|") as archive,
        ):
            for member in archive:
                if not (member.isreg() or member.isdir()) or member.issparse():
                    raise _special(self.where, member.name)
                budget.check(member.name, member.size)
                file.expect(member.size)
                yield member, archive
                archive.members = []  # type: ignore[attr-defined]  # or every header is kept
            file.finish()


class _Stream(io.RawIOBase):
    """An unpacked tar that counts every byte, headers too, and remembers its end.

    `tarfile` reads a header of any length into memory, and takes a cut archive for a shorter one.
    """

    def __init__(self, file: IO[bytes], budget: _Budget) -> None:
        self.file = file
        self.budget = budget
        self.tail = b""
        self.expect(0)

    def expect(self, size_bytes: int) -> None:
        """A member of this size comes; what is over it until the next one are headers."""
        self.allowed = size_bytes + MAX_HEADER_BYTES

    def read(self, size: int = -1) -> bytes:
        content = self.file.read(size)
        self.tail = (self.tail + content)[-tarfile.BLOCKSIZE :]
        self.allowed -= len(content)
        self.budget.left -= len(content)
        if self.allowed < 0 or self.budget.left < 0:
            raise self.budget.exceeded("a header, or all together, unpacks")
        return content

    def finish(self) -> None:
        """Read to the end, where a checksum may stand, and look for the mark of a tar's end."""
        while content := self.read(tarfile.RECORDSIZE):
            self.allowed += len(content)  # padding has no limit of its own
        if self.tail != bytes(tarfile.BLOCKSIZE):
            raise EOFError("it is cut off: the empty block at its end is missing")


@contextmanager
def _unpacked(path: Path, budget: _Budget) -> Iterator[_Stream]:
    """The bytes of a tar, by its first bytes compressed or not."""
    with path.open("rb") as file:
        magic = file.read(6)
    found = [how for start, how in COMPRESSIONS.items() if magic.startswith(start)]
    with found[0](path) if found else path.open("rb") as unpacked:
        yield _Stream(unpacked, budget)


def _special(where: str, name: str) -> DistillError:
    return DistillError(
        f"{where}: the member {name!r} is a link, a device or another special file",
        "only plain files and folders are read; pack it again (tar --dereference, zip without -y)",
    )


@contextmanager
def _reading(what: object) -> Iterator[None]:
    """Name what is read where it turns out to be damaged."""
    try:
        yield
    except DAMAGED as error:
        raise DistillError(
            f"{what} is damaged or not an archive: {error}", "fetch it again, or check its name"
        ) from error
