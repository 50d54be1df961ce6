"""What a proxy says of the client behind it; believed of the proxies that the operator named."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send


def checked(proxies: Iterable[str]) -> frozenset[str]:
    """Addresses of proxies, as the system writes them; ValueError for what is none."""
    return frozenset(str(ipaddress.ip_address(proxy.strip())) for proxy in proxies)


class Forwarded:
    """Puts the client's address, and the scheme it came by, in the place of the proxy's.

    `X-Forwarded-For` is read from its end, where the nearest proxy writes; what is no address
    there is passed over, with all that stands before it.
    """

    def __init__(self, app: ASGIApp, proxies: frozenset[str]) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if scope["type"] == "http" and client and client[0] in self._proxies:
            scope = {**scope, **self._told(scope, client[0])}
        await self._app(scope, receive, send)

    def _told(self, scope: Scope, proxy: str) -> dict[str, object]:
        said = {"x-forwarded-for": "", "x-forwarded-proto": ""}
        for name, value in scope["headers"]:
            if (key := name.decode("latin-1")) in said:
                said[key] += "," + value.decode("latin-1")
        told: dict[str, object] = {"client": (self._client(said["x-forwarded-for"], proxy), 0)}
        scheme = said["x-forwarded-proto"].rpartition(",")[2].strip().lower()
        if scheme in ("http", "https"):
            told["scheme"] = scheme
        return told

    def _client(self, said: str, proxy: str) -> str:
        """The last address of the list that is no proxy of ours, else the proxy's."""
        for word in reversed(said.split(",")):
            try:
                address = str(ipaddress.ip_address(word.strip()))
            except ValueError:
                return proxy
            if "%" in address:  # behind it may stand anything, and a zone is one machine's own
                return proxy
            if address not in self._proxies:
                return address
        return proxy
