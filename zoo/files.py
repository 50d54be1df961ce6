"""Files that are never half-written, and their hashes."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from zoo.errors import NoHome

PACKAGE = Path(__file__).parent  # `zoo`: recipes/ and embedded/ are in it


def sha256(path: str | Path) -> str:
    """Hex sha256 of a file's bytes."""
    import hashlib  # it maps all of OpenSSL, and no student needs it to answer

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
    if path.exists() and not path.is_file():  # a folder, a pipe, /dev/stdout
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    part = path.with_name(f"{path.name}.{os.urandom(4).hex()}.{suffix}")
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
    import shutil

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


# --- folders that others may write to ------------------------------------------------------------

_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def append(path: Path) -> BinaryIO:
    """Open a file to write at its end; it is made where it is not there.

    An OSError where the name leads to another file: by a symbolic or a hard link, a pipe, a device.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _SAFELY, 0o666)
    if not _is_one_file(os.fstat(handle)):
        os.close(handle)
        raise OSError(errno.EPERM, "not a plain file under this name alone", str(path))
    return os.fdopen(handle, "ab")


def is_own(path: Path) -> bool:
    """Whether nobody else's file is at `path`: none at all, or a plain one of this very user."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return True
    return _is_one_file(found) and found.st_uid == _user(found)


def is_strange_link(path: Path) -> bool:
    """Whether `path` is a symbolic link that neither this user nor the administrator has made."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISLNK(found.st_mode) and found.st_uid not in (0, _user(found))


def share(path: Path) -> None:
    """Give a new file or folder the permissions of a folder around it that is meant to be shared.

    Such is one that hands on its group (setgid); elsewhere the user's umask has decided.
    """
    around, found = path.parent.stat().st_mode, path.lstat().st_mode
    if os.name == "posix" and around & stat.S_ISGID:
        bits = 0o777 if stat.S_ISDIR(found) else 0o666
        path.chmod(found & stat.S_ISGID | around & bits)


def make_private(folder: Path) -> None:
    """Make a folder that nobody else looks into; one that is there keeps its permissions."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def whose(path: Path) -> str:
    """ "Of a path that is not there, or of another user, ", PATH belongs to NAME"; else nothing."""
    try:
        found = path.lstat()
    except OSError:
        return "" if path == path.parent else whose(path.parent)
    if found.st_uid == _user(found):
        return ""
    return f", {path} belongs to {_name(found.st_uid)}"


def _is_one_file(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_nlink <= 1


def _user(found: os.stat_result) -> int:
    """This user's number; where the system has none, the file's own."""
    return os.geteuid() if hasattr(os, "geteuid") else found.st_uid


def _name(user: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"the user {user}"


def open_plain(path: str | Path) -> BinaryIO:
    """A file that somebody has named, to be read; `OSError` for what might never end.

    A named pipe, a socket and a device are such; what a shell hands over, <(command), is read. The
    stages have their own (`distill.files`), for no student needs them to run.
    """
    if str(Path(path).absolute()).startswith(_HANDED):
        return Path(path).open("rb")
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(kind := os.fstat(handle).st_mode):
            number, what = (
                (errno.EISDIR, os.strerror(errno.EISDIR))
                if stat.S_ISDIR(kind)
                else (errno.EINVAL, f"it is a {_SPECIAL.get(stat.S_IFMT(kind), 'special file')}")
            )
            raise OSError(number, what, str(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


_HANDED = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")
_SPECIAL = {
    stat.S_IFIFO: "named pipe, not a plain file",
    stat.S_IFCHR: "device, not a plain file",
    stat.S_IFBLK: "device, not a plain file",
}


# --- home ----------------------------------------------------------------------------------------


def expanded(path: str | Path) -> Path:
    """`path` with the home of the user for its "~"; NoHome where this user has none.

    The home of another name that is not known stays as it is written.
    """
    from distill.errors import DistillError
    from distill.files import expanded as found

    try:
        return found(path)
    except DistillError as error:
        raise NoHome(str(error), error.hint) from None
