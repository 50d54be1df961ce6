"""The registry of a URL or of a hub's repository: fetched, checked, kept for when it is away.

What was fetched replaces the kept copy only after the strict reader has taken it. The copy is asked
for again at each use, by its ETag or its commit, so that what has not changed costs one small
answer. Trust in a registry is trust in its address: the rows hold the hashes of all else.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.errors import RegistryError, ZooWarning
from zoo.files import write_text
from zoo.records import entry, plain, reader
from zoo.records.entry import Entry
from zoo.records.names import check_endpoint
from zoo.registry import endpoints
from zoo.said import one_line

MAX_BYTES = 4_000_000  # some two thousand students


@dataclass(frozen=True)
class Copy:
    """A registry as it was fetched, with the rows of a newer format that it may have."""

    tag: str  # its ETag, or the commit of its repository; "": none
    document: reader.Document
    hub: str = ""  # that has the files of rows which name none

    def entries(self, whole: bool = False) -> dict[str, Entry]:
        """Its rows; see `entry.bind` for `whole`."""
        rows = entry.bind(self.document, whole=whole)
        return {n: replace(row, endpoint=row.endpoint or self.hub) for n, row in rows.items()}


def load(name: str, *, fetch: bool = True, whole: bool = False) -> dict[str, Entry]:
    """The rows of the registry at a URL, or in the repository ORG/NAME; see `registries`.

    Where it cannot be reached, or $HF_HUB_OFFLINE forbids to try, the kept copy is used and a
    ZooWarning says so. Without `fetch`: the kept copy in silence, no rows where there is none.
    """
    source = _source(name)
    kept = _kept(source)
    if not fetch:
        return kept.entries(whole) if kept else {}
    if endpoints.offline():
        hint = "ask for it once without that"
        return _instead(kept, f"{source}: HF_HUB_OFFLINE is set", hint).entries(whole)
    try:
        fresh = _of_url(source, kept) if "://" in name else _of_repo(name, kept)
    except _AwayError as problem:
        hint = "is the address right, and the network there?"
        return _instead(kept, str(problem), hint).entries(whole)
    except RegistryError as problem:
        hint = "HF_HUB_OFFLINE=1 uses the copy that was kept of it" if kept else ""
        raise RegistryError(one_line(problem, 2000), problem.hint or hint) from None
    if fresh is not kept:
        _keep(source, fresh)
    return fresh.entries(whole)


class _AwayError(Exception):
    """No answer, or one that says to come back later."""


def _source(name: str) -> str:
    """What a registry's name means here and now: a URL without a slash at its end."""
    url = name if "://" in name else f"{endpoints.default()}/{name}"
    url = url if _is_file(url) else url.rstrip("/")
    try:
        check_endpoint(url.partition("?")[0] if _is_file(url) else url)
    except ValueError:
        hint = "PATH, http(s)://HOST/.../registry.yaml, http(s)://HOST of a hub, or ORG/NAME"
        raise RegistryError(f"{url}: not the address of a registry", hint) from None
    return url


def _is_file(url: str) -> bool:
    return url.partition("?")[0].endswith((".yaml", ".yml"))


def _instead(kept: Copy | None, reason: str, hint: str) -> Copy:
    if kept is None:
        raise RegistryError(f"{reason}; no copy of this registry is kept here", hint)
    warnings.warn(
        f"{reason}; the copy of this registry kept here is used", ZooWarning, stacklevel=2
    )
    return kept


# --- fetching ------------------------------------------------------------------------------------


def _of_url(url: str, kept: Copy | None) -> Copy:
    """Of a .yaml file as it stands; of a hub, each row without a hub of its own gets that hub."""
    hub = "" if _is_file(url) else url
    address = f"{hub}/registry.yaml" if hub else url
    answer = _get(address, kept.tag if kept else "")
    if kept and answer.status == 304:
        return kept
    return _checked(Copy(answer.tag, _read(address, answer), hub))


def _of_repo(name: str, kept: Copy | None) -> Copy:
    """Of the commit that is the head of the repository now."""
    endpoint = endpoints.default()
    address = f"{endpoint}/api/models/{name}/revision/main"
    head = reader.parse_json(_text(address, _get(address)), address, RegistryError).data
    commit = head.get("sha") if isinstance(head, dict) else None
    if not isinstance(commit, str) or not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise RegistryError(f"{address}: the answer names no commit", "is that a hub?")
    if kept and kept.tag == commit:
        return kept
    address = f"{endpoint}/{name}/resolve/{commit}/registry.yaml"
    return _checked(Copy(commit, _read(address, _get(address))))


def _checked(copy: Copy) -> Copy:
    """A RegistryError where it cannot be read; what it passes over is said when it is used."""
    with warnings.catch_warnings(action="ignore"):
        copy.entries()
    return copy


@dataclass(frozen=True)
class _Answer:
    status: int  # 200 or 304
    tag: str
    body: bytes


def _get(url: str, tag: str = "") -> _Answer:
    """One GET; an answer that is none of a registry's is a RegistryError or an `_AwayError`."""
    import httpx2

    headers = {"Accept-Encoding": "identity"}
    if tag:
        headers["If-None-Match"] = tag
    if token := endpoints.token(url):
        headers["Authorization"] = f"Bearer {token}"  # httpx2 drops it where it is sent elsewhere
    try:
        with (
            endpoints.client(url, RegistryError) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            _check(url, str(response.url), response.status_code, bool(tag))
            body = _limited(url, response)
            return _Answer(response.status_code, _plain(response.headers.get("etag", "")), body)
    except (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.InvalidURL) as problem:
        raise RegistryError(f"{url}: {one_line(problem)}") from None
    except httpx2.TransportError as problem:
        raise _AwayError(f"{url}: {one_line(problem)}") from None
    except httpx2.TooManyRedirects:
        message = f"{url}: sent on more than {endpoints.MAX_REDIRECTS} times, perhaps in a circle"
        raise RegistryError(message) from None
    except httpx2.HTTPError as problem:
        raise RegistryError(f"{url}: {one_line(problem)}") from None


def _check(url: str, final: str, status: int, has_tag: bool) -> None:
    """Refuse an answer by its status, and one that left TLS on its way."""
    if url.startswith("https:") and not final.startswith("https:"):
        raise RegistryError(f"{url}: sent on to {final}, without TLS")
    if status == 200 or (status == 304 and has_tag):
        return
    if status == 429 or status >= 500:
        raise _AwayError(f"{url}: the server answers {status}")
    reasons = {401: "not for everybody (401)", 403: "not for everybody (403)", 404: "not there"}
    reason = reasons.get(status, f"the server answers {status}")
    raise RegistryError(f"{url}: {reason}", _HINT)


_HINT = (
    "a registry is a PATH, the URL of a registry.yaml or of a hub, or ORG/NAME; "
    "HF_TOKEN opens what is private on $HF_ENDPOINT or the public Hub"
)


def _limited(url: str, response: Any) -> bytes:
    encoding = response.headers.get("content-encoding", "identity")
    if encoding.lower() not in ("", "identity"):  # a few bytes could become gigabytes
        raise RegistryError(f"{url}: sent as {encoding}, which nobody asked for")
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > MAX_BYTES:
            raise RegistryError(f"{url}: larger than {MAX_BYTES / 1e6:.0f} MB: not a registry")
    return bytes(body)


def _plain(tag: str) -> str:
    """An ETag that can be sent back as it came, else none."""
    return tag if tag.isascii() and tag.isprintable() else ""


def _text(address: str, answer: _Answer) -> str:
    try:
        text = answer.body.decode("utf-8")
    except UnicodeDecodeError as problem:
        message = f"{address}: not UTF-8 text (byte {problem.start})"
        raise RegistryError(message) from None
    if text.lstrip()[:1] == "<":
        hint = "does the network want you to log in?"
        raise RegistryError(f"{address}: a web page, not a registry", hint)
    return text


def _read(address: str, answer: _Answer) -> reader.Document:
    return reader.parse_yaml(_text(address, answer), address, RegistryError)


# --- keeping -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Kept:
    """The file of a copy."""

    source: str
    tag: str
    registry: Any  # as in registry.yaml
    hub: str = ""


def folder() -> Path:
    """Where copies are kept: in $ZOO_CACHE, else beside the Hub client's cache, not inside it."""
    if chosen := os.environ.get("ZOO_CACHE"):
        return Path(chosen).expanduser() / ".zoo-registries"
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "studentzoo" / "registries"


def _path(source: str) -> Path:
    return folder() / f"{hashlib.sha256(source.encode()).hexdigest()[:32]}.json"


def _kept(source: str) -> Copy | None:
    """The copy of a registry; None: there is none that can be used."""
    path = _path(source)
    try:
        kept = reader.read(_Kept, reader.load_json(path, RegistryError), RegistryError)
        copy = _checked(Copy(kept.tag, reader.Document(kept.registry, source), kept.hub))
    except RegistryError:
        return None
    return copy if kept.source == source else None


def _keep(source: str, copy: Copy) -> None:
    """Put it in the place of the last copy in one step."""
    path, kept = _path(source), _Kept(source, copy.tag, copy.document.data, copy.hub)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(plain.to_dict(kept), allow_nan=False))
    except (OSError, ValueError) as problem:  # no room; a number that JSON has not
        text = f"no copy of {source} can be kept in {path.parent}: {one_line(problem)}"
        warnings.warn(text, ZooWarning, stacklevel=2)
