"""Pull-through of another hub, so that one machine with a link serves a room.

What the store lacks is asked of the upstream and kept under the upstream's own commit ids: the list
of a commit's files at once, their bytes when somebody wants them. Bytes go to the client while they
are written and are hashed on the way; wrong ones are never kept. Branches, tags and who may read
are asked again when they are `FRESH_S` old, whatever is wanted of a repository. When the upstream
is down, what is known is served; what it no longer shows us is closed, until it shows it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool as in_thread
from starlette.requests import Request
from starlette.responses import Response

from zoo.errors import NotFound, RevisionNotFound, StoreError, ZooError
from zoo.records.names import check_stored_repo
from zoo.serve.answers import Refused
from zoo.serve.flight import Flight, FlightAnswer
from zoo.serve.receiving import Receiver
from zoo.serve.remote import Head, Remote, nonsense, reported
from zoo.serve.sending import file_headers, part_of
from zoo.stores.store import Commit, File, Refs, Store

FRESH_S = 60.0  # for so long branches and tags are taken to stand where they stood
WHOLE_S = 2.0  # what arrives within it is checked before its first byte goes to the client
EAGER = ("README.md", "card.json")  # fetched with the list of files: they describe the model
EAGER_BYTES = 1 << 20
DESCRIBE_S = 5.0  # the first answer about a commit waits so long for them, and they go on after it
AT_ONCE = 8  # repositories that a list asks about
LIST_S = 5.0  # a list waits so long for the answers; asking goes on behind it
DOWN_S = 5.0  # so long after a failed connection a list asks about none
AUTHOR = "upstream"  # of the commits that came from there
REFS = 200  # branches and tags that one question asks the upstream about
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Upstream:
    """What a hub pulls through from the hub at `url`; belongs to one event loop.

    `$ZOO_UPSTREAM_TOKEN`, where set, is sent to the upstream; tokens of clients never are.
    """

    def __init__(
        self, store: Store, url: str, *, fresh_s: float = FRESH_S, list_s: float = LIST_S
    ) -> None:
        self._store = store
        self._fresh_s, self._list_s = fresh_s, list_s
        self._remote = Remote(url, os.environ.get("ZOO_UPSTREAM_TOKEN", ""))
        self._receiver = Receiver(store, self._remote)
        self._refs: dict[str, tuple[float, Refs | None]] = {}  # by repo; None: it was down
        self._down_at = -DOWN_S
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._running: dict[tuple[str, ...], asyncio.Task[Any]] = {}
        self._flights: dict[tuple[str, ...], Flight] = {}

    async def close(self) -> None:
        """Stop what is on its way, and let go of the connections."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._remote.close()

    # --- repositories and revisions ---

    async def refresh(self, repo: str, revision: str) -> None:
        """Make the store know `revision` of `repo` as the upstream has it.

        Quiet where the upstream has no such thing: the store's own answer stands. Refused (502)
        where it cannot be asked and the store does not know it either.
        """
        known = await in_thread(self._knows, repo, revision)
        if known and self._is_fresh(repo):
            return
        if not await in_thread(self._may_pull, repo, revision):
            return
        try:
            await self._once(("revision", repo, revision), self._learn(repo, revision))
        except RevisionNotFound:
            if revision != "main":  # the store then knows the repository, and answers for it
                await self.refresh(repo, "main")
        except NotFound:
            await self._close(repo)
        except Refused as problem:
            if problem.code == "GatedRepo":
                await self._close(repo)
            if not known:
                raise
            self._refs[repo] = (time.monotonic(), None)  # asked again when that is old
            if problem.code == "UpstreamUnavailable":
                self._down_at = time.monotonic()

    async def refresh_all(self) -> set[str]:
        """Ask of all that is mirrored whether it may be shown; not while the upstream is down.

        It is waited for `LIST_S` at most. Returns what was never answered for since this started:
        whether that may be shown is not known.
        """
        asked = {}
        for repo in await in_thread(self._stale):
            key = ("list", repo)
            asked[repo] = self._running.get(key) or self._started(key, self._ask(repo))
        if not asked:
            return set()
        done, _ = await asyncio.wait(asked.values(), timeout=self._list_s)
        for task in done:
            task.result()
        return {repo for repo, task in asked.items() if not task.done() and repo not in self._refs}

    async def _ask(self, repo: str) -> None:
        """One of a list."""
        async with self._gate:
            if time.monotonic() - self._down_at < DOWN_S:
                self._refs.setdefault(repo, (time.monotonic() - self._fresh_s, None))
            elif not self._is_fresh(repo):
                with contextlib.suppress(Refused):
                    await self.refresh(repo, "main")

    async def refresh_refs(self, repo: str) -> None:
        """Make the store know every branch and tag of `repo`."""
        await self.refresh(repo, "main")
        refs = self._refs.get(repo, (0.0, None))[1] or Refs({}, {})
        for id in list(dict.fromkeys([*refs.heads.values(), *refs.tags.values()]))[:REFS]:
            await self.refresh(repo, id)

    def _stale(self) -> list[str]:
        """What is mirrored and was not asked about a short time ago."""
        found = []
        for repo in self._store.repos():
            with contextlib.suppress(ZooError):  # deleted since, or damaged
                if not self._is_fresh(repo) and self._store.origin(repo) == self._remote.url:
                    found.append(repo)
        return found

    async def _close(self, repo: str) -> None:
        """The upstream shows it no more, and so nobody sees our copy."""
        with contextlib.suppress(NotFound):
            await in_thread(self._closed, repo)
            self._refs[repo] = (time.monotonic(), None)

    def _closed(self, repo: str) -> None:
        if self._store.origin(repo) == self._remote.url:
            self._store.set_private(repo, self._store.private(repo), closed=True)
        else:
            self._store.forget(repo, AUTHOR)

    def _knows(self, repo: str, revision: str) -> bool:
        try:
            self._store.read(repo, revision)
        except NotFound:
            return False
        return True

    def _may_pull(self, repo: str, revision: str) -> bool:
        """What was published here is not looked for elsewhere; of a student that came with this
        machine's registry other commits may be."""
        try:
            check_stored_repo(repo)
            if origin := self._store.origin(repo):
                return origin == self._remote.url
            main = self._store.read(repo, "main")
            if self._knows(repo, revision):
                return self._store.read(repo, revision).author == AUTHOR
        except (ValueError, RevisionNotFound):
            return False
        except NotFound:
            return True
        return main.imported and bool(_COMMIT.fullmatch(revision))

    def _is_fresh(self, repo: str) -> bool:
        """Whether the upstream was asked for branches and tags a short time ago."""
        return time.monotonic() - self._refs.get(repo, (-self._fresh_s, None))[0] < self._fresh_s

    async def _learn(self, repo: str, revision: str) -> None:
        with reported(self._remote.url):
            refs = self._refs[repo][1] if self._is_fresh(repo) else None
            if refs is None or not _COMMIT.fullmatch(revision):
                refs = await self._remote.refs(repo)
            id = _target(refs, revision)
            commit, private = await self._commit(repo, id)
        try:
            await in_thread(self._adopt, repo, commit, refs, private)
        except StoreError as problem:
            if isinstance(problem.__context__, OSError):  # our disk
                raise
            raise nonsense(str(problem)) from None
        self._refs[repo] = (time.monotonic(), refs)
        await asyncio.gather(*(self._describe(repo, commit, path) for path in EAGER))

    async def _commit(self, repo: str, id: str) -> tuple[Commit, bool]:
        """A commit, from the store or the upstream, and whether it is closed there, asked anew."""
        head = await self._remote.head(repo, id)
        if await in_thread(self._knows, repo, id):
            return await in_thread(self._store.read, repo, id), head.private
        rows = await self._remote.tree(repo, id)
        return imported(head, rows, await in_thread(self._hashes, repo)), head.private

    def _hashes(self, repo: str) -> dict[str, str]:
        """sha256 by git id of what `main` holds here: most files stay from commit to commit."""
        try:
            files = self._store.read(repo, "main").files.values()
        except NotFound:
            return {}
        return {file.oid: file.sha256 for file in files}

    def _adopt(self, repo: str, commit: Commit, refs: Refs, private: bool) -> None:
        """Keep a commit, and the branches and tags that point at it."""
        store, url = self._store, self._remote.url
        heads = {name: id for name, id in refs.heads.items() if id == commit.id}
        tags = {name: id for name, id in refs.tags.items() if id == commit.id}
        try:
            mirrored = store.origin(repo) == url
        except NotFound:
            store.adopt(repo, commit, heads=heads, tags=tags, private=private, origin=url)
            return
        if not mirrored:  # a student that came with this machine: its branches are ours
            if not private or store.private(repo):  # what is closed there is not opened here
                store.adopt(repo, commit)
            else:
                store.forget(repo, AUTHOR)
            return
        store.set_private(repo, private)  # it is open, and to whom it is there
        here = store.refs(repo)
        for name in here.heads.keys() - refs.heads.keys() - {"main"}:
            store.unbranch(repo, name)
        for name in here.tags.keys() - refs.tags.keys():
            store.untag(repo, name)
        if not (heads.items() <= here.heads.items() and tags.items() <= here.tags.items()):
            store.adopt(repo, commit, heads=heads, tags=tags)
        elif not self._knows(repo, commit.id):
            store.adopt(repo, commit)

    async def _describe(self, repo: str, commit: Commit, path: str) -> None:
        """Fetch a file that tells what a model is; without it the model is only less well told."""
        file = commit.files.get(path)
        if file is None or file.size > EAGER_BYTES:
            return
        try:
            if not await in_thread(self._store.has, file.sha256):
                await self._fly(repo, commit, file).landed(DESCRIBE_S)
        except ZooError:
            return

    # --- files ---

    async def send(
        self, request: Request, repo: str, commit: Commit, file: File
    ) -> Response | Path | None:
        """The bytes of a file that the store does not have, kept on their way.

        A path: they are in the store now. None: they cannot come from the upstream. Refused (502):
        they did not, or are wrong.
        """
        if not await in_thread(self._may_pull, repo, commit.id):
            return None
        if request.method == "HEAD":
            return Path()  # nobody reads it
        path = await in_thread(self._path, repo, commit.id, file.path)
        if path is not None:
            return path
        flight = self._fly(repo, commit, file)
        if await flight.landed(WHOLE_S):
            return flight.path
        headers = file_headers(commit, file)
        part = part_of(request.headers, file.size, headers["ETag"])
        if file.oid in self._receiver.distrusted:  # nobody goes on behind bytes that were wrong
            part = None
        return FlightAnswer(flight, part, headers)

    def _path(self, repo: str, id: str, path: str) -> Path | None:
        """Where the bytes are, by what the store knows now."""
        return self._store.find(self._store.read(repo, id).files[path].sha256)

    def _fly(self, repo: str, commit: Commit, file: File) -> Flight:
        """The file on its way; one for all who want it."""
        key = ("file", repo, commit.id, file.path)
        if key not in self._flights:
            flight = self._flights[key] = Flight(file.size)
            task = self._started(key, self._receiver.carry(flight, repo, commit.id, file))
            task.add_done_callback(lambda _: self._flights.pop(key))
        return self._flights[key]

    # --- tasks ---

    async def _once(self, key: tuple[str, ...], work: Coroutine[Any, Any, None]) -> None:
        """Wait for what is under way already, or else for `work`; it goes on if we are dropped."""
        if key in self._running:
            work.close()
        else:
            self._started(key, work)
        await asyncio.shield(self._running[key])

    def _started(self, key: tuple[str, ...], work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._running[key] = asyncio.create_task(work)

        def ended(task: asyncio.Task[None]) -> None:
            del self._running[key]
            if not task.cancelled():
                task.exception()  # whoever waits is told; if nobody does, nobody needs to be

        task.add_done_callback(ended)
        return task


def imported(head: Head, rows: list[File], hashes: dict[str, str]) -> Commit:
    """The upstream's commit as ours; `hashes` is sha256 by git id, as far as they are known."""
    files = {
        row.path: row if row.lfs else replace(row, sha256=hashes.get(row.oid, "")) for row in rows
    }
    return Commit(head.id, (), "", AUTHOR, head.date, "As the upstream has it", files=files)


def _target(refs: Refs, revision: str) -> str:
    """The commit id that a revision means there."""
    if _COMMIT.fullmatch(revision):
        return revision
    for name, known in (
        (revision, refs.heads),
        (revision, refs.tags),
        (revision.removeprefix("refs/heads/"), refs.heads),
        (revision.removeprefix("refs/tags/"), refs.tags),
    ):
        if name in known:
            return known[name]
    raise RevisionNotFound(f"the upstream has no revision {revision!r:.80}")
