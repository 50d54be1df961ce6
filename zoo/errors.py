"""Every error that a user of the zoo can mend, and what to do about it.

ZooError                    base: `except zoo.ZooError` catches them all
├── RecipeError             a recipe file says something wrong
├── RegistryError           registry.yaml says something wrong
├── CardError               card.json says something wrong, or README.md drifted from it
├── NotFound                no student, recipe, repository or file of that name
│   ├── RevisionNotFound    no branch, tag or commit of that name
│   └── EntryNotFound       no file or folder of that name in a commit
├── StoreError              a directory that holds students cannot be read or written
│   ├── Damaged             what stands there is not what was written
│   ├── Exists              the name is taken
│   └── Conflict            somebody else's commit came first
├── PullError               a student's files could not be fetched or kept
│   └── IntegrityError      the bytes are not those that the registry names
├── PublishError            a student may not, or could not, be put on a hub
├── InputError              a picture, text, array or ONNX file that cannot be used
│   └── NothingGiven        a command was given nothing to work on
├── NoHome                  a path begins with "~", and this user has no home
└── GateError               a build whose student missed a gate; nothing was published

The stages (`distill`, `export`, `compress`) have one error each with the same `hint`; the command
line prints all of them alike.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from zoo.said import masked

T = TypeVar("T")
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a full disk says


class ZooError(Exception):
    """What is wrong in one line, and in `hint` what to do about it; no secret of an address."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(masked(message))
        self.hint = masked(hint)


class RecipeError(ZooError):
    """A recipe file says something wrong."""


class RegistryError(ZooError):
    """registry.yaml says something wrong."""


class CardError(ZooError):
    """card.json says something wrong, or README.md is not what it generates."""


class NotFound(ZooError):  # noqa: N818 (as in httpx and huggingface_hub, the name says it)
    """No student, recipe, repository or file of that name."""


class RevisionNotFound(NotFound):
    """No branch, tag or commit of that name."""


class EntryNotFound(NotFound):
    """No file or folder of that name in a commit."""


class StoreError(ZooError):
    """A directory that holds students cannot be read or written."""


class Damaged(StoreError):  # noqa: N818
    """A file of a store is not what was written there."""


class Exists(StoreError):  # noqa: N818
    """The name is taken."""


class Conflict(StoreError):  # noqa: N818
    """A commit was meant for a head that has moved since."""


class PullError(ZooError):
    """A student's files could not be fetched or kept."""


class IntegrityError(PullError):
    """The bytes are not those that the registry names."""


class PublishError(ZooError):
    """A student that may not, or could not, be put on a hub; the registry is as it was."""


class InputError(ZooError):
    """A picture, a text, an array or an ONNX file that cannot be used."""


class NothingGiven(InputError):  # noqa: N818
    """A command was given nothing to work on: wrong usage."""


class NoHome(ZooError):  # noqa: N818
    """A path begins with "~", and this user has no home."""


class GateError(ZooError):
    """A build whose student missed a gate; nothing was published."""


class Stopped(KeyboardInterrupt):
    """Ctrl-C in a build; its text says what was being done."""


class ZooWarning(UserWarning):
    """The answer stands, but not in the way that was asked for (fp32 in place of int8)."""

    def __init__(self, message: str) -> None:
        super().__init__(masked(message))


# --- what others raise, as an error of ours ------------------------------------------------------


@contextlib.contextmanager
def disk(
    place: Path,
    error: type[ZooError] = StoreError,
    hint: str | None = None,
) -> Iterator[None]:
    """Tell what the system refuses at `place` (no room, no permission) as one `error`.

    The hint is of what was met, where none is given.
    """
    try:
        yield
    except OSError as problem:
        way = _WAYS.get(problem.errno or 0, "") if hint is None else hint
        raise error(f"{place}: {problem.strerror or problem}", way) from None


_WRITABLE, _ROOM = "is the folder writable?", "is there room?"
_WAYS = {
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _WRITABLE),
    **dict.fromkeys(NO_ROOM, _ROOM),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR), "is there such a folder?"),
    **dict.fromkeys((errno.EISDIR, errno.EINVAL, errno.EEXIST), "name another place"),
}


def require(rule: Callable[[T], None], value: T, error: Callable[[str], ZooError]) -> None:
    """Check a value; what the rule says of a bad one (ValueError, TypeError) becomes an `error`."""
    try:
        rule(value)
    except (ValueError, TypeError) as problem:
        raise error(str(problem)) from None
