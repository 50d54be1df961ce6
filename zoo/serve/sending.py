"""Parts of files on their way out, with bounded memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from zoo.serve.answers import Refused

CHUNK = 1 << 20  # bytes read and sent at a time


@dataclass(frozen=True)
class Part:
    """Bytes `start` to `stop` (not included) of a file."""

    start: int
    stop: int


def fresh(if_none_match: str, etag: str) -> bool:
    """Whether the client has these bytes already."""
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in known or known == ["*"]


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
    """A file or a part of it; one chunk is in memory at a time."""

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
        if scope["method"] == "HEAD":
            await send({**start, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": b""})
            return
        file = await run_in_threadpool(FileIO, self.path)
        try:
            await send({**start, "headers": self.raw_headers})
            await self._send(file, send)
        finally:
            file.close()

    async def _send(self, file: FileIO, send: Send) -> None:
        at, stop = self.part.start, self.part.stop
        await run_in_threadpool(file.seek, at)
        while at < stop:
            chunk = await run_in_threadpool(file.read, min(CHUNK, stop - at))
            if not chunk:
                return  # cut short under our feet: the server closes the connection
            at += len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": at < stop})
        if self.part.start == stop:
            await send({"type": "http.response.body", "body": b""})
