"""An upstream that answers nonsense: one clear error, nothing kept, nothing told to strangers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from zoo.stores.git import blob_id, pointer
from zoo.stores.store import Store

httpx2 = pytest.importorskip("httpx2")
pytest.importorskip("uvicorn")

ID = "a" * 40
BYTES = b"weights " * 1000
SHA256 = hashlib.sha256(BYTES).hexdigest()
MODEL = {
    "type": "file",
    "path": "model.onnx",
    "size": len(BYTES),
    "oid": blob_id(pointer(SHA256, len(BYTES))),
    "lfs": {"oid": SHA256, "size": len(BYTES), "pointerSize": 130},
    "xetHash": "f" * 64,
}
BRANCH = {"name": "main", "ref": "refs/heads/main", "targetCommit": ID}
REFS = "/api/models/lab/toy/refs"
HEAD = f"/api/models/lab/toy/revision/{ID}"
TREE = f"/api/models/lab/toy/tree/{ID}"
FILE = f"/lab/toy/resolve/{ID}/model.onnx"


@dataclass
class Scripted:
    """An upstream with a written answer for each path: status, headers, body."""

    answers: dict[str, tuple[int, dict[str, str], bytes]]
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        self.seen.append((scope["path"], headers))
        status, told, body = self.answers.get(scope["path"], (404, {}, b"{}"))
        raw = [(k.encode(), v.encode()) for k, v in told.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})


def said(data: Any, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return 200, {k.replace("_", "-"): v for k, v in headers.items()}, json.dumps(data).encode()


@pytest.fixture
def upstream() -> Scripted:
    """It has one model of one file."""
    return Scripted(
        {
            REFS: said({"branches": [BRANCH], "tags": []}),
            HEAD: said({"sha": ID, "lastModified": "2026-01-31T12:00:00.000Z"}),
            TREE: said([MODEL, {"type": "directory", "path": "x", "oid": "0"}]),
            FILE: (200, {}, BYTES),
        }
    )


@pytest.fixture
def mirror(tmp_path: Path, serve_app: Any, upstream: Scripted) -> Callable[[], tuple[str, Store]]:
    """A hub in front of it."""
    from zoo.serve import create_app
    from zoo.serve.settings import Settings

    def make() -> tuple[str, Store]:
        url, _ = serve_app(upstream)
        store = Store(tmp_path / "mirror")
        settings = Settings(b"a secret of the tests", upstream=url)
        return serve_app(create_app(store, settings))[0], store

    return make


NONSENSE: dict[str, list[Any]] = {
    REFS: [
        (200, {}, b"<html>"),
        said([]),
        said({"branches": {}}),
        said({"branches": [{"name": "main", "targetCommit": "abc"}]}),
        said({"branches": [{"targetCommit": ID}]}),
        (500, {}, b""),
    ],
    HEAD: [said({"sha": "b" * 40}), said(None)],
    TREE: [
        said({"error": "no"}),
        said([{**MODEL, "path": "../../etc/passwd"}]),
        said([{**MODEL, "path": "/etc/passwd"}]),
        said([{**MODEL, "path": 7}]),
        said([{**MODEL, "size": -1}]),
        said([{**MODEL, "size": True}]),
        said([{**MODEL, "oid": "short"}]),
        said([{**MODEL, "lfs": {"oid": "A" * 64}}]),
        said([MODEL, {**MODEL, "path": "model.onnx/inside"}]),
        (200, {}, b"[" * 100_000),
    ],
}


@pytest.mark.parametrize("path", NONSENSE)
def test_nonsense_is_one_error_and_no_repository(
    upstream: Scripted, mirror: Any, path: str
) -> None:
    url, store = mirror()
    for answer in NONSENSE[path]:
        upstream.answers[path] = answer
        got = httpx2.get(f"{url}/api/models/lab/toy")
        assert (got.status_code, got.headers["x-error-code"]) == (502, "UpstreamError"), answer
        assert "the upstream is wrong" in got.json()["error"]
        assert store.repos() == []


def test_a_refusal_is_passed_on_as_what_it_means(upstream: Scripted, mirror: Any) -> None:
    url, _ = mirror()
    for answer, status, code in [
        ((401, {}, b""), 404, "RepoNotFound"),  # as the public Hub hides what is private
        ((403, {"x-error-code": "GatedRepo"}, b""), 403, "GatedRepo"),
        ((404, {"x-error-code": "RepoNotFound"}, b""), 404, "RepoNotFound"),
        ((429, {}, b""), 503, "UpstreamBusy"),
    ]:
        upstream.answers[REFS] = answer
        got = httpx2.get(f"{url}/api/models/lab/toy")
        assert (got.status_code, got.headers["x-error-code"]) == (status, code)


def test_a_proxy_that_cannot_be_used_is_one_error(
    mirror: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = mirror()
    monkeypatch.setenv("ALL_PROXY", "nonsense://x")
    with httpx2.Client(trust_env=False) as client:
        got = client.get(f"{url}/api/models/lab/toy")
    assert (got.status_code, got.headers["x-error-code"]) == (502, "UpstreamUnavailable")
    assert "proxies" in got.json()["error"]


def test_a_mirror_believes_whom_the_user_believes_and_names_the_way_out(
    tmp_path: Path, serve_app: Any, mirror: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.registry.endpoints import CERTIFICATES
    from zoo.serve import create_app
    from zoo.serve.settings import Settings

    def told(url: str) -> str:
        with httpx2.Client(trust_env=False, timeout=30) as client:
            got = client.get(f"{url}/api/models/lab/toy")
        assert got.headers.get("x-error-code") == "UpstreamUnavailable", got.text
        return str(got.json()["error"])

    nobody = Settings(b"a secret of the tests", upstream="http://127.0.0.1:9")
    away, _ = serve_app(create_app(Store(tmp_path / "away"), nobody))
    assert "is a hub running at that address" in told(away)
    url, _ = mirror()
    for name in CERTIFICATES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    said = told(url)
    assert "REQUESTS_CA_BUNDLE" in said and "holds no certificates" in said
    assert "mend or unset REQUESTS_CA_BUNDLE" in said


def test_a_file_of_another_length_is_refused(upstream: Scripted, mirror: Any) -> None:
    url, store = mirror()
    for body in (BYTES + b"more", BYTES[:-1], b""):
        upstream.answers[FILE] = (200, {}, body)
        got = httpx2.get(f"{url}/lab/toy/resolve/main/model.onnx", timeout=30)
        assert (got.status_code, got.headers["x-error-code"]) == (502, "IntegrityError")
        assert not store.has(SHA256)
        assert list((store.root / "incoming").iterdir()) == []


def test_names_that_a_store_cannot_have_are_left_out(upstream: Scripted, mirror: Any) -> None:
    odd = {"name": "a/../b", "targetCommit": ID}
    upstream.answers[REFS] = said({"branches": [BRANCH, odd], "tags": [odd]})
    url, store = mirror()
    assert httpx2.get(f"{url}/api/models/lab/toy/refs").status_code == 200
    assert (store.refs("lab/toy").heads, store.refs("lab/toy").tags) == ({"main": ID}, {})


def test_a_time_that_is_none_does_no_harm(upstream: Scripted, mirror: Any) -> None:
    upstream.answers[HEAD] = said({"sha": ID, "lastModified": "yesterday"})
    got = httpx2.get(f"{mirror()[0]}/api/models/lab/toy")
    assert got.json()["lastModified"] == "1970-01-01T00:00:00.000Z"


def test_nothing_of_xet_is_passed_on(upstream: Scripted, mirror: Any) -> None:
    upstream.answers[FILE] = (200, {"x-xet-hash": "f" * 64, "x-xet-cas-url": "local:///"}, BYTES)
    url, _ = mirror()
    assert "xet" not in httpx2.get(f"{url}/api/models/lab/toy/tree/main").text.lower()
    got = httpx2.get(f"{url}/lab/toy/resolve/main/model.onnx")
    assert got.content == BYTES
    assert not [name for name in got.headers if "xet" in name]


def test_a_list_in_pages_is_followed_on_the_same_host(
    upstream: Scripted, mirror: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_UPSTREAM_TOKEN", "secret")
    monkeypatch.setattr("zoo.serve.remote.MAX_PAGES", 5)
    link = '<http://evil.example.org/api?cursor=2>; rel="next"'
    upstream.answers[TREE] = said([MODEL], Link=link)  # every page has one after it
    got = httpx2.get(f"{mirror()[0]}/api/models/lab/toy")
    assert "does not end" in got.json()["error"]
    assert [path for path, _ in upstream.seen].count(TREE) == 5


def test_a_token_does_not_follow_a_redirect_to_another_host(
    upstream: Scripted, mirror: Any, serve_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_UPSTREAM_TOKEN", "secret")
    elsewhere = Scripted({"/blob": (200, {}, BYTES)})
    place, _ = serve_app(elsewhere)
    upstream.answers[FILE] = (302, {"location": f"{place}/blob"}, b"")
    url, _ = mirror()
    assert httpx2.get(f"{url}/lab/toy/resolve/main/model.onnx").content == BYTES
    assert {headers["authorization"] for _, headers in upstream.seen} == {"Bearer secret"}
    assert ["authorization" in headers for _, headers in elsewhere.seen] == [False]
