"""The upstream hub over the wire: what it is asked, and how strictly its answers are read.

Nothing that a client of ours sent goes out with a request; a token, where one is set, goes to the
upstream's own host and not along a redirect to another. Addresses and hashes of Xet are not read.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from zoo.errors import EntryNotFound, InputError, NotFound, RevisionNotFound, ZooError
from zoo.records.names import check_stored_ref
from zoo.records.text import parse_json
from zoo.registry import endpoints, faults
from zoo.said import one_line
from zoo.serve.answers import Refused
from zoo.stores.git import File, Refs

if TYPE_CHECKING:
    import httpx2

CONNECT_S = 4.0  # until the upstream counts as down
READ_S = 10.0  # without a byte
MAX_ANSWER_BYTES = 64 << 20  # of one JSON answer
MAX_FILES = 50_000  # of one commit
MAX_PAGES = 1_000  # of one listing

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Head:
    """What the upstream says of one commit."""

    id: str  # 40 hex digits
    date: str  # ISO 8601, UTC
    private: bool  # private, gated or disabled there: who reads it here needs a token of ours


class Remote:
    """One upstream hub; `url` is its base without a slash at the end."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._opened: httpx2.AsyncClient | None = None

    async def close(self) -> None:
        """Let go of the connections."""
        if self._opened is not None:
            await self._opened.aclose()

    async def refs(self, repo: str) -> Refs:
        """Branches and tags; NotFound where the upstream shows no such repository."""
        said = _table(await self._json(f"/api/models/{repo}/refs", NotFound))
        return Refs(_targets(said, "branches"), _targets(said, "tags"))

    async def head(self, repo: str, commit: str) -> Head:
        """What it says of a commit; RevisionNotFound where it has none of that id."""
        said = _table(await self._json(f"/api/models/{repo}/revision/{commit}", RevisionNotFound))
        if said.get("sha") != commit:
            raise nonsense(f"asked for the commit {commit}, it answered {said.get('sha')!r:.80}")
        closed = any(said.get(key) for key in ("private", "gated", "disabled"))
        return Head(commit, _moment(said.get("lastModified")), closed)

    async def tree(self, repo: str, commit: str) -> list[File]:
        """Every file of a commit; of those that are not LFS it does not tell the sha256."""
        address = f"/api/models/{repo}/tree/{commit}"
        query, found = "recursive=true", list[File]()
        for _ in range(MAX_PAGES):
            rows, following = await self._page(f"{address}?{query}", RevisionNotFound)
            found += [_file(row) for row in _rows(rows) if _table(row).get("type") == "file"]
            if len(found) > MAX_FILES:
                raise nonsense(f"{repo} has more than {MAX_FILES} files")
            if not following:
                return found
            query = urlsplit(following).query  # never its host: a token would follow it
        raise nonsense(f"the list of files of {repo} does not end")

    @asynccontextmanager
    async def file(
        self, repo: str, commit: str, path: str, offset: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of a file from `offset` on, as they arrive."""
        address = f"/{repo}/resolve/{commit}/{quote(path)}"
        headers = {"accept-encoding": "identity"}
        if offset:
            headers["range"] = f"bytes={offset}-"
        async with self._client().stream("GET", self.url + address, headers=headers) as answer:
            _check(answer, EntryNotFound)
            whole = answer.status_code == 200
            if not whole and not _begins_at(answer.headers, offset):
                raise nonsense(f"{path}: it sent other bytes than those from {offset} on")
            yield _from(answer.aiter_raw(), offset if whole else 0)

    async def _json(self, address: str, missing: type[NotFound]) -> Any:
        return (await self._page(address, missing))[0]

    async def _page(self, address: str, missing: type[NotFound]) -> tuple[Any, str]:
        """A JSON answer and the address of the page after it, "" for the last."""
        body = bytearray()
        async with self._client().stream("GET", self.url + address) as answer:
            _check(answer, missing)
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise nonsense(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
            following = answer.links.get("next", {}).get("url", "")
        try:
            return parse_json(body.decode("utf-8"), "its answer", InputError).data, following
        except UnicodeDecodeError:
            raise nonsense("its answer is not UTF-8 text") from None
        except InputError as problem:
            raise nonsense(one_line(problem)) from None

    def _client(self) -> httpx2.AsyncClient:
        import httpx2

        if self._opened is None:
            limits = httpx2.Timeout(READ_S, connect=CONNECT_S)
            try:
                self._opened = httpx2.AsyncClient(
                    headers=self._headers,
                    timeout=limits,
                    follow_redirects=True,
                    verify=endpoints.certificates(self.url, ZooError),
                )
            except ZooError as problem:
                raise _away(str(problem), problem.hint) from None
            except (ValueError, ImportError, OSError) as problem:
                message = f"what the environment says of proxies is of no use, {one_line(problem)}"
                raise _away(message) from None
        return self._opened


@contextmanager
def reported(url: str) -> Iterator[None]:
    """Tell what goes wrong between here and the upstream as a 502."""
    import httpx2

    try:
        yield
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as problem:
        message = f"the upstream {url} cannot be reached: {one_line(problem)}"
        raise _away(message, faults.hint(problem)) from None


def _away(message: str, hint: str = "") -> Refused:
    return Refused(502, "UpstreamUnavailable", f"{message} ({hint})" if hint else message)


def nonsense(what: str) -> Refused:
    """502: an answer of the upstream that cannot be used."""
    return Refused(502, "UpstreamError", f"the upstream is wrong: {what}")


def _check(answer: httpx2.Response, missing: type[NotFound]) -> None:
    """Raise what an answer's status and code mean here."""
    if answer.status_code in (200, 206):
        return
    code = answer.headers.get("x-error-code", "")
    if code == "GatedRepo":
        raise Refused(403, code, "the upstream asks for its terms to be accepted by the owner")
    if code in ("RepoNotFound", "RepositoryNotFound") or answer.status_code in (401, 403, 451):
        raise NotFound("the upstream shows no such repository")
    kinds = {"RevisionNotFound": RevisionNotFound, "EntryNotFound": EntryNotFound}
    if code in kinds or answer.status_code in (404, 410):
        raise kinds.get(code, missing)("the upstream has no such revision or file")
    if answer.status_code == 429:
        raise Refused(503, "UpstreamBusy", "the upstream asks to be left alone for a while")
    raise nonsense(f"it answered {answer.status_code}")


def _begins_at(headers: Mapping[str, str], offset: int) -> bool:
    return headers.get("content-range", "").startswith(f"bytes {offset}-")


async def _from(chunks: AsyncIterator[bytes], skip: int) -> AsyncIterator[bytes]:
    """Without the first `skip` bytes."""
    async for chunk in chunks:
        if len(chunk) > skip:
            yield chunk[skip:]
        skip = max(0, skip - len(chunk))


def _targets(said: dict[str, Any], key: str) -> dict[str, str]:
    rows = [_table(row) for row in _rows(said.get(key, []))]
    found = {_text(row, "name"): _hex(row, "targetCommit", _COMMIT) for row in rows}
    return {name: id for name, id in found.items() if _is_name(name)}


def _is_name(name: str) -> bool:
    """Whether we can have a branch or tag of that name; the others are left out."""
    try:
        check_stored_ref(name)
    except ValueError:
        return False
    return True


def _moment(date: Any) -> str:
    """A time in UTC; the epoch where none is told."""
    try:
        when = datetime.fromisoformat(str(date)).astimezone(UTC)
    except (ValueError, OverflowError):
        when = datetime.fromtimestamp(0, UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _file(row: dict[str, Any]) -> File:
    lfs = row.get("lfs")
    sha256 = _hex(_table(lfs), "oid", _SHA256) if lfs else ""
    size = row.get("size")
    if type(size) is not int or size < 0:
        raise nonsense(f"the size of a file is {size!r:.40}")
    return File(_text(row, "path"), size, sha256, _hex(row, "oid", _COMMIT), bool(lfs))


def _rows(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise nonsense("a list was expected")
    return value


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise nonsense("an object was expected")
    return value


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise nonsense(f'"{key}" is no text')
    return value


def _hex(row: dict[str, Any], key: str, form: re.Pattern[str]) -> str:
    value = _text(row, key)
    if not form.fullmatch(value):
        raise nonsense(f'"{key}" is no hash')
    return value
