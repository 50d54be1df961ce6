"""Files that are never half-written, and their hashes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PACKAGE = Path(__file__).parent  # `zoo`: recipes/ and embedded/ are in it


def sha256(path: str | Path) -> str:
    """Hex sha256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: str | Path, text: str) -> None:
    """Put `text` (UTF-8) at `path` in one step: a reader sees the old file or the new one."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path, data: bytes) -> None:
    """Put `data` at `path` in one step."""
    with replacing(Path(path)) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path, suffix: str = "part") -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends well, and is gone when not."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.{suffix}")
    try:
        with part.open("xb") as file:
            yield file
            sync(file)
        part.replace(path)
        sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def copy(source: Path, target: Path) -> None:
    """Copy the bytes and nothing else (no mode, no times) to the disk itself."""
    with source.open("rb") as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer)
        sync(writer)


def sync(file: BinaryIO) -> None:
    """Wait until the bytes are on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until a rename in `folder` is on the disk, where the system can do that."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems refuse; the rename stands
            os.fsync(handle)
    finally:
        os.close(handle)
