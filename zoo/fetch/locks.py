"""Locks in a folder that others may write to, as the Hub's own client has them: flock on a file.

The file is made, opened and locked, never emptied, and nothing but a plain file under one name is
taken: what lies at a known name may be somebody's link to a file that is dear to another one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from zoo import files
from zoo.errors import NO_ROOM


@contextlib.contextmanager
def held(path: Path, *, wait: bool = True) -> Iterator[bool | None]:
    """Hold the lock at `path`; False: somebody else has it and `wait` is off.

    None where there can be none: no right to the file, no plain file, a file system without locks.
    """
    if os.name != "posix":
        with _held_elsewhere(path, wait) as found:
            yield found
        return
    while True:
        with contextlib.ExitStack() as closing:
            try:
                file = closing.enter_context(files.append(path))
            except OSError as problem:
                if problem.errno in NO_ROOM:
                    raise
                yield None
                return
            found = _flock(file.fileno(), wait)
            if found and not os.fstat(file.fileno()).st_nlink:
                continue  # removed while we waited: another one may hold the new file
            with contextlib.suppress(PermissionError):  # another user's, who has done it
                os.fchmod(file.fileno(), 0o664)  # as the client has it: a group may share a cache
            yield found
            return


def _flock(handle: int, wait: bool) -> bool | None:
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # a network file system without flock
        return None
    return True


@contextlib.contextmanager
def _held_elsewhere(path: Path, wait: bool) -> Iterator[bool | None]:
    from filelock import FileLock, Timeout

    try:
        lock = FileLock(path).acquire(timeout=-1 if wait else 0)
    except Timeout:
        yield False
        return
    except NotImplementedError:
        yield None
        return
    with lock:
        yield True
