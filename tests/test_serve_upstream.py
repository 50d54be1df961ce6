"""A hub that pulls through: what its clients get is the upstream's, under the upstream's ids."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from zoo.stores.store import Add, Commit, Store

hub = pytest.importorskip("huggingface_hub")
httpx2 = pytest.importorskip("httpx2")
pytest.importorskip("uvicorn")

pytestmark = pytest.mark.hub

REPO = "lab/colours"
MODEL = random.Random(1).randbytes(3_000_000)
FILES = {
    "README.md": b"---\nlicense: apache-2.0\ntags:\n- tiny\n---\n# Colours\n",
    "card.json": b"{}\n",
    "model.int8.onnx": MODEL,
    "notes/curves.svg": b"<svg/>\n",
}


@dataclass
class Watched:
    """An upstream: what it was asked, and the faults that it shall have."""

    app: Any
    asked: list[tuple[str, str]] = field(default_factory=list)  # method and path of each request
    headers: list[dict[str, str]] = field(default_factory=list)
    cut_after: int = 0  # bytes of a file after which every connection breaks; 0 is never
    gate: threading.Event | None = None  # files stop half-way until it is set
    down: bool = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.asked.append((scope["method"], scope["path"]))
        self.headers.append({k.decode(): v.decode() for k, v in scope["headers"]})
        if self.down:
            raise ConnectionError("down")
        is_file = "/resolve/" in scope["path"]
        await self.app(scope, receive, self._faulty(send) if is_file else send)

    def _faulty(self, send: Any) -> Any:
        sent = 0

        async def faulty(message: Any) -> None:
            nonlocal sent
            body = message.get("body", b"")
            left = self.cut_after - sent
            if self.cut_after and len(body) > left:
                await send({**message, "body": body[:left], "more_body": True})
                await asyncio.sleep(0.05)  # until it is on the wire
                raise ConnectionError("cut")
            sent += len(body)
            if self.gate is not None and len(body) > 1000:
                await send({**message, "body": body[: len(body) // 2], "more_body": True})
                while not self.gate.is_set():
                    await asyncio.sleep(0.01)
                message = {**message, "body": body[len(body) // 2 :]}
            await send(message)

        return faulty

    def files_asked(self) -> list[str]:
        """The paths of files of which bytes were asked."""
        paths = [path for method, path in self.asked if method == "GET" and "/resolve/" in path]
        return [path.split("/resolve/")[1].partition("/")[2] for path in paths]


@dataclass
class Pair:
    """Two hubs, of which one pulls through the other."""

    upstream: Store
    mirror: Store
    url: str  # of the mirror
    watched: Watched
    stop_upstream: Callable[[], None]
    token: str  # for the mirror

    @property
    def api(self) -> Any:
        return hub.HfApi(endpoint=self.url, token=False)

    def download(self, path: str, cache: Path, revision: str = "main", token: Any = False) -> bytes:
        """What the stock client gets of a file, into a cache of its own."""
        got = hub.hf_hub_download(
            REPO, path, revision=revision, endpoint=self.url, cache_dir=cache, token=token
        )
        return Path(got).read_bytes()


@pytest.fixture
def pair(tmp_path: Path, serve_app: Any) -> Callable[..., Pair]:
    """Publish `FILES` to one hub, and put another in front of it."""
    from zoo.serve import all_routes, create_app
    from zoo.serve.app import App
    from zoo.serve.hub import Hub
    from zoo.serve.settings import Settings
    from zoo.serve.tokens import Tokens
    from zoo.serve.upstream import FRESH_S, Upstream

    def make(fresh_s: float = FRESH_S, private: bool = False) -> Pair:
        upstream, mirror = Store(tmp_path / "upstream"), Store(tmp_path / "mirror")
        upstream.create(REPO, private=private)
        publish(upstream, FILES)
        settings = Settings(b"a secret of the tests")
        watched = Watched(create_app(upstream, settings))
        url, stop = serve_app(watched)
        tokens = Tokens(mirror.root)
        token = tokens.add("ada", "write")
        behind = Upstream(mirror, url, fresh_s=fresh_s)
        front, _ = serve_app(App(Hub(mirror, settings, tokens, behind), all_routes()))
        return Pair(upstream, mirror, front, watched, stop, token)

    return make


def publish(store: Store, files: dict[str, bytes]) -> Commit:
    changes = [Add(path, store.add([data])[0]) for path, data in files.items()]
    return store.commit(REPO, "main", changes, title="publish")


def flip(store: Store, data: bytes) -> Path:
    """One bit of a file is another on the upstream's disk."""
    import hashlib

    path = store.blob(hashlib.sha256(data).hexdigest())
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    return path


def kept(store: Store) -> set[bytes]:
    """All bytes of the store that might be served, or go on being written."""
    paths = [p for kind in ("blobs", "incoming") for p in (store.root / kind).rglob("*")]
    return {path.read_bytes() for path in paths if path.is_file()}


def test_everything_is_as_upstream_has_it_and_stays_when_upstream_is_gone(
    pair: Any, tmp_path: Path
) -> None:
    both = pair()
    head = both.upstream.read(REPO, "main")
    both.upstream.tag(REPO, "v1", head.id)
    for cache in (tmp_path / "first", tmp_path / "second"):
        info = both.api.model_info(REPO, files_metadata=True)
        assert info.sha == head.id
        assert info.tags == ["tiny", "license:apache-2.0"]
        listed = {entry.path: entry for entry in both.api.list_repo_tree(REPO, recursive=True)}
        assert {path for path, e in listed.items() if hasattr(e, "size")} == set(head.files)
        for path, file in head.files.items():
            assert (listed[path].size, listed[path].blob_id) == (file.size, file.oid)
        for revision in ("main", head.id):
            assert both.download("model.int8.onnx", cache / revision, revision) == MODEL
        whole = hub.snapshot_download(
            REPO, revision="v1", endpoint=both.url, cache_dir=cache, token=False
        )
        assert {path: (Path(whole) / path).read_bytes() for path in FILES} == FILES
        both.stop_upstream()
    assert both.watched.files_asked().count("model.int8.onnx") == 1
    assert [t.name for t in both.api.list_repo_refs(REPO).tags] == ["v1"]
    assert both.mirror.fsck() == []


@pytest.mark.parametrize("path", ["model.int8.onnx", "notes/curves.svg"])
def test_wrong_bytes_are_refused_and_not_kept(pair: Any, tmp_path: Path, path: str) -> None:
    both = pair()
    broken = flip(both.upstream, FILES[path])
    with pytest.raises(hub.errors.HfHubHTTPError, match="wrong bytes"):
        both.download(path, tmp_path / "cache")
    assert not {broken.read_bytes(), FILES[path]} & kept(both.mirror)
    broken.write_bytes(FILES[path])
    assert both.download(path, tmp_path / "cache") == FILES[path]


def test_a_large_file_of_wrong_bytes_is_never_whole_at_the_client(pair: Any) -> None:
    both = pair()
    flip(both.upstream, MODEL)
    both.watched.gate = threading.Event()
    url = f"{both.url}/{REPO}/resolve/main/model.int8.onnx"
    got = bytearray()
    with (
        httpx2.stream("GET", url) as answer,
        pytest.raises(httpx2.RemoteProtocolError),
    ):
        assert answer.headers["content-length"] == str(len(MODEL))
        for chunk in answer.iter_raw():  # they came before upstream had sent the rest
            got += chunk
            both.watched.gate.set()
    assert 0 < len(got) < len(MODEL)
    both.watched.gate = threading.Event()
    flip(both.upstream, MODEL).write_bytes(MODEL)
    with httpx2.stream("GET", url, headers={"range": "bytes=1000-"}) as answer:
        assert answer.status_code == 200  # from the start: what the client has is not to be trusted
        both.watched.gate.set()
        assert answer.read() == MODEL


def test_many_clients_at_once_cost_one_fetch(pair: Any, tmp_path: Path) -> None:
    both = pair()
    with ThreadPoolExecutor(8) as pool:
        caches = [tmp_path / str(number) for number in range(8)]
        got = list(pool.map(lambda cache: both.download("model.int8.onnx", cache), caches))
    assert all(data == MODEL for data in got)
    assert both.watched.files_asked().count("model.int8.onnx") == 1
    assert len([path for _, path in both.watched.asked if "/tree/" in path]) == 1


def test_a_connection_that_breaks_is_resumed(pair: Any, tmp_path: Path) -> None:
    both = pair()
    both.watched.cut_after = 1 << 19
    assert both.download("model.int8.onnx", tmp_path / "cache") == MODEL
    ranges = [headers.get("range", "") for headers in both.watched.headers]
    assert [r for r in ranges if r] == [f"bytes={n << 19}-" for n in range(1, 6)]


def test_a_part_is_read_of_a_file_that_is_on_its_way(pair: Any) -> None:
    both = pair()
    url = f"{both.url}/{REPO}/resolve/main/model.int8.onnx"
    middle = httpx2.get(url, headers={"range": "bytes=1000-1999"})
    assert (middle.status_code, middle.content) == (206, MODEL[1000:2000])
    assert httpx2.head(url).headers["content-length"] == str(len(MODEL))


def test_a_branch_that_moved_is_seen_when_what_is_known_is_old(pair: Any) -> None:
    both = pair(fresh_s=0.0)
    old = both.api.model_info(REPO).sha
    new = publish(both.upstream, {"card.json": b"[]\n"}).id
    assert both.api.model_info(REPO).sha == new
    assert both.api.model_info(REPO, revision=old).sha == old
    both.upstream.branch(REPO, "side", old)
    assert both.api.model_info(REPO, revision="side").sha == old
    assert {b.name for b in both.api.list_repo_refs(REPO).branches} == {"main", "side"}
    both.upstream.unbranch(REPO, "side")
    both.api.model_info(REPO)
    assert {b.name for b in both.api.list_repo_refs(REPO).branches} == {"main"}


def test_a_branch_that_was_asked_just_now_is_not_asked_again(pair: Any) -> None:
    both = pair()
    old = both.api.model_info(REPO).sha
    publish(both.upstream, {"card.json": b"[]\n"})
    asked = len(both.watched.asked)
    assert both.api.model_info(REPO).sha == old
    assert len(both.watched.asked) == asked


def test_upstream_down_is_told_where_nothing_is_known(pair: Any) -> None:
    both = pair(fresh_s=0.0)
    known = both.api.model_info(REPO).sha
    both.stop_upstream()
    assert both.api.model_info(REPO).sha == known
    answer = httpx2.get(f"{both.url}/api/models/lab/other")
    assert answer.status_code == 502
    assert answer.headers["x-error-code"] == "UpstreamUnavailable"
    assert "cannot be reached" in answer.json()["error"]


def test_branches_stay_where_they_were_after_upstream_was_down(pair: Any) -> None:
    both = pair(fresh_s=0.5)
    old = publish(both.upstream, {"card.json": b"[1]\n"}).id
    publish(both.upstream, {"card.json": b"[2]\n"})
    both.upstream.branch(REPO, "side")
    assert len(both.api.list_repo_refs(REPO).branches) == 2
    time.sleep(0.6)
    both.watched.down = True
    both.api.model_info(REPO)
    both.watched.down = False
    assert both.api.model_info(REPO, revision=old).sha == old
    assert set(both.mirror.refs(REPO).heads) == {"main", "side"}


def test_what_upstream_does_not_have_is_told_as_the_hub_tells_it(pair: Any, tmp_path: Path) -> None:
    both = pair()
    with pytest.raises(hub.errors.RepositoryNotFoundError):
        both.api.model_info("lab/nothing")
    for revision in ("v9", "0" * 40):
        with pytest.raises(hub.errors.RevisionNotFoundError):
            both.api.model_info(REPO, revision=revision)
    with pytest.raises(hub.errors.EntryNotFoundError):
        both.download("nothing.onnx", tmp_path / "cache")


def test_a_tag_made_just_now_is_found(pair: Any) -> None:
    both = pair()
    head = both.api.model_info(REPO).sha
    both.upstream.tag(REPO, "v1", head)
    assert both.api.model_info(REPO, revision="v1").sha == head


def test_tokens_of_clients_stay_here(pair: Any, tmp_path: Path) -> None:
    both = pair()
    assert both.download("card.json", tmp_path / "cache", token=both.token) == b"{}\n"
    assert all("authorization" not in headers for headers in both.watched.headers)


def test_a_private_repository_of_upstream_needs_a_token_here(
    pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.serve.tokens import Tokens

    own = Tokens(tmp_path / "upstream").add("mirror", "read")
    monkeypatch.setenv("ZOO_UPSTREAM_TOKEN", own)
    both = pair(private=True)
    with pytest.raises(hub.errors.RepositoryNotFoundError):
        both.api.model_info(REPO)
    assert both.download("card.json", tmp_path / "cache", token=both.token) == b"{}\n"
    assert {headers["authorization"] for headers in both.watched.headers} == {f"Bearer {own}"}


def test_a_repository_that_upstream_closes_is_closed_here_with_its_next_commit(
    pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.serve.tokens import Tokens

    monkeypatch.setenv("ZOO_UPSTREAM_TOKEN", Tokens(tmp_path / "upstream").add("mirror", "read"))
    both = pair(fresh_s=0.0)
    both.api.model_info(REPO)
    both.upstream.set_private(REPO, True)
    new = publish(both.upstream, {"card.json": b"[1]\n"}).id
    with pytest.raises(hub.errors.RepositoryNotFoundError):
        both.api.model_info(REPO)
    api = hub.HfApi(endpoint=both.url, token=both.token)
    assert api.model_info(REPO).sha == new


def test_a_closed_commit_of_upstream_does_not_come_into_a_public_repository_of_this_machine(
    pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.serve.tokens import Tokens

    monkeypatch.setenv("ZOO_UPSTREAM_TOKEN", Tokens(tmp_path / "upstream").add("mirror", "read"))
    both = pair(private=True)
    ours = replace(both.upstream.read(REPO, "main"), id="c" * 40, files={})
    both.mirror.adopt(REPO, ours, heads={"main": ours.id})
    closed = both.upstream.read(REPO, "main").id
    with pytest.raises(hub.errors.RevisionNotFoundError):
        both.api.model_info(REPO, revision=closed)


def test_a_mirrored_repository_takes_no_changes(pair: Any) -> None:
    both = pair()
    both.api.model_info(REPO)
    api = hub.HfApi(endpoint=both.url, token=both.token)
    attempts = [
        lambda: api.upload_file(path_or_fileobj=b"1", path_in_repo="a.txt", repo_id=REPO),
        lambda: api.create_tag(REPO, tag="v1"),
        lambda: api.create_branch(REPO, branch="side"),
        lambda: api.delete_file("card.json", REPO),
    ]
    for attempt in attempts:
        with pytest.raises(hub.errors.HfHubHTTPError, match="mirrors http") as refused:
            attempt()
        assert refused.value.response.status_code == 403
    api.delete_repo(REPO)  # the copy goes; the next question brings it again
    assert both.mirror.repos() == []
    assert both.api.model_info(REPO).sha == both.upstream.resolve(REPO, "main")


def test_a_repository_of_our_own_is_not_asked_for_elsewhere(pair: Any, tmp_path: Path) -> None:
    both = pair()
    both.mirror.create("lab/own")
    assert both.api.model_info("lab/own").sha == both.mirror.resolve("lab/own", "main")
    with pytest.raises(hub.errors.RevisionNotFoundError):
        both.api.model_info("lab/own", revision="0" * 40)
    assert both.watched.asked == []
