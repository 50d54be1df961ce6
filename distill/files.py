"""Files of this stage: written whole or not at all, and what reading a bad one raises."""

from __future__ import annotations

import lzma
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

# What Python's own readers, Pillow, NumPy and torch raise for a file that is cut off, has bits
# turned or is another kind of file than its name says.
DAMAGED = (
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    OverflowError,
    RuntimeError,  # too deeply nested, encrypted, a compression method that Python lacks
    SyntaxError,
    TypeError,
    ValueError,  # JSON, UTF-8 and numbers too
    lzma.LZMAError,
    pickle.UnpicklingError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


def write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Fill a temporary file beside `path`, then rename it: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        fill(file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
