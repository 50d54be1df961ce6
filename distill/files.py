"""Files of this stage: written whole or not at all, and what reading a bad one raises."""

from __future__ import annotations

import errno
import lzma
import os
import pickle
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from distill.errors import DistillError

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
    """Fill a temporary file beside `path`, then rename it: a reader never sees half a file.

    `DistillError` where the disk is full or may not be written to.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        what = f"{path} cannot be written: {error.strerror or error}"
        raise DistillError(what, "what was there before is as it was") from error


def expanded(path: str | Path) -> Path:
    """`path` with the home of the user for its "~"; `DistillError` where this user has none.

    The home of another name that is not known stays as it is written.
    """
    text = os.fspath(path)
    own = text == "~" or text.startswith(("~/", f"~{os.sep}"))
    try:
        return _home() / text[2:] if own else Path(text).expanduser()
    except (RuntimeError, KeyError):
        if own:
            hint = "set HOME, or write the path in full"
            raise DistillError(f"{text}: this user has no home directory", hint) from None
        return Path(text)


def _home() -> Path:
    if os.name != "posix" or os.environ.get("HOME"):
        return Path.home()
    import pwd

    return Path(pwd.getpwuid(os.getuid()).pw_dir)


def below(folder: Path, passed_over: Callable[[str], bool]) -> Iterator[tuple[str, Path]]:
    """Relative name, with forward slashes, and path of all that is in `folder`, at any depth.

    Sorted within a folder; what a name says is passed over is not looked into. Links are followed,
    but not back to where they stand in. Raises `OSError`.
    """
    yield from _below(folder, "", passed_over, frozenset())


def _below(
    folder: Path, start: str, passed_over: Callable[[str], bool], above: frozenset[tuple[int, int]]
) -> Iterator[tuple[str, Path]]:
    found = folder.stat()
    here = (found.st_dev, found.st_ino)
    if here in above:
        return
    for path in sorted(folder.iterdir()):
        if passed_over(path.name):
            continue
        yield start + path.name, path
        if path.is_dir():
            yield from _below(path, f"{start}{path.name}/", passed_over, above | {here})


_HANDED = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")


def open_plain(path: str | Path, buffering: int = -1) -> BinaryIO:
    """A regular file, to be read; `OSError` at once for what might be waited for without end.

    A named pipe without a writer, a device and a socket are such; but what this process was handed
    open, as /dev/stdin or by <(command), is read. Links are followed.
    """
    if str(Path(path).absolute()).startswith(_HANDED):
        return Path(path).open("rb", buffering)  # type: ignore[return-value]
    _check_regular(Path(path).stat(), path)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    try:
        _check_regular(os.fstat(handle), path)  # it may be another by now
        return os.fdopen(handle, "rb", buffering)  # type: ignore[return-value]
    except BaseException:
        os.close(handle)
        raise


def _check_regular(found: os.stat_result, path: str | Path) -> None:
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if kind != stat.S_IFREG:
        raise OSError(errno.EINVAL, f"{_SPECIAL.get(kind, 'it is')} not a plain file", str(path))


_SPECIAL = {
    stat.S_IFIFO: "it is a named pipe,",
    stat.S_IFSOCK: "it is a socket,",
    stat.S_IFCHR: "it is a device,",
    stat.S_IFBLK: "it is a device,",
}
