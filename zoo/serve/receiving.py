"""Bytes from the upstream into the store: resumed, hashed, and kept only where they are right."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from starlette.concurrency import run_in_threadpool as in_thread

from zoo.errors import IntegrityError, StoreError, ZooError
from zoo.said import one_line, shown
from zoo.serve.answers import Refused
from zoo.serve.flight import Flight
from zoo.serve.remote import Remote, reported
from zoo.stores.blobs import Incoming
from zoo.stores.store import File, Store

TRIES = 3  # connections in a row that bring no byte, until a file is given up
PAUSE_S = 0.2  # before the next connection, a little more or less each time
_log = logging.getLogger("zoo.serve")


class Receiver:
    """Fetches files of one upstream into one store."""

    def __init__(self, store: Store, remote: Remote) -> None:
        self.distrusted: set[str] = set()  # git ids of files of which wrong bytes came
        self._store = store
        self._remote = remote
        self._filling = asyncio.Lock()

    async def carry(self, flight: Flight, repo: str, commit: str, file: File) -> None:
        """Bring a file of a commit into the store; readers of `flight` are told how it goes."""
        problem: ZooError = Refused(503, "Stopped", "the server stops")
        try:
            with reported(self._remote.url):
                sha256 = await self._fetched(flight, repo, commit, file)
            await self._fill_in(repo, commit, file, sha256)
            flight.land(await in_thread(self._store.blob, sha256))
        except IntegrityError as wrong:
            self.distrusted.add(file.oid)
            message = f"the upstream sent wrong bytes of {file.path}: {wrong}"
            problem = Refused(502, "IntegrityError", message)
        except (ZooError, OSError) as broken:
            problem = broken if isinstance(broken, ZooError) else StoreError(str(broken))
        finally:
            if not flight.is_whole:
                _log.warning("%s of %s: %s", shown(file.path, 200), repo, one_line(problem))
                flight.crash(problem)

    async def _fetched(self, flight: Flight, repo: str, commit: str, file: File) -> str:
        """The sha256 of the bytes, which are in the store now."""
        git = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
        with self._store.incoming(sha256=file.sha256 or None, size=file.size) as incoming:

            def take(chunk: bytes) -> Path:
                git.update(chunk)
                incoming.write(chunk)
                return incoming.flush()

            fruitless = 0
            while incoming.received < file.size:
                before = incoming.received
                broken = await self._connection(flight, incoming, take, (repo, commit, file.path))
                fruitless = 0 if incoming.received > before else fruitless + 1
                if fruitless == TRIES:
                    raise broken or IntegrityError(f"they end after {before} bytes")
                if broken:
                    await asyncio.sleep(PAUSE_S * random.uniform(0.5, 1.5) * (1 + fruitless))
            if not file.lfs and git.hexdigest() != file.oid:
                raise IntegrityError(f"their git id is {git.hexdigest()}, not {file.oid}")
            return (await in_thread(incoming.finish))[0]

    async def _connection(
        self,
        flight: Flight,
        incoming: Incoming,
        take: Callable[[bytes], Path],
        file: tuple[str, str, str],
    ) -> Exception | None:
        """Take what one connection brings from where the last one ended; why it broke, if so."""
        import httpx2

        try:
            async with self._remote.file(*file, incoming.received) as chunks:
                async for chunk in chunks:
                    flight.grow(await in_thread(take, chunk), incoming.received)
        except httpx2.TransportError as broken:
            return broken
        return None

    async def _fill_in(self, repo: str, commit: str, file: File, sha256: str) -> None:
        """Tell the store which bytes a file of the commit has, where it did not know."""
        if file.sha256:
            return
        async with self._filling:
            known = await in_thread(self._store.read, repo, commit)
            files = {**known.files, file.path: replace(file, sha256=sha256)}
            await in_thread(self._store.adopt, repo, replace(known, files=files))
