"""From a request's raw path to its handler.

The path is split before it is unquoted, because revisions travel as one segment ("refs%2Fpr%2F1").
In a pattern `{name}` is one segment or a part of it, `{name...}` the rest of the path.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response

from zoo.said import shown
from zoo.serve.answers import Refused, bad_request

Handler = Callable[..., Awaitable[Response]]  # handler(request, **segments)


@dataclass(frozen=True)
class Route:
    """One line of the table."""

    method: str  # GET (then HEAD too), POST, PUT, DELETE
    pattern: str  # "/api/models/{org}/{name}/tree/{revision}/{path...}"
    handler: Handler
    scope: str = ""  # the token that it needs: "" none, "read" any, "write" one that may write
    query: tuple[str, ...] | None = ()  # names of its query, "x*" may come often; None: any, a page
    tagged: bool = False  # whether its answers have an ETag, which conditions may name

    def check(self, request: Request) -> None:
        """Refuse what is not understood: a name of the query, a condition on what has no tag."""
        if not self.tagged and request.headers.get("if-match", "*").strip() != "*":
            raise Refused(
                412, "PreconditionFailed", "there is no ETag here that If-Match could name"
            )
        if self.query is None:
            return
        known = {name.removesuffix("*") for name in self.query}
        names = [name for name, _ in request.query_params.multi_items()]
        for name in names:
            if name not in known:
                told = ", ".join(sorted(known)) or "none"
                raise bad_request(
                    f"{shown(name, 60)} is not understood in a query here; known: {told}"
                )
            if f"{name}*" not in self.query and names.count(name) > 1:
                raise bad_request(f"{name} stands more than once in the query")


class Table:
    """Routes in order of how exact they are: a word goes before a placeholder."""

    def __init__(self, routes: Iterable[Route]) -> None:
        ordered = sorted(routes, key=lambda route: _rank(route.pattern))
        self._routes = [(_compiled(route.pattern), route) for route in ordered]

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]]:
        """The route of a request, and the unquoted values of its pattern; else 404, 405 or 400."""
        method = "GET" if method == "HEAD" else method
        others: list[str] = []
        for pattern, route in self._routes:
            match = pattern.fullmatch(raw_path)
            if match is None:
                continue
            if route.method == method:
                return route, {k: _unquoted(v) for k, v in match.groupdict().items()}
            others.append(route.method)
        if others:
            raise Refused(405, "MethodNotAllowed", f"not with {method}", Allow=_allowed(others))
        if asked := _XET.fullmatch(raw_path):
            raise _no_xet(asked[1])
        raise Refused(404, "NotFound", "there is nothing at this address")


_XET = re.compile(r"/api/.+/(xet-[a-z]+-token)(?:/.*)?")


def _no_xet(asked: str) -> Refused:
    """Sent on to nowhere: of an answer that is none, the client's library shows but the address."""
    way = "set HF_HUB_DISABLE_XET=1"
    to = f"/no-{asked}-here/{way.replace(' ', '-')}"
    return Refused(307, "NotFound", f"there is no Xet here: {way}", Location=to)


def raw_path(request: Request) -> str:
    """The path as it was sent, still quoted."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return raw.partition(b"?")[0].decode("latin-1")


def base_url(request: Request) -> str:
    """How the client reaches this server, without a slash at the end; "localhost" is in the place
    of a Host that is none, for the address goes into headers and into commands to be copied."""
    host = request.headers.get("host", "")
    if not re.fullmatch(r"[A-Za-z0-9._-]+(:\d+)?|\[[0-9a-fA-F:.]+\](:\d+)?", host, re.ASCII):
        host = "localhost"
    return f"{request.scope['scheme']}://{host}"


def _compiled(pattern: str) -> re.Pattern[str]:
    quoted = re.escape(pattern).replace(r"\{", "{").replace(r"\}", "}")
    rest = re.sub(r"\{(\w+)\\\.\\\.\\\.\}", r"(?P<\1>.*)", quoted)
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", rest), re.DOTALL)


def _rank(pattern: str) -> list[int]:
    return [
        3 if "..." in s else 0 if "{" not in s else 1 + s.endswith("}") for s in pattern.split("/")
    ]


def _unquoted(segment: str) -> str:
    try:
        text = unquote_to_bytes(segment.encode("latin-1")).decode("utf-8")
    except UnicodeDecodeError:
        raise bad_request("the address is not UTF-8") from None
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise bad_request("the address holds a control character")
    return text


def _allowed(methods: list[str]) -> str:
    return ", ".join(sorted({*methods, *(["HEAD"] if "GET" in methods else [])}))
