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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import NoHome, RegistryError, ZooWarning
from zoo.files import expanded, is_own, is_strange_link, share, whose, write_text
from zoo.records import entry, plain, reader
from zoo.records.entry import Entry
from zoo.records.names import check_endpoint
from zoo.records.text import Document, load_json, parse_json, parse_yaml
from zoo.registry import endpoints, faults
from zoo.said import masked, one_line

if TYPE_CHECKING:
    import httpx2

MAX_BYTES = 4_000_000  # some two thousand students


@dataclass(frozen=True)
class Copy:
    """A registry as it was fetched, with the rows of a newer format that it may have."""

    tag: str  # its ETag, or the commit of its repository; "": none
    document: Document
    hub: str = ""  # that has the files of rows which name none

    def entries(self, whole: bool = False) -> dict[str, Entry]:
        """Its rows; see `entry.bind` for `whole`."""
        rows = entry.bind(self.document, whole=whole)
        return {n: replace(row, endpoint=row.endpoint or self.hub) for n, row in rows.items()}


def load(
    name: str, *, fetch: bool = True, whole: bool = False, named: Sequence[str] = ()
) -> dict[str, Entry]:
    """The rows of the registry at a URL, or in the repository ORG/NAME; see `registries`.

    `named` are the registries that are asked for with it, see `endpoints.lab_token`. Where it
    cannot be reached, or $HF_HUB_OFFLINE forbids to try, the kept copy is used and a ZooWarning
    says so. Without `fetch`: the kept copy in silence, no rows where there is none.
    """
    source = _source(name)
    kept = _kept(source)
    if not fetch:
        return kept.entries(whole) if kept else {}
    if endpoints.offline():
        hint = "ask for it once without that"
        return _instead(kept, f"{source}: HF_HUB_OFFLINE is set", hint).entries(whole)
    try:
        fresh = _patiently(name, source, kept, (name, *named))
    except _AwayError as problem:
        return _instead(kept, str(problem), problem.hint).entries(whole)
    except RegistryError as problem:
        hint = "HF_HUB_OFFLINE=1 uses the copy that was kept of it" if kept else ""
        raise RegistryError(one_line(problem, 2000), problem.hint or hint) from None
    if fresh is not kept:
        _keep(source, fresh)
    return fresh.entries(whole)


class _AwayError(Exception):
    """No answer, or one that says to come back later: after `wait_s` seconds, where it is told."""

    def __init__(self, message: str, hint: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.hint, self.wait_s = hint, wait_s


def _patiently(name: str, source: str, kept: Copy | None, named: Sequence[str]) -> Copy:
    """The registry as it is now; waited for as long as it asks to, where there is no copy."""
    patience = faults.Patience()
    while True:
        try:
            return _of_url(source, kept, named) if "://" in name else _of_repo(name, kept, named)
        except _AwayError as problem:
            if kept or not patience.waited(problem):
                raise


def _source(name: str) -> str:
    """What a registry's name means here and now: a URL without a slash at its end."""
    url = name if "://" in name else f"{endpoints.default()}/{name}"
    url = url if _is_file(url) else url.rstrip("/")
    try:
        check_endpoint(url.partition("?")[0] if _is_file(url) else url)
    except ValueError as problem:
        hint = "PATH, http(s)://HOST/.../registry.yaml, http(s)://HOST of a hub, or ORG/NAME"
        raise RegistryError(f"{url}: not the address of a registry, {problem}", hint) from None
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


def _of_url(url: str, kept: Copy | None, named: Sequence[str]) -> Copy:
    """Of a .yaml file as it stands; of a hub, each row without a hub of its own gets that hub."""
    hub = "" if _is_file(url) else url
    address = f"{hub}/registry.yaml" if hub else url
    answer = _get(address, named, kept.tag if kept else "")
    if kept and answer.status == 304:
        return kept
    return _checked(Copy(answer.tag, _read(address, answer), hub))


def _of_repo(name: str, kept: Copy | None, named: Sequence[str]) -> Copy:
    """Of the commit that is the head of the repository now."""
    endpoint = endpoints.default()
    address = f"{endpoint}/api/models/{name}/revision/main"
    try:
        head = parse_json(_text(address, _get(address, named)), address, RegistryError).data
    except RegistryError as problem:
        raise RegistryError(str(problem), problem.hint or faults.HUB) from None
    commit = head.get("sha") if isinstance(head, dict) else None
    if not isinstance(commit, str) or not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise RegistryError(f"{address}: the answer names no commit", faults.HUB)
    if kept and kept.tag == commit:
        return kept
    address = f"{endpoint}/{name}/resolve/{commit}/registry.yaml"
    return _checked(Copy(commit, _read(address, _get(address, named))))


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


def _get(url: str, named: Sequence[str], tag: str = "") -> _Answer:
    """One GET; an answer that is none of a registry's is a RegistryError or an `_AwayError`."""
    import httpx2

    headers = {"Accept-Encoding": "identity"}
    if tag:
        headers["If-None-Match"] = tag
    if token := endpoints.lab_token(url, named):
        headers["Authorization"] = f"Bearer {token}"  # httpx2 drops it where it is sent elsewhere
    try:
        with (
            endpoints.client(url, RegistryError) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            _check(url, response, bool(tag), endpoints.about_token(url, bool(token), named))
            body = _limited(url, response)
            return _Answer(response.status_code, _plain(response.headers.get("etag", "")), body)
    except (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.InvalidURL) as problem:
        raise RegistryError(f"{url}: {one_line(problem)}", faults.hint(problem)) from None
    except httpx2.TransportError as problem:
        raise _AwayError(f"{url}: {one_line(problem)}", faults.hint(problem)) from None
    except httpx2.TooManyRedirects:
        message = f"{url}: sent on more than {endpoints.MAX_REDIRECTS} times, perhaps in a circle"
        raise RegistryError(message, faults.HUB) from None
    except httpx2.HTTPError as problem:
        raise RegistryError(f"{url}: {one_line(problem)}", faults.HUB) from None


def _check(url: str, response: httpx2.Response, has_tag: bool, about_token: str) -> None:
    """Refuse an answer by its status, and one that left TLS on its way."""
    status, final = response.status_code, str(response.url)
    if url.startswith("https:") and not final.startswith("https:"):
        raise RegistryError(f"{url}: sent on to {final}, without TLS")
    if status == 200 or (status == 304 and has_tag):
        return
    if status == 429 or status >= 500:
        wait_s = faults.wait_s(response.headers)
        raise _AwayError(f"{url}: the server answers {status}", faults.later(wait_s), wait_s)
    reasons = {401: "not for everybody (401)", 403: "not for everybody (403)", 404: "not there"}
    reason = reasons.get(status, f"the server answers {status}")
    ways = {401: about_token, 403: about_token, 404: f"{_HINT}; {about_token}"}
    raise RegistryError(f"{url}: {reason}", ways.get(status, _HINT))


_HINT = "a registry is a PATH, the URL of a registry.yaml or of a hub, or ORG/NAME"


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
        raise RegistryError(message, faults.HUB) from None
    if text.lstrip()[:1] == "<":
        hint = f"{faults.HUB} Or does the network want you to log in?"
        raise RegistryError(f"{address}: a web page, not a registry", hint)
    return text


def _read(address: str, answer: _Answer) -> Document:
    found = parse_yaml(_text(address, answer), address, RegistryError)
    if not isinstance(found.data, dict) or found.data.keys().isdisjoint(("students", "format")):
        raise RegistryError(
            f"{address}: must be a mapping with students in it", f"{faults.HUB} {_HINT}"
        )
    return found


# --- keeping -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Kept:
    """The file of a copy."""

    source: str
    tag: str
    registry: Any  # as in registry.yaml
    hub: str = ""


def folder() -> Path:
    """Where copies are kept: in $ZOO_CACHE, else beside the Hub client's cache, not inside it.

    NoHome where the user has none for it.
    """
    if chosen := os.environ.get("ZOO_CACHE"):
        return expanded(chosen) / ".zoo-registries"
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return expanded(cache) / "studentzoo" / "registries"


def _path(source: str) -> Path:
    return folder() / f"{hashlib.sha256(source.encode()).hexdigest()[:32]}.json"


def _kept(source: str) -> Copy | None:
    """The copy of a registry; None: there is none that can be used.

    What somebody else has put there is not: the rows of a copy are trusted as its address is.
    """
    try:
        path = _path(source)
        if is_strange_link(path.parent) or not is_own(path):
            return None
        kept = reader.read(_Kept, load_json(path, RegistryError), RegistryError)
        copy = _checked(Copy(kept.tag, Document(kept.registry, source), kept.hub))
    except (RegistryError, NoHome, OSError):
        return None
    return copy if kept.source == masked(source) else None


def _keep(source: str, copy: Copy) -> None:
    """Put it in the place of the last copy in one step."""
    kept = _Kept(masked(source), copy.tag, copy.document.data, copy.hub)
    try:
        path = _path(source)
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
            share(path.parent)
        if is_strange_link(path.parent):
            raise OSError(f"it is a link{whose(path.parent)}")
        write_text(path, json.dumps(plain.to_dict(kept), allow_nan=False))
    except (OSError, ValueError, NoHome) as problem:  # no room, no home; no number of JSON's
        text = f"no copy of {source} can be kept in $ZOO_CACHE: {one_line(problem)}"
        warnings.warn(text, ZooWarning, stacklevel=2)
