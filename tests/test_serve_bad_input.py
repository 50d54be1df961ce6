"""Reads that nobody should send: each has one clear answer, and none of them is 500."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

pytest.importorskip("starlette")

import httpx2
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.serve.answers import Refused, error
from zoo.serve.metadata import front_matter
from zoo.serve.sending import Part, part_of
from zoo.stores.store import Add, Store

REPO = "lab/colours.kd"
DATA = bytes(range(256)) * 20  # 5120 bytes
ETAG = f'"{hashlib.sha256(DATA).hexdigest()}"'


@pytest.fixture
def store(hub: Any) -> Store:
    store = Store(hub.root)
    store.create(REPO)
    added = [Add("data.bin", store.add([DATA])[0]), Add("empty.bin", store.add([b""])[0])]
    store.commit(REPO, "main", added, title="data")
    store.tag(REPO, "v/1", "main")
    return store


@pytest.fixture
def url(hub: Any, store: Store) -> str:
    return f"{hub.url}/{REPO}/resolve/main/data.bin"


def raw(hub: Any, target: str, method: str = "GET", **headers: str) -> tuple[int, str, bytes]:
    """Send a path as it stands, which no client does: status, X-Error-Code, body."""
    connection = http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=20)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.headers.get("X-Error-Code", ""), answer.read()
    finally:
        connection.close()


# --- names, revisions, paths ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "repo",
    ["../..", "..%2F../x", "%2e%2e/%2e%2e", "lab/..", "lab/.git", "a%2Fb/c", "lab/x%5Cy", "~/x"],
)
@pytest.mark.parametrize("form", ["/api/models/{}", "/{}/resolve/main/data.bin"])
def test_a_path_in_place_of_a_repository_is_refused(
    hub: Any, store: Store, repo: str, form: str
) -> None:
    status, code, body = raw(hub, form.format(repo))
    assert (status, code) in {(404, "RepoNotFound"), (404, "NotFound"), (400, "BadRequest")}
    assert str(hub.root).encode() not in body


@pytest.mark.parametrize(
    "path",
    [
        *(
            "../../../tokens.json",
            "%2e%2e/%2e%2e/tokens.json",
            "..%2f..%2ftokens.json",
            "/etc/passwd",
        ),
        *("%2Fetc%2Fpasswd", "data.bin/", "./data.bin", "data.bin%5C", "a//data.bin", ""),
        *("x" * 5000, "a/" * 400),
    ],
)
def test_a_path_that_leads_out_of_a_commit_is_not_there(hub: Any, store: Store, path: str) -> None:
    status, code, _ = raw(hub, f"/{REPO}/resolve/main/{path}")
    assert (status, code) == (404, "EntryNotFound")


@pytest.mark.parametrize(
    "revision",
    [
        "..",
        "%2e%2e",
        "..%2Fheads%2Fmain",
        "refs%2F..%2F..%2Frepo.json",
        "main%2F",
        "%20",
        "~",
        "HEAD^",
    ],
)
def test_a_revision_that_is_no_ref_is_not_there(hub: Any, store: Store, revision: str) -> None:
    for form in ("/api/models/{}/revision/{}", "/api/models/{}/tree/{}", "/{}/resolve/{}/data.bin"):
        status, code, _ = raw(hub, form.format(REPO, revision))
        assert (status, code) == (404, "RevisionNotFound")


def test_a_revision_with_a_slash_travels_as_one_segment(hub: Any, store: Store) -> None:
    for revision in ("v%2F1", "refs%2Ftags%2Fv%2f1"):
        assert raw(hub, f"/{REPO}/resolve/{revision}/data.bin")[2] == DATA
        assert raw(hub, f"/api/models/{REPO}/revision/{revision}")[0] == 200
        assert raw(hub, f"/api/models/{REPO}/commits/{revision}?limit=1")[0] == 200
    assert raw(hub, f"/{REPO}/resolve/v/1/data.bin")[1] == "RevisionNotFound"


def test_pages_keep_a_slash_in_a_revision_quoted(hub: Any, store: Store) -> None:
    answer = httpx2.get(f"{hub.url}/api/models/{REPO}/tree/v%2F1?limit=1")
    following = httpx2.get(answer.links["next"]["url"])
    assert [row["path"] for row in answer.json() + following.json()] == [
        ".gitattributes",
        "data.bin",
    ]


@pytest.mark.parametrize("target", ["/%00", "/lab/x/resolve/main/a%0Ab", "/api/models/a%7F/b"])
def test_control_characters_are_400(hub: Any, target: str) -> None:
    assert raw(hub, target)[0] in (400, 404)
    assert raw(hub, f"/{REPO}/resolve/main/a%00")[:2] == (400, "BadRequest")


@pytest.mark.parametrize(
    "target", ["/lab/x/resolve/main/%FF", "/api/models/%C3%28/b", "/api/models/%/b"]
)
def test_an_address_that_is_no_utf8_is_an_error_of_the_client(hub: Any, target: str) -> None:
    assert raw(hub, target)[0] in (400, 404)


def test_a_wrong_method_tells_the_right_ones(hub: Any, store: Store) -> None:
    answer = httpx2.request("PATCH", f"{hub.url}/api/models/{REPO}/tree/main")
    assert answer.status_code == 405 and answer.headers["allow"] == "GET, HEAD"


def test_head_is_answered_wherever_get_is(hub: Any, url: str) -> None:
    for address in (
        url,
        f"{hub.url}/health",
        f"{hub.url}/api/models",
        f"{hub.url}/api/models/{REPO}",
    ):
        head, whole = httpx2.head(address), httpx2.get(address)
        assert head.status_code == 200 and head.content == b""
        assert head.headers["content-length"] == str(len(whole.content))


def test_a_strange_host_header_is_no_error_of_the_server(hub: Any, store: Store) -> None:
    for host in ("[", "a b", "x" * 5000, "::::"):
        assert raw(hub, f"/api/models/{REPO}/tree/main?limit=1", Host=host)[0] in (200, 400)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=x", "limit=99999999999999", "p=-1", "p=1e3", "%FF=%FF", "&&&=", "p="],
)
def test_odd_queries_of_commits_and_trees(hub: Any, store: Store, query: str) -> None:
    for form in ("commits/main", "tree/main"):
        assert raw(hub, f"/api/models/{REPO}/{form}?{query}")[0] in (200, 400)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b'{"paths": [1]}'),
        ("application/json", b"[" * 100_000),
        ("application/x-www-form-urlencoded", b"\xff\xfe=\xff"),
    ],
)
def test_paths_info_that_cannot_be_read_is_400(
    hub: Any, store: Store, kind: str, body: bytes
) -> None:
    url = f"{hub.url}/api/models/{REPO}/paths-info/main"
    answer = httpx2.post(url, content=body, headers={"content-type": kind})
    assert answer.status_code == 400 and answer.headers["x-error-code"] == "BadRequest"


def test_a_body_over_the_limit_is_413_before_it_is_read(make_hub: Any) -> None:
    hub = make_hub(max_json_bytes=1000)
    Store(hub.root).create(REPO)
    url = f"{hub.url}/api/models/{REPO}/paths-info/main"
    assert httpx2.post(url, content=b"paths=" + b"x" * 995).status_code == 413
    chunks = (b"x" * 100 for _ in range(20))  # no length announced
    assert httpx2.post(url, content=chunks).status_code == 413


@settings(max_examples=150)
@given(path=st.text(max_size=40), method=st.sampled_from(["GET", "HEAD", "POST", "DELETE"]))
def test_no_address_makes_the_server_fail(hub: Any, path: str, method: str) -> None:
    target = "/" + quote(path, safe="/%?&=")
    assert raw(hub, target, method, Content_Length="0")[0] < 500


def test_half_a_request_leaves_the_server_well(hub: Any, url: str) -> None:
    place = urlsplit(hub.url)
    for start in (
        b"GET",
        b"GET / HTTP/1.1\r\nHo",
        b"\x16\x03\x01\x02\x00",
        b"POST /x HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection((place.hostname or "", place.port or 0)) as wire:
            wire.sendall(start)
    assert httpx2.get(url).content == DATA


# --- parts of files ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-", 0, 5120),
        ("bytes=100-", 100, 5120),
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=5119-9999999", 5119, 5120),
        ("bytes=-100", 5020, 5120),
        ("bytes=-9999", 0, 5120),
    ],
)
def test_a_range_is_206(url: str, asked: str, start: int, stop: int) -> None:
    answer = httpx2.get(url, headers={"range": asked})
    assert (answer.status_code, answer.content) == (206, DATA[start:stop])
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/5120"
    assert answer.headers["content-length"] == str(stop - start)


@pytest.mark.parametrize(
    "asked", ["bytes=5120-", "bytes=99999-100000", "bytes=-0", f"bytes={10**18}-"]
)
def test_a_range_behind_the_end_is_416(url: str, asked: str) -> None:
    answer = httpx2.get(url, headers={"range": asked})
    assert answer.status_code == 416 and answer.headers["content-range"] == "bytes */5120"
    assert answer.headers["x-error-code"] == "RangeNotSatisfiable"


@pytest.mark.parametrize(
    "asked",
    [
        *("bytes=", "bytes=-", "bytes=a-b", "bytes=9-3", "lines=1-2", "1-2", "bytes=0-1,5-6"),
        *(
            f"bytes={'9' * 5000}-",
            "bytes=--1",
            "bytes=" + "0-," * 900,
        ),
    ],
)
def test_a_range_that_cannot_be_read_is_the_whole_file(url: str, asked: str) -> None:
    answer = httpx2.get(url, headers={"range": asked})
    assert (answer.status_code, answer.content) == (200, DATA)


def test_any_range_of_an_empty_file_is_416(hub: Any, store: Store) -> None:
    url = f"{hub.url}/{REPO}/resolve/main/empty.bin"
    assert httpx2.get(url).content == b""
    assert httpx2.get(url, headers={"range": "bytes=0-"}).status_code == 416


def test_a_range_of_other_bytes_than_if_range_names_is_the_whole_file(url: str) -> None:
    for tag, status in ((ETAG, 206), ('"other"', 200), (f"W/{ETAG}", 200), ("Sun, 1 Jan", 200)):
        answer = httpx2.get(url, headers={"range": "bytes=1-1", "if-range": tag})
        assert answer.status_code == status


def test_head_with_a_range_has_no_body(url: str) -> None:
    answer = httpx2.head(url, headers={"range": "bytes=1-2"})
    assert answer.status_code == 206 and answer.headers["content-length"] == "2"


def test_bytes_that_the_client_has_are_304(url: str) -> None:
    for tag in (ETAG, f"W/{ETAG}", f'"x", {ETAG}', "*"):
        answer = httpx2.get(url, headers={"if-none-match": tag})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == ETAG
    assert httpx2.get(url, headers={"if-none-match": '"x"'}).status_code == 200


@given(asked=st.text("bytes=0123456789-, \u0661\xb2", max_size=30), size=st.integers(0, 50))
def test_a_part_is_inside_the_file_or_an_error(asked: str, size: int) -> None:
    try:
        part = part_of({"range": asked}, size, ETAG)
    except Refused as refused:
        assert refused.status == 416
    else:
        assert part is None or (isinstance(part, Part) and 0 <= part.start < part.stop <= size)


@given(text=st.text("abx:-[]{}&*!|>?\"'#%@`\n\t ,.0159\\uD", max_size=60))
def test_any_metadata_is_plain_data_or_none(text: str) -> None:
    found = front_matter(f"---\n{text}\n---\n")
    assert found is None or json.dumps(found, ensure_ascii=False).encode()


@given(message=st.text(max_size=600))
def test_any_message_fits_into_a_header(message: str) -> None:
    value = error(400, "BadRequest", message).headers["x-error-message"]
    assert value.isascii() and value == value.strip() and len(value) <= 500


# --- a root in trouble ---------------------------------------------------------------------------


def test_a_blob_that_has_vanished_is_entry_not_found(hub: Any, url: str, store: Store) -> None:
    store.blob(ETAG.strip('"')).unlink()
    answer = httpx2.get(url)
    assert answer.status_code == 404 and answer.headers["x-error-code"] == "EntryNotFound"


def test_a_blob_cut_short_never_arrives_as_whole(url: str, store: Store, tmp_path: Path) -> None:
    path = store.blob(ETAG.strip('"'))
    path.chmod(0o600)
    path.write_bytes(DATA[:100])
    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.get(url)


def test_damage_is_told_without_places_on_the_disk(hub: Any, url: str) -> None:
    for path in (hub.root / "repos").rglob("commits/*.json"):
        path.chmod(0o600)
        path.write_text("{")
    lines = b'{"key":"header","value":{"summary":"x"}}\n{"key":"deletedFile","value":{"path":"a"}}'
    api, token = f"{hub.url}/api/models/{REPO}", {"authorization": f"Bearer {hub.token}"}
    for answer in (
        httpx2.get(url),
        httpx2.get(api),
        httpx2.post(f"{api}/commit/main", content=lines, headers=token),
    ):
        assert (answer.status_code, answer.headers["x-error-code"]) == (503, "Damaged")
        assert str(hub.root) not in answer.text
    assert httpx2.get(f"{hub.url}/api/models").json() == []
