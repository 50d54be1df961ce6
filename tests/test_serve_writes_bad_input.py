"""Whatever is sent to a hub, it answers with one reason, keeps nothing of it and goes on."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from zoo.stores.store import Store

pytest.importorskip("starlette")

from zoo.serve.drafts import MAX_CHANGES
from zoo.serve.lfs import Grant

REPO = "lab/student"
SECRET = b"a secret of the tests"
DATA = b"0123456789" * 100
OID = hashlib.sha256(DATA).hexdigest()
HEADER = {"key": "header", "value": {"summary": "More", "description": ""}}
HOURS = 3600


class Sender:
    """A client that sends what it likes, and the store behind the hub that it sends to."""

    def __init__(self, hub: Any) -> None:
        self.hub = hub
        self.store = Store(hub.root)
        self.store.create(REPO)
        self.head = self.store.resolve(REPO, "main")

    def send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.hub.token}"}
        return httpx2.request(method, self.hub.url + path, headers=headers, timeout=60, **options)

    def commit(self, body: bytes | Any) -> httpx2.Response:
        return self.send("POST", f"/api/models/{REPO}/commit/main", content=body)

    def upload(self, grant: Grant, content: Any, secret: bytes = SECRET) -> httpx2.Response:
        return httpx2.put(self.hub.url + grant.path(secret), content=content)

    def grant(self, oid: str = OID, size: int = len(DATA), valid_s: float = HOURS) -> Grant:
        expires, holder = int(time.time() + valid_s), hashlib.sha256(self.hub.token.encode())
        return Grant(REPO, oid, str(size), str(expires), holder.hexdigest()[:24])

    def nothing_is_kept(self) -> bool:
        """The head is the first one, no file of a commit or upload is there, whole or in part."""
        blobs = [p for p in (self.hub.root / "blobs").glob("*/*")]
        unfinished = list((self.hub.root / "incoming").glob("*"))
        return self.store.resolve(REPO, "main") == self.head and len(blobs) == 1 and not unfinished


@pytest.fixture
def sender(hub: Any) -> Sender:
    return Sender(hub)


def lines(*items: Any) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


def file(path: Any, data: bytes = DATA) -> dict[str, Any]:
    text = base64.b64encode(data).decode()
    return {"key": "file", "value": {"content": text, "path": path, "encoding": "base64"}}


def large(path: Any, **value: Any) -> dict[str, Any]:
    return {"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": OID, **value}}


def soon(true: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


# --- commits -------------------------------------------------------------------------------------

WHOLE = lines(HEADER, file("a.onnx"), file("b.onnx"))


@pytest.mark.parametrize("part", [0.02, 0.1, 0.3, 0.5, 0.9, 0.999])
def test_lines_cut_in_the_middle_are_refused(sender: Sender, part: float) -> None:
    answer = sender.commit(WHOLE[: int(len(WHOLE) * part)])
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (400, "BadRequest")
    assert sender.store.resolve(REPO, "main") == sender.head


def test_a_connection_that_is_cut_in_the_middle_leaves_nothing(sender: Sender) -> None:
    body = lines(HEADER, file("a.onnx", DATA * 1000))
    with connected(sender) as raw:
        raw.sendall(request(sender, f"POST /api/models/{REPO}/commit/main", len(body)))
        raw.sendall(body[: len(body) // 2])
    assert soon(sender.nothing_is_kept)


NO_COMMITS = [
    b"",
    b"\n\n",
    b"nonsense",
    b"\x00\xff\xfe",
    b"[1, 2]\n",
    b"3",
    b"[" * 100_000,
    lines(HEADER) + b'{"key": "file", "value": {"path": "a", "content": "QQ=="}',
    lines(HEADER) + b'{"key": "file", "value": {"path": "a", "content": "Q\nQ=="}}\n',
    lines(file("a")),
    lines(HEADER, HEADER),
    lines(HEADER, {"key": "file"}),
    lines(HEADER, {"key": 3, "value": {}}),
    lines(HEADER, {"key": "file", "value": []}),
    lines(HEADER, {"key": "file", "value": {"path": "a"}}),
    lines(HEADER, {"key": "file", "value": {"path": "a", "content": None}}),
    lines(HEADER, {"key": "file", "value": {"path": "a", "content": "QQ", "encoding": "b"}}),
    lines(HEADER, {"key": "renamedFile", "value": {"path": "a"}}),
    lines(HEADER, {"key": "deletedFile", "value": {"path": "a", "content": "QQ=="}}),
    lines(HEADER, {"key": "deletedFile", "value": {}}),
    lines({"key": "header", "value": {}}, file("a")),
    lines({"key": "header", "value": {"summary": 3}}, file("a")),
    lines({"key": "header", "value": {"summary": ""}}, file("a")),
    lines({"key": "header", "value": {"summary": "\0"}}, file("a")),
    lines({"key": "header", "value": {"summary": "\ud800"}}, file("a")),
    lines({"key": "header", "value": {"summary": "a", "description": []}}, file("a")),
    lines({"key": "header", "value": {"summary": "a", "parentCommit": 3}}, file("a")),
    lines(HEADER, file("a"), file("a/b")),
    b'{"key": "header", "value": {"summary": "' + b"x" * (2 << 20) + b'"}}',
]


def test_what_is_no_commit_is_refused(sender: Sender) -> None:
    answers = {body[:80]: sender.commit(body) for body in NO_COMMITS}
    assert [body for body, answer in answers.items() if answer.status_code != 400] == []
    assert {answer.headers["X-Error-Code"] for answer in answers.values()} == {"BadRequest"}
    assert all(answer.json()["error"] for answer in answers.values())
    assert sender.store.resolve(REPO, "main") == sender.head


def test_content_that_is_no_base64_is_refused(sender: Sender) -> None:
    for content in ("QQ=", "Q", "Q===", "QQ==QQ==", "Q Q=", "_-8=", "é", "\\"):
        value = {"content": content, "path": "a.txt", "encoding": "base64"}
        answer = sender.commit(lines(HEADER, {"key": "file", "value": value}))
        assert answer.status_code == 400, content
    assert sender.nothing_is_kept()


OUTSIDE = ["../a", "a/../../b", "/etc/passwd", "..", ".git/config", "a/.GIT/hooks"]
UNCLEAN = ["a//b", "./a", "a/.", "", "a\\b", "a\0b", "a\nb", "\ud800", None, 3]
TOO_LONG = ["x" * 513, "a/" * 16 + "b"]


def test_a_path_that_leaves_the_repository_is_refused_everywhere(sender: Sender) -> None:
    sender.store.add([DATA])
    for path in OUTSIDE + UNCLEAN + TOO_LONG:
        gone = [{"key": kind, "value": {"path": path}} for kind in ("deletedFile", "deletedFolder")]
        answers = [sender.commit(lines(HEADER, item)) for item in (file(path), large(path), *gone)]
        asked = json.dumps({"files": [{"path": path, "size": 3, "sample": ""}]})
        answers.append(sender.send("POST", f"/api/models/{REPO}/preupload/main", content=asked))
        assert [answer.status_code for answer in answers] == [400] * 5, path
    assert sender.store.resolve(REPO, "main") == sender.head


def test_a_large_file_that_was_not_uploaded_or_has_another_size_is_refused(sender: Sender) -> None:
    missing = sender.commit(lines(HEADER, large("a.onnx", size=len(DATA))))
    sender.store.add([DATA])
    other = [large("a.onnx", size=size) for size in (len(DATA) + 1, 0, "many")]
    named = [large("a.onnx", algo="md5"), large("a.onnx", oid="1" * 63), large("a.onnx", oid=None)]
    answers = [missing, *(sender.commit(lines(HEADER, item)) for item in other + named)]
    assert [answer.status_code for answer in answers] == [400] * 7
    assert sender.store.resolve(REPO, "main") == sender.head


def test_ten_thousand_files_are_one_commit(sender: Sender) -> None:
    files = {f"part{n % 100}/{n}.json": b"%d" % (n % 500) for n in range(10_000)}
    answer = sender.commit(lines(HEADER, *(file(*item) for item in files.items())))
    assert answer.status_code == 200, answer.text
    assert len(sender.store.read(REPO, "main").files) == 10_001


def test_more_changes_than_a_commit_holds_are_refused(sender: Sender) -> None:
    sender.store.add([DATA])
    body = lines(HEADER) + b"".join(lines(large(f"{n}")) for n in range(MAX_CHANGES + 1))
    assert sender.commit(body).status_code == 413
    assert sender.store.resolve(REPO, "main") == sender.head


# --- uploads -------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [DATA[:-1], b"", DATA[:-1] + b"!"])
def test_an_upload_that_is_short_or_wrong_is_refused(sender: Sender, content: bytes) -> None:
    answer = sender.upload(sender.grant(), content)
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (400, "IntegrityError")
    assert sender.nothing_is_kept()


def test_an_upload_that_is_longer_than_announced_is_cut_off(sender: Sender) -> None:
    bodies = (DATA + b"!", iter([DATA, b"!"]))
    answers = [sender.upload(sender.grant(), body) for body in bodies]
    assert [answer.status_code for answer in answers] == [413, 413]
    assert sender.nothing_is_kept()


def test_an_upload_that_never_ends_is_cut_off(sender: Sender) -> None:
    sent = 0
    with connected(sender) as raw:
        raw.sendall(request(sender, "PUT " + sender.grant().path(SECRET), None))
        with pytest.raises(OSError):  # the server hangs up long before the end
            while sent < 100_000_000:
                raw.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                sent += 0x10000
    assert sender.nothing_is_kept()


@pytest.mark.parametrize("what", ["PUT", "POST"])
def test_a_client_that_stalls_is_given_up(make_hub: Callable[..., Any], what: str) -> None:
    sender = Sender(make_hub(idle_s=0.3))
    path = sender.grant().path(SECRET) if what == "PUT" else f"/api/models/{REPO}/commit/main"
    body = DATA if what == "PUT" else WHOLE
    with connected(sender) as raw:
        raw.sendall(request(sender, f"{what} {path}", len(body)) + body[:500])
        answer = read_all(raw)
    assert answer.startswith(b"HTTP/1.1 408 ") and b"nothing came for 0.3 seconds" in answer
    assert sender.nothing_is_kept()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda path: path.replace("signature=", "signature=0"),
        lambda path: path.replace("signature=", "signature=%C3%A9"),
        lambda path: path.partition("&signature")[0],
        lambda path: path.partition("?")[0],
        lambda path: path.replace(f"size={len(DATA)}", "size=9"),
        lambda path: path.replace(OID, "1" * 64),
        lambda path: path.replace("expires=", "expires=9"),
        lambda path: path.replace(REPO, "lab/other"),
        lambda path: path.replace(REPO, "lab/missing"),
    ],
)
def test_an_address_that_was_not_given_out_is_refused(
    sender: Sender, wrong: Callable[[str], str]
) -> None:
    sender.store.create("lab/other")
    path = wrong(sender.grant().path(SECRET))
    answer = httpx2.put(sender.hub.url + path, content=DATA)
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (403, "Forbidden")
    assert not sender.store.has(OID)


def test_an_address_of_another_secret_or_another_day_is_refused(sender: Sender) -> None:
    assert sender.upload(sender.grant(), DATA, secret=b"the secret of another").status_code == 403
    expired = sender.upload(sender.grant(valid_s=-1), DATA)
    assert expired.status_code == 403 and "expired" in expired.json()["error"]
    assert sender.nothing_is_kept()
    assert sender.upload(sender.grant(), DATA).status_code == 200
    assert sender.store.has(OID)


def test_a_batch_that_is_none_is_refused(sender: Sender) -> None:
    objects: list[Any] = [None, 3, [None] * 1001]
    bodies = [{"operation": "upload", "objects": item} for item in objects]
    for body in ({}, [], "text", {"operation": "download", "objects": []}, *bodies):
        answer = sender.send("POST", f"/{REPO}.git/info/lfs/objects/batch", json=body)
        assert answer.status_code == 400


def test_each_wrong_object_of_a_batch_has_its_own_reason(make_hub: Callable[..., Any]) -> None:
    sender = Sender(make_hub(max_file_bytes=5000))
    wrong = [{}, 3, {"oid": OID}, {"oid": "x", "size": 3}, {"oid": OID, "size": -1}]
    objects = [*wrong, {"oid": OID, "size": True}, {"oid": OID, "size": 5001}]
    body = {"operation": "upload", "objects": [*objects, {"oid": OID, "size": len(DATA)}]}
    rows = sender.send("POST", f"/{REPO}.git/info/lfs/objects/batch", json=body).json()["objects"]
    assert [row.get("error", {}).get("code") for row in rows] == [400] * 6 + [413, None]


# --- limits --------------------------------------------------------------------------------------


def test_bodies_over_the_limits_are_refused(make_hub: Callable[..., Any]) -> None:
    sender = Sender(make_hub(max_body_bytes=5000, max_json_bytes=2000, max_file_bytes=900))
    big = {"content": "x" * 3000}
    asked = {"files": [{"path": "a", "size": 901, "sample": ""}]}
    answers = [
        sender.commit(WHOLE * 10),
        sender.commit(iter([WHOLE] * 10)),
        sender.commit(lines(HEADER, file("a", DATA))),
        sender.send("POST", "/api/validate-yaml", json=big),
        sender.send("POST", "/api/repos/create", json=big),
        sender.send("POST", f"/api/models/{REPO}/preupload/main", json=asked),
    ]
    assert [answer.status_code for answer in answers] == [413] * 6
    assert sender.nothing_is_kept()


CALLS = [
    ("POST", "/api/repos/create"),
    ("DELETE", "/api/repos/delete"),
    ("PUT", f"/api/models/{REPO}/settings"),
    ("POST", f"/api/models/{REPO}/tag/main"),
    ("POST", f"/api/models/{REPO}/branch/dev"),
    ("POST", f"/api/models/{REPO}/preupload/main"),
    ("POST", f"/{REPO}.git/info/lfs/verify"),
    ("POST", "/api/validate-yaml"),
]


@pytest.mark.parametrize("body", [b"{", b"[]", b"3", b"[" * 10_000, b"\xff\xfe", b"9" * 5000])
def test_a_body_that_is_no_object_is_refused(sender: Sender, body: bytes) -> None:
    answers = [sender.send(*call, content=body) for call in CALLS]
    assert [answer.status_code for answer in answers] == [400] * len(CALLS)


def test_a_field_of_a_wrong_type_is_refused(sender: Sender) -> None:
    names = ("name", "organization", "tag", "startingPoint", "files", "oid", "content", "private")
    answers = [sender.send(*call, json=dict.fromkeys(names, 3)) for call in CALLS]
    assert [answer.status_code for answer in answers] == [400] * len(CALLS)


def test_a_repository_cannot_be_called_that(sender: Sender) -> None:
    names = ("..", "../x", "a/b/c", "a b", "a\0", "", "x" * 97, "a.git", "a--b", "\ud800", "a/../b")
    for name in names:
        for method, path in CALLS[:2]:
            body = json.dumps({"name": name, "organization": "lab"}).encode()
            assert sender.send(method, path, content=body).status_code == 400, name
    assert sender.store.repos() == [REPO]


def test_a_tag_and_a_branch_cannot_be_called_that(sender: Sender) -> None:
    for ref in ("..", "a..b", "a b", "-a", "a.lock", "refs/heads/x", "1" * 40):
        tagged = sender.send("POST", f"/api/models/{REPO}/tag/main", json={"tag": ref})
        quoted = ref.replace("/", "%2F").replace(" ", "%20").replace("..", "%2E%2E")
        branched = sender.send("POST", f"/api/models/{REPO}/branch/{quoted}", json={})
        assert [tagged.status_code, branched.status_code] == [400, 400], ref


# --- at once -------------------------------------------------------------------------------------


def test_of_two_deletes_at_once_one_deletes_and_the_other_finds_nothing(sender: Sender) -> None:
    def change() -> int:
        item = {"key": "deletedFile", "value": {"path": ".gitattributes"}}
        return sender.commit(lines(HEADER, item)).status_code

    def whole() -> int:
        body = {"name": "student", "organization": "lab"}
        return sender.send("DELETE", "/api/repos/delete", json=body).status_code

    assert at_once(change) == [200, 404]
    assert at_once(whole) == [200, 404]
    assert sender.store.repos() == []


def at_once(call: Callable[[], int]) -> list[int]:
    """What two threads get that start together, sorted."""
    found: list[int] = []
    both = threading.Barrier(2)

    def run() -> None:
        both.wait()
        found.append(call())

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(found)


# --- bytes on the wire ---------------------------------------------------------------------------


def connected(sender: Sender) -> socket.socket:
    where = urlsplit(sender.hub.url)
    return socket.create_connection((where.hostname or "", where.port or 0), timeout=10)


def request(sender: Sender, line: str, length: int | None) -> bytes:
    """The head of a request whose body has `length` bytes; None is a body in pieces."""
    body = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    token = f"Authorization: Bearer {sender.hub.token}"
    return f"{line} HTTP/1.1\r\nHost: hub\r\n{token}\r\n{body}\r\n\r\n".encode()


def read_all(raw: socket.socket) -> bytes:
    found = b""
    while piece := raw.recv(65536):
        found += piece
    return found
