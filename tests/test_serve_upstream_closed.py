"""What the upstream closes is closed here too, by whatever way it is asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")

import httpx2

from zoo.stores.store import Add, Store

REPO = "lab/colours.kd"
FILES = {"README.md": b"---\nlicense: mit\n---\n# Colours\n", "model.onnx": bytes(range(256))}


@dataclass
class Upstream:
    """An upstream that may answer in place of its hub: a status and what stands in the body."""

    app: Any
    says: int = 0
    code: str = ""
    asked: int = 0
    held: bool = False  # its answers wait

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.asked += 1
            while self.held:
                await asyncio.sleep(0.02)
            if self.says:
                headers = [(b"x-error-code", self.code.encode())] if self.code else []
                start = {"type": "http.response.start", "status": self.says, "headers": headers}
                await send(start)
                await send({"type": "http.response.body", "body": b"{}"})
                return
        await self.app(scope, receive, send)


@dataclass
class Pair:
    store: Store
    mirror: Store
    upstream: Upstream
    url: str
    token: str
    stop_upstream: Callable[[], None]
    client: httpx2.Client

    def get(self, path: str, token: bool = False) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.token}"} if token else {}
        return self.client.get(self.url + path, headers=headers)

    def ways(self) -> list[str]:
        """Every address under which something of the repository is told."""
        id = self.store.resolve(REPO, "main")
        api = f"/api/models/{REPO}"
        return [
            api,
            f"{api}/revision/{id}",
            f"{api}/refs",
            f"{api}/commits/{id}",
            f"{api}/tree/{id}",
            f"{api}/tree/main?recursive=true",
            f"/{REPO}/resolve/{id}/model.onnx",
            f"/{REPO}/resolve/main/README.md",
            f"/{REPO}/resolve/v1/model.onnx",
            f"/{REPO}",
            f"/{REPO}/commit/{id}",
            f"/api/zoo/models/{REPO}",
        ]

    def seen(self, ways: list[str] | None = None, token: bool = False) -> set[int]:
        return {self.get(path, token).status_code for path in ways or self.ways()[:3]}

    def listed(self) -> list[bool]:
        paths = ("/api/models", "/api/models?search=colours", "/", "/api/zoo/models")
        return [REPO in self.get(path).text for path in paths]


@pytest.fixture
def pair(tmp_path: Path, serve_app: Any) -> Iterator[Callable[..., Pair]]:
    from zoo.serve import all_routes, create_app
    from zoo.serve.app import App
    from zoo.serve.hub import Hub
    from zoo.serve.settings import Settings
    from zoo.serve.tokens import Tokens
    from zoo.serve.upstream import Upstream as Mirror

    client = httpx2.Client(timeout=30)

    def make(fresh_s: float = 0.0, **limits: float) -> Pair:
        store, mirror = Store(tmp_path / "upstream"), Store(tmp_path / "mirror")
        store.create(REPO)
        changes = [Add(path, store.add([data])[0]) for path, data in FILES.items()]
        made = store.commit(REPO, "main", changes, title="publish")
        store.tag(REPO, "v1", made.id)
        settings = Settings(b"a secret of the tests")
        upstream = Upstream(create_app(store, settings))
        address, stop = serve_app(upstream)
        tokens = Tokens(mirror.root)
        token = tokens.add("ada", "write")
        hub = Hub(mirror, settings, tokens, Mirror(mirror, address, fresh_s=fresh_s, **limits))
        url, _ = serve_app(App(hub, all_routes()))
        return Pair(store, mirror, upstream, url, token, stop, client)

    yield make
    client.close()


@pytest.mark.parametrize("own_token", [False, True])
@pytest.mark.parametrize("how", ["private", "deleted"])
def test_what_is_closed_upstream_is_closed_here_by_every_way(
    pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, own_token: bool
) -> None:
    from zoo.serve.tokens import Tokens

    if own_token:
        token = Tokens(tmp_path / "upstream").add("mirror", "read")
        monkeypatch.setenv("ZOO_UPSTREAM_TOKEN", token)
    both = pair()
    ways = both.ways()
    assert both.seen(ways) == {200} and both.listed() == [True] * 4
    if how == "private":
        both.store.set_private(REPO, True)
    else:
        both.store.delete(REPO)
    assert both.listed() == [False] * 4
    assert both.seen(ways) == {404}
    with_token = {200} if own_token and how == "private" else {404}
    assert both.seen(ways, token=True) == with_token
    both.stop_upstream()  # and it stays closed
    assert both.listed() == [False] * 4 and both.seen(ways[:3]) == {404}
    reopened = Store(both.mirror.root)
    assert not reopened.shows(REPO, private=False)


ANSWERS = [  # status, code, whether it closes
    (404, "RepoNotFound", True),
    (404, "", True),
    (410, "", True),
    (401, "", True),
    (403, "", True),
    (403, "GatedRepo", True),
    (451, "", True),
    (500, "", False),
    (502, "", False),
    (503, "", False),
    (429, "", False),
    (200, "", False),  # and no JSON of a hub: a page of whoever owns the line
]


def test_no_is_no_and_down_is_down(pair: Any) -> None:
    both = pair()
    for status, code, closes in ANSWERS:
        assert both.seen() == {200}
        both.upstream.says, both.upstream.code = status, code
        assert both.seen() == ({404} if closes else {200}), status
        assert both.listed()[0] is not closes, status
        both.upstream.says = 0
        assert both.seen() == {200} and both.listed()[0]


def test_what_opens_again_is_open_again(pair: Any) -> None:
    both = pair()
    assert both.seen() == {200}
    both.store.set_private(REPO, True)
    assert both.seen() == {404}
    both.store.set_private(REPO, False)
    assert both.seen() == {200}


def test_within_the_freshness_time_nobody_is_asked_and_no_list_asks_twice(pair: Any) -> None:
    both = pair(fresh_s=60.0)
    assert both.seen(both.ways()) == {200}
    asked = both.upstream.asked
    assert both.seen(both.ways()) == {200} and both.listed() == [True] * 4
    assert both.upstream.asked == asked


def test_a_list_asks_a_dead_upstream_once(pair: Any) -> None:
    both = pair()
    both.get(f"/api/models/{REPO}")
    one, origin = replace(both.store.read(REPO, "main"), files={}), both.mirror.origin(REPO)
    for number in range(30):
        both.mirror.adopt(f"lab/r{number}", one, heads={"main": one.id}, origin=origin)
    both.stop_upstream()
    assert len(both.get("/api/models").json()) == 31


def test_a_list_does_not_wait_for_a_slow_upstream(pair: Any) -> None:
    """What was open when it was asked last stays; what was never asked about is not shown yet."""
    both = pair(list_s=0.3)
    assert both.seen(both.ways()[:1]) == {200}
    one, origin = both.store.read(REPO, "main"), both.mirror.origin(REPO)
    both.store.create("lab/slow")
    both.store.adopt("lab/slow", one, heads={"main": one.id})
    for repo in ("lab/slow", "lab/gone"):
        both.mirror.adopt(repo, one, heads={"main": one.id}, origin=origin)
    both.upstream.held = True
    began = time.monotonic()
    for path in ("/api/models", "/", "/api/zoo/models"):
        told = both.get(path).text
        assert REPO in told and "lab/slow" not in told and "lab/gone" not in told
    assert "lab/slow" not in both.get("/registry.yaml").text
    assert time.monotonic() - began < 4 * 2
    both.upstream.held = False  # and asking has gone on behind
    end = time.monotonic() + 20
    while "lab/slow" not in both.get("/api/models").text and time.monotonic() < end:
        time.sleep(0.05)
    told = both.get("/api/models").text
    assert "lab/slow" in told and "lab/gone" not in told


def test_a_commit_that_was_pulled_into_a_student_of_this_machine_goes_too(pair: Any) -> None:
    both = pair()
    theirs = both.store.resolve(REPO, "main")
    ours = replace(both.store.read(REPO, "main"), id="c" * 40, author="studentzoo", files={})
    both.mirror.adopt(REPO, ours, heads={"main": ours.id})
    assert both.get(f"/{REPO}/resolve/{theirs}/model.onnx").status_code == 200
    both.store.set_private(REPO, True)
    assert both.get(f"/{REPO}/resolve/{theirs}/model.onnx").status_code == 404
    assert both.get(f"/api/models/{REPO}/revision/{theirs}").status_code == 404
    assert both.get(f"/api/models/{REPO}").json()["sha"] == ours.id
    assert both.get(f"/api/models/{REPO}/revision/{ours.id}").status_code == 200
