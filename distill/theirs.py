"""Code that a user brought: what it raises is told in one line, with its own place."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distill.errors import DistillError


@contextmanager
def theirs(what: str, file: str, *known: type[Exception]) -> Iterator[None]:
    """Run code of a user's `file`; whatever it raises becomes a `DistillError`.

    `known` errors, and ours, pass as they are.
    """
    passed: tuple[type[Exception], ...] = (DistillError, *known)
    try:
        yield
    except passed:
        raise
    except Exception as error:  # code of others may raise anything
        said = " ".join(str(error).split()) or "no words"
        told = f"{what} fails: {type(error).__name__}: {said} ({place(error, file)})"
        raise DistillError(told, "mend it and run the build again: it goes on") from error


def place(error: Exception, file: str) -> str:
    """The last line of `file` that an error went through, or the last of all: FILE:LINE, function.

    A path without a folder fits every file of that name.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [one for one in frames if file in (one.filename, Path(one.filename).name)]
    last = (own or frames)[-1]
    return f"{last.filename}:{last.lineno}, in {last.name}"
