"""One file from a hub over HTTP, from any place in it on.

What a server may do wrong is expected: no Range, more bytes than announced, an encoding nobody
asked for, a redirect elsewhere (the token stays behind), silence. The bytes are taken as they are
on the wire and nothing is decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote

from zoo.errors import IntegrityError, NotFound, PullError
from zoo.fetch.stream import Interrupted, Stream, Unreachable
from zoo.registry import endpoints
from zoo.said import one_line

if TYPE_CHECKING:
    import httpx2

    from zoo.records.entry import Entry

_AGAIN = (408, 425, 429, 500, 502, 503, 504)  # statuses that may pass


@dataclass(frozen=True)
class Hub:
    """Anything that speaks the Hub's HTTP interface."""

    endpoint: str  # base URL, no "/" at its end
    token: str = field(default="", repr=False)  # sent to this endpoint's own host only
    connect_s: float = endpoints.CONNECT_S
    read_s: float = endpoints.READ_S

    @property
    def label(self) -> str:
        return self.endpoint

    @contextmanager
    def open(self, entry: Entry, file: str, offset: int) -> Iterator[Stream]:
        """GET {endpoint}/{repo}/resolve/{revision}/{file} with a Range where `offset` is not 0."""
        url = f"{self.endpoint}/{entry.repo}/resolve/{entry.revision}/{quote(file)}"
        if endpoints.offline():
            raise PullError(f"{self.endpoint}: not asked, HF_HUB_OFFLINE is set")
        response = self._send(url, offset)
        try:
            _check(response, url)
            start, size = _place(response, url, offset)
            yield Stream(url, start, size, _chunks(response, url))
        finally:
            response.close()

    def close(self) -> None:
        if "_client" in self.__dict__:
            self._client.close()
            del self.__dict__["_client"]

    @cached_property
    def _client(self) -> httpx2.Client:
        headers = {"Accept-Encoding": "identity", "User-Agent": "studentzoo"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return endpoints.client(
            self.endpoint,
            PullError,
            headers=headers,
            connect_s=self.connect_s,
            read_s=self.read_s,
        )

    def _send(self, url: str, offset: int) -> httpx2.Response:
        import httpx2

        try:
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            request = self._client.build_request("GET", url, headers=headers)
            return self._client.send(request, stream=True)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as problem:
            raise Unreachable(f"{url}: no connection, {one_line(problem)}") from None
        except (httpx2.UnsupportedProtocol, httpx2.TooManyRedirects, httpx2.InvalidURL) as problem:
            raise PullError(f"{url}: {one_line(problem)}") from None
        except httpx2.HTTPError as problem:
            raise Interrupted(f"{url}: {one_line(problem)}") from None


def _check(response: httpx2.Response, url: str) -> None:
    """Refuse an answer that does not hold the file's own bytes."""
    status = response.status_code
    if status not in (200, 206):
        kind = NotFound if status in (404, 410) else Interrupted if status in _AGAIN else PullError
        if status == 416:
            kind = IntegrityError
        raise kind(
            f"{url}: {status} "
            f"{one_line(response.headers.get('X-Error-Message') or response.reason_phrase)}"
        )
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise PullError(f"{url}: sent as {one_line(encoding)[:20]!r}, which nobody asked for")


def _place(response: httpx2.Response, url: str, offset: int) -> tuple[int, int | None]:
    """Where the answer's bytes begin, and how long the whole file is."""
    if response.status_code == 200:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
    said = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", said)
    if not match or int(match[1]) > offset:
        raise PullError(f"{url}: asked from byte {offset} on, answered {one_line(said)[:60]!r}")
    return int(match[1]), None if match[2] == "*" else int(match[2])


def _chunks(response: httpx2.Response, url: str) -> Iterator[bytes]:
    """Bytes as they arrive, so that none are lost when the link breaks."""
    import httpx2

    try:
        yield from response.iter_raw()
    except httpx2.HTTPError as problem:
        raise Interrupted(f"{url}: {one_line(problem)}") from None
