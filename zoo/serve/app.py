"""The ASGI application: finds the handler, asks for the token, turns errors into answers."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from zoo.errors import ZooError
from zoo.serve.answers import Refused, from_error
from zoo.serve.hub import Hub
from zoo.serve.routing import Route, Table, raw_path
from zoo.serve.tokens import Token


class App:
    """Answers requests over one hub."""

    def __init__(self, hub: Hub, routes: Iterable[Route]) -> None:
        self.hub = hub
        self._table = Table(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            response = await self._answer(Request(scope, receive))
            if response is not None:
                await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response | None:
        """None where nobody waits for an answer any more."""
        try:
            route, segments = self._table.find(request.method, raw_path(request))
            request.state.hub = self.hub
            route.check(request)
            request.state.user = await self._user(request, route.scope)
            return await route.handler(request, **segments)
        except (ZooError, OSError) as problem:
            return from_error(problem)
        except ClientDisconnect:
            return None

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown" and self.hub.mirror is not None:
                await self.hub.mirror.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _user(self, request: Request, scope: str) -> Token | None:
        """Whose token came; public reads ask for none, and take an unknown one for none."""
        given = _given(request.headers.get("authorization", ""))
        found = [await self.hub.ask(self.hub.tokens.check, token) for token in given]
        user = next(filter(None, found), None)
        if scope and user is None:
            raise _unauthorized(bool(given))
        if scope == "write" and user is not None and user.scope != "write":
            raise Refused(403, "Forbidden", f'the token of "{user.name}" may only read')
        return user


def _given(header: str) -> list[str]:
    """The tokens that a header may mean: of Basic the password, else the name of the user."""
    kind, _, value = header.strip().partition(" ")
    if kind.lower() == "bearer":
        words = [value.strip()]
    elif kind.lower() == "basic":
        with contextlib.suppress(ValueError):
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
            return [word for word in (password, user) if word]
        words = [value]  # none that is known
    else:
        words = []
    return [word for word in words if word]


def _unauthorized(given: bool) -> Refused:
    reason = "the token is unknown or has expired" if given else "this needs a token"
    message = f"{reason}; `zoo token add NAME --scope write` on the server makes one"
    return Refused(401, "Unauthorized", message, WWW_Authenticate='Bearer, Basic realm="zoo"')
