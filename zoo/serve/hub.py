"""What every handler is given: the store, the settings, the tokens and, where set, the upstream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from zoo.errors import NotFound
from zoo.names import shown
from zoo.serve.settings import Settings
from zoo.serve.tokens import Token, Tokens

if TYPE_CHECKING:
    from zoo.store import Commit, File, Store

T = TypeVar("T")


class Mirror(Protocol):
    """Another hub that this one pulls through."""

    async def close(self) -> None:
        """Stop what is on its way, and let go of the connections."""

    async def refresh(self, repo: str, revision: str) -> None:
        """Make the store know what upstream has as `revision` of `repo`, under upstream's ids.

        Returns quietly where upstream knows no such thing or cannot be reached: the store's own
        answer stands then.
        """

    async def send(
        self, request: Request, repo: str, commit: Commit, file: File
    ) -> Response | Path | None:
        """The bytes of a file that the store does not have yet, kept on their way.

        A path: they are in the store now, under that name. None: upstream cannot give them.
        """


@dataclass
class Hub:
    """One root, served."""

    store: Store
    settings: Settings
    tokens: Tokens
    mirror: Mirror | None = None

    async def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run what blocks in a thread."""
        return await run_in_threadpool(function, *args, **kwargs)

    async def repo(self, org: str, name: str, user: Token | None) -> str:
        """The id "org/name" of a repository that `user` may see; NotFound where there is none."""
        repo = f"{org}/{name}"
        try:
            private = await self.call(self.store.private, repo)
        except NotFound:
            raise missing(repo) from None
        if private and user is None:
            raise missing(repo)
        return repo

    async def read(self, org: str, name: str, revision: str, user: Token | None) -> Commit:
        """The commit that `revision` means in a repository that `user` may see."""
        if self.mirror is not None:
            await self.mirror.refresh(f"{org}/{name}", revision)
        repo = await self.repo(org, name, user)
        return await self.call(self.store.read, repo, revision)


def missing(repo: str) -> NotFound:
    """The same words for what is not there and for what may not be seen."""
    return NotFound(f"there is no repository {shown(repo)}", "a private one needs a token")
