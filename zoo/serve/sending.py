"""Parts of files on their way out, with bounded memory."""

from __future__ import annotations

import re
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from zoo.serve.answers import Refused, from_error
from zoo.stores.store import Commit, File

FIRST = 1 << 19  # bytes read and sent at first; a client that stalls holds two of these in memory
CHUNK = 1 << 20  # the same for a client that has taken the last ones quickly
LITTLE = 1 << 16  # and for one that is slow
_TAG = re.compile(r'(W/)?"[^"]*"')  # RFC 9110, 8.8.3
SLOW_S = 0.1  # who takes longer for a chunk is slow, in seconds
_TYPES = {  # what a browser may show; all else is bytes to keep
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".yaml": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class Part:
    """Bytes `start` to `stop` (not included) of a file."""

    start: int
    stop: int


def not_modified(headers: Headers, etag: str) -> bool:
    """Whether the client has these bytes already; 412 where it wants other ones or none.

    In the order of RFC 9110, 13.2.2. Conditions on times are passed over, as it says of what has no
    Last-Modified.
    """
    if "if-match" in headers and not _names(headers.getlist("if-match"), etag, weak=False):
        raise Refused(412, "PreconditionFailed", f"the ETag is {etag}", ETag=etag)
    return _names(headers.getlist("if-none-match"), etag, weak=True)


def _names(lines: list[str], etag: str, weak: bool) -> bool:
    """Whether a list of tags is "*" or holds this one; a weak tag only where `weak`."""
    text = ", ".join(lines).strip()
    tags = [match[0] for match in _TAG.finditer(text) if weak or not match[1]]
    return text == "*" or etag in [tag.removeprefix("W/") for tag in tags]


def part_of(headers: Mapping[str, str], size: int, etag: str) -> Part | None:
    """The part that `Range` asks for; None is the whole file.

    A Range that cannot be read, or of several parts, or of other bytes than `If-Range` names, is as
    if there were none; one behind the end is 416.
    """
    condition = headers.get("if-range", etag)
    match = re.fullmatch(r"bytes=\s*(\d{0,19})-(\d{0,19})\s*", headers.get("range", ""), re.ASCII)
    if match is None or condition != etag or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return None
    if not first:
        return _checked(max(size - int(last), 0), size, size)
    stop = min(int(last) + 1, size) if last else size
    return _checked(int(first), stop, size)


def _checked(start: int, stop: int, size: int) -> Part:
    if start >= size:
        message = f"the file has {size} bytes"
        raise Refused(416, "RangeNotSatisfiable", message, Content_Range=f"bytes */{size}")
    return Part(start, stop)


class FileAnswer(Response):
    """A file or a part of it; two chunks are in memory at a time."""

    def __init__(
        self, path: Path, size: int, part: Part | None, headers: Mapping[str, str]
    ) -> None:
        self.path = path
        self.part = part or Part(0, size)
        extra = {"Content-Length": str(self.part.stop - self.part.start)}
        if part is not None:
            extra["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
        self.status_code = 200 if part is None else 206
        self.background = None
        self.init_headers({**headers, **extra})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        start["headers"] = self.raw_headers
        left = self.part.stop - self.part.start
        if scope["method"] == "HEAD" or left == 0:
            await send(start)
            await send(_body(b"", more=False))
            return
        try:
            file, chunk = await run_in_threadpool(self._open)
        except OSError as problem:  # collected since it was found, or the disk is gone
            await from_error(problem)(scope, receive, send)
            return
        with file:
            await send(start)
            left -= len(chunk)
            size = await _sent(send, chunk, more=left > 0)
            del chunk  # a client that stalls would hold it
            if left > 0:
                await _while_connected(receive, _send_rest(file, left, size, send))

    def _open(self) -> tuple[FileIO, bytes]:
        """The file, read up to the end of the first chunk."""
        file = FileIO(self.path)
        try:
            file.seek(self.part.start)
            return file, file.read(min(FIRST, self.part.stop - self.part.start))
        except OSError:
            file.close()
            raise


async def _send_rest(file: FileIO, left: int, size: int, send: Send) -> None:
    """The next `left` bytes; as few as come if the file ends before, which ends the connection."""
    while left:
        try:
            chunk = await run_in_threadpool(file.read, min(size, left))
        except OSError:
            return
        if not chunk:
            return
        left -= len(chunk)
        size = await _sent(send, chunk, more=left > 0)


async def _sent(send: Send, chunk: bytes, more: bool) -> int:
    """Send it; how many bytes the client may be given next."""
    began = time.monotonic()
    await send(_body(chunk, more))
    return LITTLE if time.monotonic() - began > SLOW_S else CHUNK


def _body(chunk: bytes, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": chunk, "more_body": more}


async def _while_connected(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Do the work until it is done or the client has gone."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await work
        group.cancel_scope.cancel()


def file_headers(commit: Commit, file: File) -> dict[str, str]:
    """What tells the client which bytes these are."""
    etag = file.sha256 if file.lfs else file.oid
    kind = _TYPES.get(Path(file.path).suffix.lower(), "application/octet-stream")
    headers = {
        "X-Repo-Commit": commit.id,
        "ETag": f'"{etag}"',
        "Accept-Ranges": "bytes",
        "Content-Type": kind,
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }
    if file.lfs:
        headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(file.size)}
    return headers
