"""What is asked is honoured or refused: of query, body and condition nothing is passed over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("starlette")

import httpx2
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.serve import all_routes
from zoo.serve.catalogue.openapi import document
from zoo.stores.store import Add, Store

REPO = "lab/colours.kd"
API = f"/api/models/{REPO}"
FILE = f"/{REPO}/resolve/main/notes.txt"
DATA = b"0123456789"


@pytest.fixture(scope="module")
def hub(shared_hub: Any) -> Any:
    return shared_hub


@pytest.fixture(scope="module")
def client(hub: Any) -> Iterator[httpx2.Client]:
    store = Store(hub.root)
    for repo, licence in ((REPO, b"mit"), ("lab/other", b"apache-2.0")):
        store.create(repo)
        readme = b"---\nlicense: " + licence + b"\nlibrary_name: onnx\n---\n"
        files = {"README.md": readme, "notes.txt": DATA}
        changes = [Add(path, store.add([data])[0]) for path, data in files.items()]
        store.commit(repo, "main", changes, title="a < b")
    headers = {"authorization": f"Bearer {hub.token}"}
    with httpx2.Client(base_url=hub.url, headers=headers, timeout=30) as client:
        yield client


# --- queries -------------------------------------------------------------------------------------


REFUSED = [
    "num_parameters=min:6B",
    "inference=warm",
    "inference_provider=all",
    "apps=ollama",
    "config=True",
    "expand=nonsense",
    "expand=sha&expand=gguf",
    "gated=perhaps",
    "full=maybe",
    "cardData=2",
    "sort=size",
    "direction=1",
    "sort=id&sort=createdAt",
    "limit=1&limit=2",
    "limit=0",
    "cursor=%FF",
    "nonsense",
    "search=x&serach=y",
    "%1b%5b31m=1",
]


def test_what_a_list_does_not_know_is_refused(client: httpx2.Client) -> None:
    for query in REFUSED:
        answer = client.get(f"/api/models?{query}")
        assert answer.status_code == 400, answer.text
        assert "\x1b" not in answer.json()["error"]


HONOURED = [
    ("gated=True", 0),
    ("gated=true", 0),
    ("gated=auto", 0),
    ("gated=False", 2),
    ("filter=license:mit&filter=onnx", 1),
    ("filter=license:mit,onnx", 1),
    ("author=LAB&search=other&full=True&cardData=True", 1),
    ("sort=lastModified&direction=-1&limit=1", 1),
    ("full=false&cardData=0", 2),
]


def test_what_a_list_knows_is_honoured(client: httpx2.Client) -> None:
    for query, found in HONOURED:
        assert len(client.get(f"/api/models?{query}").json()) == found


def test_what_is_expanded_is_told_and_nothing_else(client: httpx2.Client) -> None:
    wanted = {"_id", "id", "modelId", "sha", "tags"}
    for path in (API, f"{API}/revision/main"):
        assert client.get(f"{path}?expand=sha&expand=tags").json().keys() == wanted
    rows = client.get("/api/models?expand=sha&expand=tags").json()
    assert [row.keys() for row in rows] == [wanted] * 2
    assert client.get(f"{API}?expand=nonsense").status_code == 400
    told = client.get(f"{API}?securityStatus=True&blobs=True").json()
    assert told["securityRepoStatus"] == {"scansDone": False, "filesWithIssues": []}


def test_a_formatted_title_is_html(client: httpx2.Client) -> None:
    rows = client.get(f"{API}/commits/main", params={"expand[]": "formatted"}).json()
    assert rows[0]["formatted"]["title"] == "a &lt; b"
    assert "formatted" not in client.get(f"{API}/commits/main").json()[0]


def test_a_file_to_keep_is_told_to_be_one(client: httpx2.Client) -> None:
    told = client.get(f"{FILE}?download=true").headers["content-disposition"]
    assert told == "attachment; filename*=UTF-8''notes.txt"
    assert "content-disposition" not in client.get(FILE).headers


UNKNOWN = [
    f"{API}?blob=1",
    f"{API}/refs?x=1",
    f"{API}/tree/main?recursive=perhaps",
    f"{API}/tree/main?depth=2",
    f"{API}/commits/main?until=2020",
    f"{API}/commits/main?expand[]=nonsense",
    f"{API}/commits/main?expand[]=",
    f"{FILE}?offset=2",
    "/api/whoami-v2?x",
    "/api/zoo/models?colour=red",
    f"/api/zoo/models/{REPO}?x=1",
    "/registry.yaml?name=x",
]


def test_what_no_other_address_knows_is_refused(client: httpx2.Client) -> None:
    for path in UNKNOWN:
        assert client.get(path).status_code == 400


def test_a_flag_is_one_thing_everywhere(client: httpx2.Client) -> None:
    """Of a query, a form and JSON: what is neither yes nor no is refused."""
    asked = f"{API}/paths-info/main"
    for value, status in (
        ("True", 200),
        ("yes", 200),
        ("False", 200),
        ("no", 200),
        ("perhaps", 400),
    ):
        assert client.get(f"{API}/tree/main?expand={value}").status_code == status
        answer = client.post(asked, data={"paths": "notes.txt", "expand": value})
        assert answer.status_code == status
        if status == 200:
            assert ("lastCommit" in answer.json()[0]) == (value in ("True", "yes"))
        made = client.post(f"{API}/preupload/main?create_pr={value}", json={"files": []})
        assert made.status_code == (200 if value in ("False", "no") else 400)
    assert client.post(asked, data={"paths": "a", "expand": ["1", "0"]}).status_code == 400
    for said, status in ((True, 200), (False, 200), (None, 200), ("yes", 400), (1, 400), (0, 400)):
        body = {"paths": ["notes.txt"], "expand": said}
        assert client.post(asked, json=body).status_code == status


def test_a_page_is_found_with_whatever_others_hang_on_its_address(client: httpx2.Client) -> None:
    for path in ("/?utm_source=x", f"/{REPO}?ref=y", "/health?1"):
        assert client.get(path).status_code == 200


def test_every_name_of_a_query_is_described(client: httpx2.Client) -> None:
    described = document("http://x")["paths"]
    for route in all_routes():
        operation = described.get(route.pattern.replace("...}", "}"), {}).get(route.method.lower())
        if operation and route.query is not None:
            told = {p["name"] for p in operation["parameters"] if p["in"] == "query"}
            assert told == {name.removesuffix("*") for name in route.query}, route.pattern


FLAG = ("true", "False", "1", "no", "")
FINE = {  # name -> the values that can be understood; None: any
    **dict.fromkeys(("search", "author", "filter", "pipeline_tag")),
    **dict.fromkeys(("full", "cardData"), FLAG),
    "gated": (*FLAG, "auto", "manual"),
    "sort": ("createdAt", "lastModified", "id", ""),
    "direction": ("-1",),
    "limit": ("1", "1000", "99999999999", ""),
    "cursor": ("", "YQ=="),
    "expand": ("sha", "cardData"),
}
VALUES = sorted({value for fine in FINE.values() for value in fine or ()} | {"perhaps", "-1"})


@settings(max_examples=40, derandomize=True)
@given(
    query=st.dictionaries(
        st.sampled_from(sorted(FINE)) | st.text(max_size=8),
        st.sampled_from(VALUES) | st.text(max_size=8),
        min_size=1,
        max_size=2,
    )
)
def test_any_query_is_understood_or_refused(client: httpx2.Client, query: dict[str, str]) -> None:
    answer = client.get("/api/models", params=query)
    assert answer.status_code in (200, 400)
    if query.keys() <= FINE.keys() and all(v in (FINE[k] or [v]) for k, v in query.items()):
        assert answer.status_code == 200, query
    if not query.keys() <= FINE.keys():
        assert answer.status_code == 400, query


def test_each_value_of_each_name_is_understood_or_refused(client: httpx2.Client) -> None:
    for name, fine in FINE.items():
        if fine is not None:
            for value in [*fine, "perhaps"]:
                found = client.get("/api/models", params={name: value}).status_code
                assert found == (200 if value in fine else 400), (name, value)


# --- bodies --------------------------------------------------------------------------------------


KEYS = [
    ("POST", "/api/repos/create", {"name": "x", "organization": "lab", "region": "eu"}),
    ("POST", "/api/repos/create", {"name": "x", "organization": "lab", "gated": "auto"}),
    ("DELETE", "/api/repos/delete", {"name": "other", "organization": "lab", "force": True}),
    ("PUT", f"{API}/settings", {"visibility": "public", "xetEnabled": True}),
    ("POST", f"{API}/tag/main", {"tag": "v1", "overwrite": True}),
    ("POST", f"{API}/branch/dev", {"startingPoint": "main", "emptyBranch": True}),
    ("POST", f"{API}/preupload/main", {"files": [], "dryRun": True}),
    ("POST", f"{API}/preupload/main", {"files": [{"path": "a", "size": 1, "mode": 7}]}),
    ("POST", f"{API}/preupload/main?hot_reload=1", {"files": []}),
    ("POST", f"{API}/paths-info/main", {"paths": [], "depth": 1}),
    ("POST", "/api/validate-yaml", {"content": "", "strict": True}),
    ("POST", "/api/validate-yaml", {"content": "", "repoType": "dataset"}),
    (
        "POST",
        f"/{REPO}.git/info/lfs/objects/batch",
        {"operation": "upload", "objects": [], "hash_algo": "sha1"},
    ),
    (
        "POST",
        f"/{REPO}.git/info/lfs/objects/batch",
        {"operation": "upload", "objects": [], "transfers": ["xet"]},
    ),
    ("POST", f"/{REPO}.git/info/lfs/verify", {"oid": "0" * 64, "size": 1, "x": 1}),
]


def test_a_key_that_is_not_understood_is_refused(client: httpx2.Client, hub: Any) -> None:
    for method, path, body in KEYS:
        before = Store(hub.root).repos()
        assert client.request(method, path, json=body).status_code == 400
        assert Store(hub.root).repos() == before and not Store(hub.root).refs(REPO).tags


def test_null_is_as_if_it_were_not_there(client: httpx2.Client) -> None:
    body = {"name": "new", "organization": "lab", "sdk": None, "resourceGroupId": None}
    assert client.post("/api/repos/create", json=body).status_code == 200


def test_what_clients_of_2023_send_is_understood(client: httpx2.Client) -> None:
    """huggingface_hub 0.17: the hash in `preupload`, True as text, a tag's message."""
    file = {"path": "a.txt", "size": 1, "sample": "eA==", "sha": "0" * 64}
    assert client.post(f"{API}/preupload/main", json={"files": [file]}).status_code == 200
    assert client.post(f"{API}/tag/main", json={"tag": "v1", "message": "x"}).status_code == 200
    assert client.get("/api/models?full=True&cardData=True&direction=-1").status_code == 200


LINES = [
    ({"amend": True}, {"key": "file", "value": {"path": "a", "content": "QQ=="}}),
    ({}, {"key": "file", "value": {"path": "a", "content": "QQ==", "mode": "100755"}}),
    ({}, {"key": "deletedFile", "value": {"path": "notes.txt", "recursive": True}}),
    ({}, {"key": "copyFile", "value": {"path": "b", "srcPath": "notes.txt"}}),
]


def test_a_commit_that_says_more_than_is_understood_is_refused(
    client: httpx2.Client, hub: Any
) -> None:
    for header, line in LINES:
        head = Store(hub.root).resolve(REPO, "main")
        lines = [{"key": "header", "value": {"summary": "x", **header}}, line]
        body = "\n".join(map(json.dumps, lines))
        assert client.post(f"{API}/commit/main", content=body).status_code == 400
        assert Store(hub.root).resolve(REPO, "main") == head


# --- conditions ----------------------------------------------------------------------------------

ETAG = "?"  # stands for the file's own


CONDITIONS = [
    ({"if-match": '"nope"'}, 412),
    ({"if-match": "nope"}, 412),
    ({"if-match": f"W/{ETAG}"}, 412),
    ({"if-match": ""}, 412),
    ({"if-match": ETAG}, 200),
    ({"if-match": f'"x", {ETAG}'}, 200),
    ({"if-match": "*"}, 200),
    ({"if-none-match": ETAG}, 304),
    ({"if-none-match": f'"a,b", W/{ETAG}'}, 304),
    ({"if-none-match": "*"}, 304),
    ({"if-none-match": '"nope"'}, 200),
    ({"if-match": '"nope"', "if-none-match": ETAG}, 412),
    ({"if-match": ETAG, "if-none-match": ETAG}, 304),
    ({"if-match": ETAG, "range": "bytes=1-2"}, 206),
    ({"if-match": '"nope"', "range": "bytes=1-2"}, 412),
    ({"if-match": '"nope"', "range": "bytes=99-"}, 412),
    ({"if-none-match": ETAG, "range": "bytes=1-2"}, 304),
    ({"if-range": ETAG, "range": "bytes=1-2"}, 206),
    ({"if-range": '"nope"', "range": "bytes=1-2"}, 200),
    ({"if-range": f"W/{ETAG}", "range": "bytes=1-2"}, 200),
    ({"if-range": "Sat, 29 Oct 1994 19:43:31 GMT", "range": "bytes=1-2"}, 200),
    ({"if-range": '"nope"', "range": "bytes=99-"}, 200),
    # no Last-Modified here: RFC 9110 passes conditions on times over
    ({"if-unmodified-since": "Sat, 29 Oct 1994 19:43:31 GMT"}, 200),
    ({"if-modified-since": "Sat, 29 Oct 2094 19:43:31 GMT"}, 200),
]


def test_conditions_are_asked_in_the_order_of_the_rfc(client: httpx2.Client) -> None:
    for headers, status in CONDITIONS:
        etag = client.get(FILE).headers["etag"]
        sent = {key: value.replace(ETAG, etag) for key, value in headers.items()}
        answer = client.get(FILE, headers=sent)
        assert answer.status_code == status
        assert answer.headers["etag"] == etag
        assert answer.content == {200: DATA, 206: DATA[1:3], 304: b""}.get(status, answer.content)
        assert client.head(FILE, headers=sent).status_code == status


def test_conditions_in_several_lines_are_one_list(client: httpx2.Client) -> None:
    etag = client.get(FILE).headers["etag"]
    for name, status in (("if-none-match", 304), ("if-match", 200)):
        lines = [(name, '"x"'), (name, etag)]
        assert client.get(FILE, headers=lines).status_code == status


def test_what_has_no_etag_meets_no_condition_on_one(client: httpx2.Client, hub: Any) -> None:
    for method, path in (("GET", API), ("GET", "/api/models"), ("POST", f"{API}/tag/main")):
        sent = client.request(method, path, headers={"if-match": '"x"'}, json={"tag": "v2"})
        assert sent.status_code == 412
    assert "v2" not in Store(hub.root).refs(REPO).tags
    registry = client.get("/registry.yaml")
    for tag, status in ((registry.headers["etag"], 200), ('"x"', 412)):
        assert client.get("/registry.yaml", headers={"if-match": tag}).status_code == status


@settings(max_examples=60, derandomize=True)
@given(
    headers=st.dictionaries(
        st.sampled_from(["if-match", "if-none-match", "if-range", "range", "if-modified-since"]),
        st.text('*W/"?, bytes=0-9x', max_size=20).map(str.strip),
    )
)
def test_any_conditions_give_the_file_or_a_reason(
    client: httpx2.Client, headers: dict[str, str]
) -> None:
    answer = client.get(FILE, headers=headers)
    assert answer.status_code in (200, 206, 304, 412, 416)
    if answer.status_code == 200:
        assert answer.content == DATA
    if answer.status_code == 206:
        assert answer.content in DATA and answer.content


# --- what is told --------------------------------------------------------------------------------

EVIL = "a\u202etxt.exe\u200b\u2066b"


def test_text_of_strangers_is_clean_in_errors_and_pages(client: httpx2.Client, hub: Any) -> None:
    from urllib.parse import quote

    answer = client.get(f"/{REPO}/resolve/main/{quote(EVIL)}")
    assert answer.status_code == 404 and "a\\u202etxt.exe\\u200b" in answer.json()["error"]
    store = Store(hub.root)
    store.commit(REPO, "main", [Add(EVIL, store.add([b"x"])[0])], title=f"t {EVIL}", author=EVIL)
    page = client.get(f"/{REPO}").text
    assert "a\\u202etxt.exe\\u200b\\u2066b" in page and not set("\u202e\u200b\u2066") & set(page)
    listed = [row["path"] for row in client.get(f"{API}/tree/main").json()]
    assert EVIL in listed  # for machines it is what it is
    assert client.get(f"/{REPO}/resolve/main/{quote(EVIL)}").content == b"x"
