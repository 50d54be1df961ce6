"""How a step ends before its time: no room on the disk, or Ctrl-C."""

from __future__ import annotations

from types import TracebackType

from zoo.errors import NO_ROOM, Stopped, StoreError
from zoo.said import one_line


class Told:
    """While a step is at work: what stops it says so, and how to go on.

    A full disk, whatever the error that it became, is one `StoreError`; Ctrl-C is `Stopped`.
    """

    def __init__(self, name: str, doing: str) -> None:
        self.what = f"{name}: {doing}"

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if isinstance(error, KeyboardInterrupt) and not isinstance(error, Stopped):
            raise Stopped(self.what) from error
        full = full_disk(error)
        if full is not None:
            place = f"{full.filename} cannot be written: " if full.filename else ""
            raise StoreError(
                f"{self.what}: {place}{one_line(full.strerror or full)}",
                "make room and run the build again: it goes on with what it kept",
            ) from error


def full_disk(error: BaseException | None) -> OSError | None:
    """The error of a disk without room that an exception came of; None: it came of none."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None
