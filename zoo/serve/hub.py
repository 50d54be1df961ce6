"""What every handler is given: the store, the settings, the tokens and, where set, the upstream."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.concurrency import run_in_threadpool

from zoo.errors import NotFound, StoreError
from zoo.records.names import quoted
from zoo.serve.answers import DAMAGED, Refused
from zoo.serve.settings import Settings
from zoo.serve.tokens import Token, Tokens

if TYPE_CHECKING:
    from zoo.serve.upstream import Upstream
    from zoo.stores.store import Commit, Store

T = TypeVar("T")


@dataclass(frozen=True)
class Hub:
    """One root, served."""

    store: Store
    settings: Settings
    tokens: Tokens
    mirror: Upstream | None = None  # the hub that this one pulls through

    async def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run what blocks in a thread."""
        return await run_in_threadpool(function, *args, **kwargs)

    async def ask(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run what reads the root in a thread; damage there is 503, the client cannot help it."""
        try:
            return await self.call(function, *args, **kwargs)
        except StoreError as problem:
            if isinstance(problem.__context__, OSError):
                raise
            raise Refused(503, "Damaged", DAMAGED) from None

    async def read(self, org: str, name: str, revision: str, user: Token | None) -> Commit:
        """The commit that `revision` means in a repository that `user` may see."""
        repo = f"{org}/{name}"
        if self.mirror is not None:
            await self.mirror.refresh(repo, revision)
        return await self.ask(self._read, repo, revision, user)

    async def check_writer(self, id: str) -> None:
        """403 where the token of that id may not write any more: a body may take hours."""
        holder = await self.ask(self.tokens.holder, id)
        if holder is None or holder.scope != "write":
            raise Refused(403, "Forbidden", "the token was revoked, has expired or may only read")

    async def refresh_all(self) -> set[str]:
        """Before a list: what another hub has closed since is not in it.

        Returns what must be left out, for the other hub has not answered yet.
        """
        return await self.mirror.refresh_all() if self.mirror is not None else set()

    def check_visible(self, repo: str, user: Token | None) -> None:
        """NotFound, in the same words, where there is no such repository or `user` may not know."""
        with contextlib.suppress(NotFound):
            if self.store.shows(repo, private=user is not None):
                return
        raise NotFound(f"there is no repository {quoted(repo)}", "a private one needs a token")

    def _read(self, repo: str, revision: str, user: Token | None) -> Commit:
        self.check_visible(repo, user)
        return self.store.read(repo, revision)
