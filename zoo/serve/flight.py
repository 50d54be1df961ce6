"""One file on its way from the upstream to the store, and whoever reads it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from anyio import AsyncFile, open_file
from starlette.types import Receive, Scope, Send

from zoo.errors import IntegrityError, ZooError
from zoo.serve.sending import CHUNK, FileAnswer, Part


class Flight:
    """A file that grows at `path` until `land` or `crash` is called; all calls from one event loop.

    Its last byte is handed out when the hash of all has been checked and not before, so that no
    reader ever has a whole file of wrong bytes.
    """

    def __init__(self, size: int) -> None:
        self.size = size  # bytes
        self.written = 0  # bytes that can be read at `path`
        self.path: Path | None = None  # None until there are bytes
        self._landed = False
        self._problem: ZooError | None = None
        self._news = asyncio.Event()

    def grow(self, path: Path, written: int) -> None:
        """So many bytes are at `path` by now."""
        self.path, self.written = path, written
        self._tell()

    def land(self, path: Path) -> None:
        """All of it is right, and has moved to `path`."""
        self.path, self._landed = path, True
        self._tell()

    @property
    def is_whole(self) -> bool:
        """Whether it has landed."""
        return self._landed

    def crash(self, problem: ZooError) -> None:
        """It will never be whole."""
        self._problem = problem
        self._tell()

    async def landed(self, within_s: float) -> bool:
        """Whether it is whole in so many seconds; raises why where it will never be."""
        try:
            async with asyncio.timeout(within_s):
                while not self._landed:
                    await self._wait()
        except TimeoutError:
            return False
        return True

    async def read(self, part: Part) -> AsyncIterator[bytes]:
        """The bytes of a part as they come; raises why where they never do."""
        at = part.start
        async with await self._open() as file:
            await file.seek(at)
            while at < part.stop:
                ready = self._ready(part)
                if at >= ready:
                    await self._wait()
                    continue
                piece = await file.read(min(CHUNK, ready - at))
                if not piece:
                    raise IntegrityError(f"a file became shorter than {ready} bytes")
                at += len(piece)
                yield piece

    def _ready(self, part: Part) -> int:
        """Up to which byte of a part it may be told."""
        if self._landed:
            return part.stop
        return min(self.written, self.size - 1) if part.stop == self.size else 0

    async def _open(self) -> AsyncFile[bytes]:
        while True:
            path, landed = self.path, self._landed
            try:
                if path is not None:
                    return await open_file(path, "rb")
            except FileNotFoundError:  # it has just moved, or is gone
                if landed:
                    raise
            if path == self.path:
                await self._wait()

    async def _wait(self) -> None:
        """Until something has happened; raises what went wrong."""
        if self._problem is not None:
            raise self._problem
        await self._news.wait()

    def _tell(self) -> None:
        told, self._news = self._news, asyncio.Event()
        told.set()


class FlightAnswer(FileAnswer):
    """A file, or a part of it, that is still on its way."""

    def __init__(self, flight: Flight, part: Part | None, headers: Mapping[str, str]) -> None:
        super().__init__(Path(), flight.size, part, headers)
        self.flight = flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        at = self.part.start
        try:
            async for piece in self.flight.read(self.part):
                at += len(piece)
                more = at < self.part.stop
                await send({"type": "http.response.body", "body": piece, "more_body": more})
            if self.part.start == self.part.stop:
                await send({"type": "http.response.body", "body": b""})
        except (ZooError, OSError):
            return  # the server closes the connection: the client sees that it is cut short
