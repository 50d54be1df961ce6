"""Answers as the Hub gives them: JSON, and errors that name themselves in `X-Error-Code`."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse, Response

from zoo.errors import (
    NO_ROOM,
    Conflict,
    Damaged,
    EntryNotFound,
    Exists,
    IntegrityError,
    NotFound,
    RevisionNotFound,
    StoreError,
    ZooError,
)
from zoo.said import shown

_KINDS: tuple[tuple[type[ZooError], int, str], ...] = (  # the first that fits
    (RevisionNotFound, 404, "RevisionNotFound"),
    (EntryNotFound, 404, "EntryNotFound"),
    (NotFound, 404, "RepoNotFound"),
    (Exists, 409, "Conflict"),
    (Conflict, 412, "PreconditionFailed"),
    (IntegrityError, 400, "IntegrityError"),
    (StoreError, 400, "BadRequest"),
)
DAMAGED = "what is stored here is damaged; `zoo store fsck` on the server tells where"


class Refused(ZooError):  # noqa: N818
    """A request that is answered with an HTTP status of its own.

    `status` is 400 to 599; `code` is what stands in `X-Error-Code`.
    """

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def bad_request(message: str) -> Refused:
    """400: what was sent cannot be used."""
    return Refused(400, "BadRequest", message)


def too_large(message: str) -> Refused:
    """413: what was sent is over a limit."""
    return Refused(413, "TooLarge", message)


def json(data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`data` as JSON."""
    return JSONResponse(data, status, headers)


def error(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The error answer that clients of the Hub tell apart by `X-Error-Code`."""
    message = shown(message)  # clients print it as it is
    named = {"X-Error-Code": code, "X-Error-Message": _plain(message), "Cache-Control": "no-store"}
    return JSONResponse({"error": message}, status, {**named, **(headers or {})})


def no_entry(message: str, commit: str) -> Response:
    """404: there is no such file or folder in that commit, which the client is told."""
    return error(404, "EntryNotFound", message, {"X-Repo-Commit": commit})


def from_error(problem: ZooError | OSError) -> Response:
    """The answer that an error of the store, or of the disk under it, deserves."""
    if isinstance(problem, Refused):
        return error(problem.status, problem.code, _text(problem), problem.headers)
    if isinstance(problem, Damaged):  # without the path, as of the disk
        return error(503, "Damaged", DAMAGED)
    disk = problem if isinstance(problem, OSError) else problem.__context__
    if isinstance(disk, OSError) and not isinstance(problem, NotFound):
        return _disk_error(disk)
    for kind, status, code in _KINDS:
        if isinstance(problem, kind):
            return error(status, code, _text(problem))
    return error(400, "BadRequest", str(problem))


def _disk_error(problem: OSError) -> Response:
    """507 or 503, without the path: that is the server's own affair."""
    full = problem.errno in NO_ROOM
    reason = f"the server's disk: {problem.strerror or 'cannot be used'}"
    return error(507 if full else 503, "DiskFull" if full else "Unavailable", reason)


def _text(problem: BaseException) -> str:
    hint = getattr(problem, "hint", "")
    return f"{problem} ({hint})" if hint else str(problem)


def _plain(message: str) -> str:
    """One line of printable ASCII, at most 500 characters: what a header may hold."""
    return "".join(c if " " <= c <= "~" else "?" for c in message[:500]).strip()
