"""Publishing when the link, the hub or others get in the way: nothing twice, nothing unseen."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import zoo
from zoo.errors import PublishError
from zoo.publish import release, remote

pytest.importorskip("huggingface_hub")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytestmark = pytest.mark.hub

TINY = "colours-tiny.test"
REPO = "lab/colours"


def sent(endpoint: str) -> release.Published:
    return remote.publish(TINY, repo=REPO, endpoint=endpoint)


def tags(hub: Any) -> dict[str, str]:
    from zoo.stores.store import Store

    return dict(Store(hub.root).refs(REPO).tags)


def intrude(hub: Any) -> None:
    """Somebody else commits."""
    from zoo.stores.store import Add, Store

    store = Store(hub.root)
    digest, _, _ = store.add([b"theirs"])
    store.commit(REPO, "main", [Add("LICENSE", digest)], title="theirs")


# --- somebody in the middle ----------------------------------------------------------------------


class Middle(ThreadingHTTPServer):
    """Passes requests on to a hub and answers back, or meddles with either."""

    daemon_threads = True

    def __init__(self, url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Pass)
        self.target = urlsplit(url).netloc
        self.seen: list[tuple[str, str, str]] = []  # method, path, Authorization
        self.before: Callable[[str, str], None] = lambda method, path: None
        self.after: Callable[[str, str, bytes], bytes | None] = lambda method, path, body: body

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def changes(self) -> list[str]:
        """Paths of the requests that were no reads."""
        return [path for method, path, _ in self.seen if method not in ("GET", "HEAD")]


class _Pass(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Middle

    def _pass(self) -> None:
        body = self._body()
        self.server.seen.append((self.command, self.path, self.headers.get("Authorization", "")))
        self.server.before(self.command, self.path)
        link = http.client.HTTPConnection(self.server.target, timeout=30)
        kept = {k: v for k, v in self.headers.items() if k.lower() != "transfer-encoding"}
        link.request(self.command, self.path, body, kept | {"Content-Length": str(len(body))})
        answer = link.getresponse()
        told = self.server.after(self.command, self.path, answer.read())
        link.close()
        if told is None:  # the answer is lost
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told if self.command != "HEAD" else b"")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _pass  # noqa: N815 (as it is called)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = b""
        while size := int(self.rfile.readline(), 16):
            parts += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return parts

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *line: object) -> None:
        pass


@pytest.fixture
def middle(open_hub: Any) -> Iterator[Middle]:
    """A man in the middle of `site`."""
    server = Middle(open_hub.url)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()


# --- again, cut off, too late, lied to


def test_publishing_again_does_nothing_new(lab: Any, open_hub: Any, middle: Middle) -> None:
    first = sent(middle.url)
    row, there, stamp = lab.row, open_hub.commits(REPO), lab.registry.stat().st_mtime_ns
    middle.seen.clear()
    again = sent(middle.url)
    assert not again.new
    assert again.revision == first.revision
    assert (lab.row, open_hub.commits(REPO), lab.registry.stat().st_mtime_ns) == (row, there, stamp)
    assert middle.changes() == []


def on_commit(act: Callable[[], None]) -> Callable[[str, str], None]:
    """Do that when the first commit arrives, before the hub has it."""
    left = [act]

    def before(method: str, path: str) -> None:
        if "/commit/" in path and left:
            left.pop()()

    return before


def test_a_commit_in_between_is_not_overwritten_unseen(
    lab: Any, open_hub: Any, middle: Middle
) -> None:
    sent(open_hub.url)
    lab.rewrite(summary="Other words.")
    before = lab.registry.read_bytes()
    middle.before = on_commit(lambda: intrude(open_hub))
    with pytest.raises(PublishError, match="412") as problem:
        sent(middle.url)
    assert "run it again" in problem.value.hint
    assert lab.registry.read_bytes() == before
    assert open_hub.commits(REPO)[0] == "theirs"
    assert sent(middle.url).new


def test_of_two_who_publish_the_same_at_once_both_succeed(
    lab: Any, open_hub: Any, middle: Middle
) -> None:
    sent(open_hub.url)
    lab.rewrite(summary="Other words.")
    other: list[release.Published] = []
    middle.before = on_commit(lambda: other.append(sent(open_hub.url)))
    done = sent(middle.url)
    assert done.revision == other[0].revision == lab.row.revision
    assert len(open_hub.commits(REPO)) == 3


def test_a_lost_answer_is_found_out_and_nothing_is_sent_twice(
    lab: Any, open_hub: Any, middle: Middle
) -> None:
    middle.after = lambda method, path, body: None if "/commit/" in path else body
    done = sent(middle.url)
    assert tags(open_hub) == {done.plan.tag: done.revision}
    assert lab.row.revision == done.revision
    assert len(open_hub.commits(REPO)) == 2


def test_after_a_link_that_broke_another_run_finishes(
    lab: Any, open_hub: Any, middle: Middle
) -> None:
    before, broken = lab.registry.read_bytes(), threading.Event()

    def after(method: str, path: str, body: bytes) -> bytes | None:
        if "/commit/" in path:
            broken.set()
        return None if broken.is_set() else body

    middle.after = after
    with pytest.raises(PublishError, match=r"127\.0\.0\.1") as problem:
        sent(middle.url)
    assert "nothing is sent twice" in problem.value.hint
    assert lab.registry.read_bytes() == before
    middle.after = lambda method, path, body: body
    done = sent(middle.url)
    assert not done.new
    assert lab.row.revision == done.revision
    assert len(open_hub.commits(REPO)) == 2


def lie(change: Callable[[dict[str, Any]], object]) -> Callable[[str, str, bytes], bytes]:
    """The hub tells other things of a commit's files."""

    def after(method: str, path: str, body: bytes) -> bytes:
        if "/revision/" not in path:
            return body
        told = json.loads(body)
        change(told)
        return json.dumps(told).encode()

    return after


def file_of(told: dict[str, Any], name: str) -> dict[str, Any]:
    return next(file for file in told["siblings"] if file["rfilename"] == name)


@pytest.mark.parametrize(
    "change",
    [
        lambda told: file_of(told, "model.int8.onnx")["lfs"].update(sha256="0" * 64),
        lambda told: file_of(told, "model.int8.onnx").update(size=7),
        lambda told: file_of(told, "card.json").update(blobId="0" * 40),
        lambda told: file_of(told, "card.json").update(blobId=None),
        lambda told: told["siblings"].remove(file_of(told, "golden.npz")),
        lambda told: told.update(siblings=None),
        lambda told: told.update(siblings=[1]),
        lambda told: told.update(sha="main"),
        lambda told: told.update(sha="0" * 40),
        lambda told: told.clear(),
    ],
)
def test_a_hub_that_tells_of_other_bytes_is_refused(
    lab: Any, middle: Middle, change: Callable[[dict[str, Any]], object]
) -> None:
    before = lab.registry.read_bytes()
    middle.after = lie(change)
    with pytest.raises(PublishError) as problem:
        sent(middle.url)
    assert middle.url in str(problem.value)
    assert lab.registry.read_bytes() == before


ANSWERS = [b"", b"[]", b"{}", b"<html>", b'"text"', b'{"id": 1, "sha": "x"}']


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("place", ["/api/models/", "/repos/create", "/refs"])
def test_a_server_that_is_no_hub_is_one_error(
    lab: Any, middle: Middle, answer: bytes, place: str
) -> None:
    before = lab.registry.read_bytes()
    middle.after = lambda method, path, body: answer if place in path else body
    with pytest.raises(PublishError) as problem:
        sent(middle.url)
    assert "\n" not in str(problem.value)
    assert lab.registry.read_bytes() == before


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_commit_is_believed_by_its_files_and_not_by_its_answer(
    lab: Any, open_hub: Any, middle: Middle, answer: bytes
) -> None:
    middle.after = lambda method, path, body: answer if "/commit/" in path else body
    done = sent(middle.url)
    assert tags(open_hub) == {done.plan.tag: lab.row.revision}
    assert len(open_hub.commits(REPO)) == 2


def test_a_tag_that_is_on_other_files_is_refused(lab: Any, open_hub: Any) -> None:
    from zoo.stores.store import Store

    done = sent(open_hub.url)
    before = lab.registry.read_bytes()
    store = Store(open_hub.root)
    store.untag(REPO, done.plan.tag)
    store.tag(REPO, done.plan.tag, list(store.log(REPO, "main"))[-1].id)
    with pytest.raises(PublishError, match="is not what was sent"):
        sent(open_hub.url)
    assert lab.registry.read_bytes() == before


def test_killed_before_the_registry_another_run_finishes(lab: Any, open_hub: Any) -> None:
    code = (
        "import os, signal\n"
        "from zoo.publish import remote\n"
        "remote.record = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"remote.publish({TINY!r}, repo={REPO!r}, endpoint={open_hub.url!r})"
    )
    before = lab.registry.read_bytes()
    assert python(code).returncode == -signal.SIGKILL
    assert lab.registry.read_bytes() == before
    assert len(open_hub.commits(REPO)) == 2
    done = sent(open_hub.url)
    assert not done.new
    assert lab.row.revision == done.revision == tags(open_hub)[done.plan.tag]
    assert len(open_hub.commits(REPO)) == 2


def test_a_full_disk_leaves_the_old_registry(lab: Any, open_hub: Any) -> None:
    pytest.importorskip("resource")
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from zoo import cli\nfrom zoo.publish import remote\n"
        "record = remote.record\n"
        "def full(*arguments):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "    return record(*arguments)\n"
        "remote.record = full\n"
        "cli.main()"
    )
    before = lab.registry.read_bytes()
    ended = python(code, "publish", TINY, "--repo", REPO, "--endpoint", open_hub.url)
    assert ended.returncode == 1
    assert f"{REPO}@" in ended.stderr and "is on the hub" in ended.stderr
    assert "nothing is sent twice" in ended.stderr
    assert lab.registry.read_bytes() == before
    assert [p.name for p in lab.registry.parent.iterdir() if "registry" in p.name] == [
        "registry.yaml"
    ]
    assert not sent(open_hub.url).new


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process of its own."""
    root = str(Path(zoo.__file__).parent.parent)
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=120,
    )


# --- tokens


def test_the_users_own_token_goes_to_no_other_hub(
    lab: Any, open_hub: Any, middle: Middle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_user")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "token").write_text("hf_stored")
    sent(middle.url)
    told = {authorization for _, _, authorization in middle.seen}
    assert told == {f"Bearer {open_hub.token}"}
    monkeypatch.delenv("ZOO_TOKEN")
    middle.seen.clear()
    lab.rewrite(summary="Other words.")
    with pytest.raises(PublishError, match="401"):
        sent(middle.url)
    assert {authorization for _, _, authorization in middle.seen} == {""}


def test_the_endpoint_of_the_environment_gets_the_users_token(
    lab: Any, open_hub: Any, middle: Middle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", middle.url + "/")
    monkeypatch.setenv("HF_TOKEN", open_hub.token)
    monkeypatch.setenv("ZOO_TOKEN", "of-another-hub")
    done = remote.publish(TINY, repo=REPO)
    assert done.plan.endpoint == middle.url == lab.row.endpoint
    assert {authorization for _, _, authorization in middle.seen} == {f"Bearer {open_hub.token}"}
