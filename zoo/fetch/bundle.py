"""Students in one file, for a stick: a plain tar that holds registry.yaml and `<name>/<file>`.

A bundle is a source of bytes like any other and is trusted as little: what is pulled from it must
have the sha256 of the user's own registry. The registry inside serves to tell what it holds.

Reading expects an enemy. Only what `write` makes is taken: plain files, each name once and of the
two forms above, sizes that the file really has. Links, devices, folders, long-name and sparse
headers and compression are refused. Nothing is unpacked: a file is read in its place.
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from zoo.errors import NotFound, RegistryError, StoreError, disk
from zoo.files import replacing
from zoo.records import entry as records_entry
from zoo.records.names import check_file_name, check_name, quoted
from zoo.records.text import parse_yaml

if TYPE_CHECKING:
    from zoo.fetch.stream import Stream
    from zoo.records.entry import Entry

REGISTRY = "registry.yaml"
MAX_REGISTRY_BYTES = 16 << 20
_BLOCK = tarfile.BLOCKSIZE  # bytes of a header, to which files are filled up as well


@dataclass(frozen=True)
class Member:
    """A file in the bundle."""

    begin: int  # place of its first byte
    size: int  # bytes


@dataclass(frozen=True)
class Bundle:
    """A bundle as a source; StoreError at once where the file is not a sound one."""

    path: Path
    members: Mapping[str, Member] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", index(self.path))

    @property
    def label(self) -> str:
        return str(self.path)

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """The rows of its own registry; they say what is inside and are not to be trusted."""
        member = self.members[REGISTRY]
        with self.path.open("rb") as file:
            file.seek(member.begin)
            text = file.read(member.size).decode("utf-8", "replace")
        document = parse_yaml(text, f"{self.path}, {REGISTRY}", RegistryError)
        return records_entry.bind(document)

    def open(self, entry: Entry, file: str, offset: int) -> AbstractContextManager[Stream]:
        from zoo.fetch.stream import read_part

        member = self.members.get(f"{entry.name}/{file}")
        if member is None:
            raise NotFound(f"{self.path} holds no {entry.name}/{file}")
        return read_part(self.path, offset, begin=member.begin, size=member.size)

    def close(self) -> None:
        pass


def agreed(bundle: Bundle, ours: Mapping[str, Entry]) -> list[Entry]:
    """Our rows of all students in the bundle; an error where its registry says something else."""
    for name, row in bundle.entries.items():
        if name not in ours:
            raise NotFound(f"{bundle.path} holds {name}, which our registry does not have", _TRUST)
        for file in row.files.keys() | ours[name].files.keys():
            if row.files.get(file) != ours[name].files.get(file):
                raise StoreError(
                    f"{bundle.path}: its {name}/{file} is not the one of our registry",
                    f"one of the two is older; to take the bundle's word for it, {_TRUST}",
                )
    return [ours[name] for name in bundle.entries]


_TRUST = (
    "to trust the bundle's own registry, unpack it (tar -xf BUNDLE registry.yaml) and name it: "
    "--registry ./registry.yaml"
)


# --- writing -------------------------------------------------------------------------------------


def write(path: Path, students: Iterable[tuple[Entry, Path]]) -> int:
    """Put the students, each with the folder of its files, into a bundle; returns its bytes.

    The same students give the same bytes. StoreError where the disk refuses; an old file of that
    name then stays.
    """
    chosen = sorted(students, key=lambda student: student[0].name)
    text = records_entry.render(entry for entry, _ in chosen).encode()
    with disk(path), replacing(path) as file:
        _add(file, REGISTRY, len(text), io.BytesIO(text))
        for entry, folder in chosen:
            for name, ref in sorted(entry.files.items()):
                with (folder / name).open("rb") as reader:
                    _add(file, f"{entry.name}/{name}", ref.size, reader)
        file.write(bytes(2 * _BLOCK))
    return path.stat().st_size


def _add(file: BinaryIO, name: str, size: int, reader: BinaryIO) -> None:
    header = tarfile.TarInfo(name)
    header.size = size
    try:
        file.write(header.tobuf(tarfile.USTAR_FORMAT))
    except ValueError:
        raise StoreError(f"{name}: too long for a bundle, or too large (8 GiB)") from None
    shutil.copyfileobj(reader, file)
    file.write(bytes(-size % _BLOCK))


# --- reading -------------------------------------------------------------------------------------


def index(path: Path) -> dict[str, Member]:
    """Every file of a bundle by its name."""
    members: dict[str, Member] = {}
    with disk(path, hint=""), path.open("rb") as file:
        for header, begin in _headers(file, path):
            name = _checked(header, path)
            if name in members:
                raise _refused(path, f"{name} stands in it twice")
            members[name] = Member(begin, header.size)
    if REGISTRY not in members:
        raise _refused(path, f"there is no {REGISTRY} in it")
    if members[REGISTRY].size > MAX_REGISTRY_BYTES:
        raise _refused(path, f"its {REGISTRY} is larger than {MAX_REGISTRY_BYTES >> 20} MiB")
    return members


def _headers(file: BinaryIO, path: Path) -> Iterator[tuple[tarfile.TarInfo, int]]:
    """Each header with the place of what follows it, up to the empty one that ends a tar."""
    end = os.fstat(file.fileno()).st_size
    while True:
        block = file.read(_BLOCK)
        if block == bytes(_BLOCK):
            return
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            if not block[148:156].strip(b" \0"):  # taken for 0, which bytes can sum to
                raise tarfile.HeaderError("no checksum")
        except tarfile.HeaderError as problem:
            at = file.tell() - len(block)
            raise _refused(path, f"no header at byte {at}, {problem}") from None
        begin = file.tell()
        if not 0 <= header.size <= end - begin:
            said = f"{quoted(header.name)} is said to have {header.size} bytes"
            raise _refused(path, f"{said}, {end - begin} are left")
        yield header, begin
        file.seek(begin + header.size + -header.size % _BLOCK)


def _checked(header: tarfile.TarInfo, path: Path) -> str:
    """The name of a plain file that may be in a bundle."""
    if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise _refused(path, f"{quoted(header.name)} is not a plain file")
    student, _, file = header.name.partition("/")
    try:
        if header.name != REGISTRY:
            check_name(student)
            check_file_name(file)
    except ValueError:
        raise _refused(path, f"{quoted(header.name)} cannot be in one") from None
    return header.name


def _refused(path: Path, why: str) -> StoreError:
    return StoreError(f"{path} is not a bundle: {why}", "`zoo bundle NAME... -o FILE` makes one")
