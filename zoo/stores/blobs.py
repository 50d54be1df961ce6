"""Blobs: the bytes of files, named by their sha256, whole or not there at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import uuid
from collections.abc import Iterable
from pathlib import Path

from zoo.errors import IntegrityError, NotFound, StoreError, disk
from zoo.files import make_private, sync, sync_folder
from zoo.records.names import quoted

Known = tuple[str, int, str]  # sha256, size in bytes, git's blob id


class Blobs:
    """The blobs of a root. Two of it may work on one directory at once."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def has(self, sha256: str) -> bool:
        """Whether the blob is here."""
        return self.find(sha256) is not None

    def keep(self, sha256: str) -> bool:
        """Whether the blob is here; if so it counts as new, and no collection takes it yet."""
        with disk(self.root):
            try:
                os.utime(self._blob(sha256))
            except FileNotFoundError:
                return False
            return True

    def find(self, sha256: str) -> Path | None:
        """The file with these bytes, to be read only; None where it is not here."""
        path = self._blob(sha256)
        return path if path.is_file() else None

    def blob(self, sha256: str) -> Path:
        """The same; NotFound where it is not here."""
        path = self.find(sha256)
        if path is None:
            raise NotFound(f"no file with sha256 {quoted(sha256)}")
        return path

    def add(
        self, chunks: Iterable[bytes], *, sha256: str | None = None, size: int | None = None
    ) -> Known:
        """Keep the bytes; returns their sha256, size and git blob id.

        What is here already is not read again. IntegrityError: the bytes are not those announced
        (a surplus stops at once), and none are kept. StoreError: the disk refuses.
        """
        known = self._known(sha256) if sha256 is not None else None
        if known is not None:
            if size not in (None, known[1]):
                raise IntegrityError(f"the file of this sha256 has {known[1]} bytes, not {size}")
            return known
        with self.incoming(sha256=sha256, size=size) as upload:
            for chunk in chunks:
                upload.write(chunk)
            return upload.finish()

    def incoming(self, *, sha256: str | None = None, size: int | None = None) -> Incoming:
        """The same for bytes that are pushed: `with store.incoming() as upload: ...`."""
        if sha256 is not None and not _is_sha256(sha256):
            raise StoreError(f"{quoted(sha256)} is no sha256 in 64 lower-case hex digits")
        if size is not None and size < 0:
            raise StoreError(f"a file cannot have {size} bytes")
        return Incoming(self, sha256, size)

    def _known(self, sha256: str) -> Known | None:
        """What is here already, and stays. None: not here, or just being collected."""
        path = self._blob(sha256)
        with disk(self.root):
            try:
                known = sha256, path.stat().st_size, blob_id_of(path)
            except FileNotFoundError:
                return None
        return known if self.keep(sha256) else None

    def _blob(self, sha256: str) -> Path:
        name = sha256 if _is_sha256(sha256) else "no-such-blob"
        return self.root / "blobs" / name[:2] / name

    def _part(self) -> Path:
        """A new name for what is not whole yet."""
        folder = self.root / "incoming"
        make_private(self.root)
        folder.mkdir(exist_ok=True)
        return folder / uuid.uuid4().hex

    def _settle(self, hashes: Iterable[str]) -> None:
        """Wait until blobs are on the disk under their names, for something will name them."""
        for folder in {self._blob(sha256).parent for sha256 in hashes}:
            sync_folder(folder)

    def _put(self, path: Path, data: bytes) -> None:
        """Put `data` at `path` in one step; no reader ever sees a part of it."""
        part = self._part()
        try:
            with part.open("xb") as file:
                file.write(data)
                sync(file)
            move(part, path)
            sync_folder(path.parent)
        finally:
            part.unlink(missing_ok=True)


class Incoming:
    """One upload. Without `finish`, or after an error, nothing of it is kept."""

    def __init__(self, blobs: Blobs, sha256: str | None, size: int | None) -> None:
        self.received = 0  # bytes
        self._blobs = blobs
        self._sha256 = sha256
        self._size = size
        self._hash = hashlib.sha256()

    def __enter__(self) -> Incoming:
        with disk(self._blobs.root):
            self._part = self._blobs._part()
            self._file = self._part.open("xb")
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError):  # bytes that no longer fit are thrown away anyway
            self._file.close()
        with contextlib.suppress(OSError):  # else a later collection finds it
            self._part.unlink(missing_ok=True)

    def write(self, chunk: bytes) -> None:
        """Take more bytes. IntegrityError: more than announced. StoreError: the disk refuses."""
        self.received += len(chunk)
        if self._size is not None and self.received > self._size:
            raise IntegrityError(f"more than the {self._size} bytes that were announced")
        self._hash.update(chunk)
        with disk(self._blobs.root):
            self._file.write(chunk)

    def flush(self) -> Path:
        """Where what came so far can be read, until `finish` moves it. StoreError."""
        with disk(self._blobs.root):
            self._file.flush()
        return self._part

    def finish(self) -> Known:
        """Make it a blob: sha256, size and git id. IntegrityError: not what was announced."""
        sha256 = self._hash.hexdigest()
        if self._size not in (None, self.received):
            raise IntegrityError(f"{self.received} bytes came, {self._size} were announced")
        if self._sha256 not in (None, sha256):
            raise IntegrityError(f"the bytes have sha256 {sha256}, not {self._sha256}")
        known = self._blobs._known(sha256)
        if known is not None and known[1] == self.received:  # nothing to wait for
            return known
        with disk(self._blobs.root):
            sync(self._file)
            self._file.close()
            known = (sha256, self.received, blob_id_of(self._part))
            move(self._part, self._blobs._blob(sha256))
        return known


def move(part: Path, path: Path) -> None:
    """Give what is whole its place, over what was there."""
    _make_folder(path.parent)
    part.replace(path)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each on the disk before something is in it."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def blob_id_of(path: Path) -> str:
    """Git's id of a file's bytes as a blob."""
    with path.open("rb") as file:
        head = b"blob %d\0" % os.fstat(file.fileno()).st_size
        digest = hashlib.sha1(head, usedforsecurity=False)
        return hashlib.file_digest(file, lambda: digest).hexdigest()


def _is_sha256(value: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{64}", value) is not None
