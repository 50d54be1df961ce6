"""What every handler is given: the store, the settings, the tokens and, where set, the upstream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from zoo.errors import NotFound, StoreError
from zoo.records.names import shown
from zoo.serve.answers import DAMAGED, Refused
from zoo.serve.settings import Settings
from zoo.serve.tokens import Token, Tokens

if TYPE_CHECKING:
    from zoo.stores.store import Commit, File, Store

T = TypeVar("T")


class Mirror(Protocol):
    """Another hub that this one pulls through."""

    async def close(self) -> None:
        """Stop what is on its way, and let go of the connections."""

    async def refresh(self, repo: str, revision: str) -> None:
        """Make the store know what upstream has as `revision` of `repo`, under upstream's ids.

        Quiet where upstream knows no such thing, or cannot be reached and the store knows it: the
        store's own answer stands then.
        """

    async def refresh_refs(self, repo: str) -> None:
        """The same for every branch and tag of `repo`."""

    async def send(
        self, request: Request, repo: str, commit: Commit, file: File
    ) -> Response | Path | None:
        """The bytes of a file that the store does not have yet, kept on their way.

        A path: they are in the store now, under that name. None: upstream cannot give them.
        """


@dataclass(frozen=True)
class Hub:
    """One root, served."""

    store: Store
    settings: Settings
    tokens: Tokens
    mirror: Mirror | None = None

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

    async def repo(self, org: str, name: str, user: Token | None) -> str:
        """The id "org/name" of a repository that `user` may see; NotFound where there is none."""
        repo = f"{org}/{name}"
        await self.ask(self.check_visible, repo, user)
        return repo

    async def read(self, org: str, name: str, revision: str, user: Token | None) -> Commit:
        """The commit that `revision` means in a repository that `user` may see."""
        repo = f"{org}/{name}"
        if self.mirror is not None:
            await self.mirror.refresh(repo, revision)
        return await self.ask(self._read, repo, revision, user)

    def check_visible(self, repo: str, user: Token | None) -> None:
        """NotFound, in the same words, where there is no such repository or `user` may not know."""
        try:
            hidden = self.store.private(repo) and user is None
        except NotFound:
            raise missing(repo) from None
        if hidden:
            raise missing(repo)

    def _read(self, repo: str, revision: str, user: Token | None) -> Commit:
        self.check_visible(repo, user)
        return self.store.read(repo, revision)


def missing(repo: str) -> NotFound:
    """The same words for what is not there and for what may not be seen."""
    return NotFound(f"there is no repository {shown(repo)}", "a private one needs a token")
