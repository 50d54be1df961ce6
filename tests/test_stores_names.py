"""Names that are files on every system; what is there already can be read and deleted."""

from __future__ import annotations

import base64
import json
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import Exists, StoreError
from zoo.records import names
from zoo.records.entry import Entry, FileRef, Headline
from zoo.stores.git import Add, Delete, DeleteFolder, File
from zoo.stores.store import Store

REPO = "lab/colours.kd"
BAD = [
    "a" * 300,
    "b/" + "ä" * 128,
    "a:b.txt",
    "C:/x.txt",
    "con",
    "aux.txt",
    "AUX.TAR.GZ",
    "x/Nul",
    "nul .txt",
    "com1.log",
    "LPT\u00b9",
    "conin$",
    "trail. ",
    "trail.",
    "trail ",
    "folder./x",
    "a<b",
    'a"b',
    "a|b",
    "what?",
    "*.onnx",
    ".g\u200cit/config",
    ".GIT./x",
    "a\u0085b",
]
GOOD = ["console.txt", "aux1", "com", "com10.txt", ".gitignore", "a b.txt"]
GOOD += ["Änderung.txt", "日本/語.txt", "a" * 255, "~x", "x,y;z=(1)[2]{3}@#$%^&+-_!'`"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "root")
    store.create(REPO)
    return store


@pytest.fixture
def put(store: Store) -> Callable[..., Any]:
    def put(*paths: str) -> Any:
        sha256 = store.add([b"x"])[0]
        return store.commit(REPO, "main", [Add(path, sha256) for path in paths], title="x")

    return put


@pytest.mark.parametrize("path", BAD)
def test_a_path_that_some_system_cannot_keep_is_refused(put: Any, store: Store, path: str) -> None:
    head = store.resolve(REPO, "main")
    with pytest.raises(StoreError):
        put("fine.txt", path)
    assert store.resolve(REPO, "main") == head


@pytest.mark.parametrize("path", GOOD)
def test_a_path_that_all_systems_keep_is_taken(put: Any, path: str) -> None:
    assert path in put(path).files


TOGETHER = [
    ("a.txt", "A.TXT"),
    ("a/x", "A/y"),
    ("a", "A/y"),
    ("Stra\u00dfe", "STRASSE"),
    ("caf\u00e9", "cafe\u0301"),
    ("caf\u00e9/x", "CAFE\u0301/x"),
    ("a\u200db", "ab"),
    ("\u212bx", "\u00e5X"),
]


@pytest.mark.parametrize(("one", "other"), TOGETHER)
def test_two_names_that_are_one_somewhere_are_refused(
    put: Any, store: Store, one: str, other: str
) -> None:
    for pair in ((one, other), (other, one)):
        with pytest.raises(StoreError, match=r"one name|cannot be both"):
            put(*pair)
    head = put(one).id
    with pytest.raises(StoreError, match="one name"):
        put(other)
    assert store.resolve(REPO, "main") == head
    store.commit(REPO, "main", [Delete(one), Add(other, store.add([b"y"])[0])], title="renamed")


def test_what_is_stored_already_is_read_changed_around_and_deleted(store: Store, put: Any) -> None:
    """As a mirror may hold it, or a hub of before."""
    old = put("seed.txt")
    file = old.files["seed.txt"]
    paths = ("a:b.txt", "con/x", "trail. ", "A.TXT", "a.txt")
    files = {path: replace(file, path=path) for path in paths}
    store.adopt(REPO, replace(old, id="d" * 40, files=files), heads={"main": "d" * 40})
    assert set(Store(store.root).read(REPO, "main").files) == set(paths)
    assert set(put("new.txt").files) == {*paths, "new.txt"}
    assert put("a.txt").files["a.txt"] == File("a.txt", 1, file.sha256, file.oid, False)
    with pytest.raises(StoreError, match="one name"):
        put("A.txt")
    gone = [Delete("a:b.txt"), DeleteFolder("con"), Delete("trail. "), Delete("A.TXT")]
    assert set(store.commit(REPO, "main", gone, title="gone").files) == {"a.txt", "new.txt"}
    assert store.fsck() == []


@pytest.mark.parametrize("name", ["con", "v/aux", "a<b", 'a"b', "a|b", "nul.1", "x/com1"])
def test_a_branch_or_tag_that_no_client_can_keep_is_refused(store: Store, name: str) -> None:
    for make in (lambda: store.tag(REPO, name, "main"), lambda: store.branch(REPO, name)):
        with pytest.raises(StoreError):
            make()


def test_branches_and_tags_are_apart_on_every_system(store: Store) -> None:
    store.tag(REPO, "v1", "main")
    store.branch(REPO, "v1")  # as before: which is meant, the order of search says
    for name in ("V1", "v1/x", "V1/x", "MAIN", "main/x"):
        with pytest.raises(Exists):
            store.branch(REPO, name)
        with pytest.raises(Exists):
            store.tag(REPO, name, "main")
    store.branch(REPO, "dev/x")
    with pytest.raises(Exists):
        store.tag(REPO, "dev", "main")
    assert set(store.refs(REPO).heads) == {"main", "v1", "dev/x"}


def test_repositories_are_apart_on_every_system(store: Store) -> None:
    for repo in ("LAB/Colours.KD", "lab/COLOURS.kd", "Lab/other"):
        with pytest.raises(Exists):
            store.create(repo)
    for repo in ("lab/con", "aux/x", "lab/nul.kd"):
        with pytest.raises(StoreError, match="device"):
            store.create(repo)
    assert store.repos() == [REPO]


@pytest.mark.parametrize("bad", ["aux.txt", "con", "NUL.onnx"])
def test_a_row_of_a_registry_keeps_the_same_promise(bad: str) -> None:
    ref = FileRef("0" * 64, 1)
    more = ("t", "lab/x", "0" * 40, "MIT", "x", {"a.txt": ref}, Headline(1, "d", 1, 1))
    entry = Entry("name.kd", *more)
    with pytest.raises(ValueError, match="device"):
        replace(entry, files={bad: ref})
    with pytest.raises(ValueError, match="one name"):
        replace(entry, files={"a.txt": ref, "A.TXT": ref})
    with pytest.raises(ValueError, match="device"):
        replace(entry, name=bad)


# --- over the wire -------------------------------------------------------------------------------


def test_a_bad_name_is_told_before_anything_is_sent(hub: Any) -> None:
    httpx2 = pytest.importorskip("httpx2")
    store = Store(hub.root)
    store.create(REPO)
    head = store.resolve(REPO, "main")
    headers = {"authorization": f"Bearer {hub.token}"}
    content = base64.b64encode(b"x").decode()
    with httpx2.Client(base_url=f"{hub.url}/api/models/{REPO}", headers=headers) as client:
        for path in BAD:
            asked = {"files": [{"path": path, "size": 1, "sample": ""}]}
            assert client.post("/preupload/main", json=asked).status_code == 400, path
            lines = [{"key": "header", "value": {"summary": "x"}}]
            lines += [{"key": "file", "value": {"path": path, "content": content}}]
            body = "\n".join(map(json.dumps, lines))
            assert client.post("/commit/main", content=body).status_code == 400, path
    assert store.resolve(REPO, "main") == head


# --- whatever comes ------------------------------------------------------------------------------

odd = st.text(
    st.sampled_from("aA.:/ \\<|?*\"'~$1\u00e9e\u0301\u00df\u200d\u202e\u212bcomnulx")
    | st.characters(),
    min_size=1,
    max_size=12,
)


@settings(max_examples=300, derandomize=True)
@given(path=odd | st.sampled_from(BAD + GOOD))
def test_what_passes_is_a_file_by_the_rules_of_all(path: str) -> None:
    try:
        names.check_path(path)
    except ValueError:
        return
    for segment in path.split("/"):
        assert 0 < len(segment.encode()) <= 255 and len(segment.encode("utf-16-le")) <= 510
        assert segment not in (".", "..") and segment.rstrip(". ") == segment
        assert not set(segment) & set('<>:"|?*\\') and min(segment) >= " "
        assert segment.split(".")[0].strip().upper() not in ("CON", "NUL", "COM1", "PRN", "AUX")
    names.check_stored_path(path)


@settings(max_examples=200, derandomize=True)
@given(paths=st.lists(odd, min_size=1, max_size=4))
def test_what_stands_together_is_as_many_files_where_case_does_not_count(paths: list[str]) -> None:
    try:
        for path in paths:
            names.check_path(path)
        names.check_together(set(paths))
    except ValueError:
        return
    for form in ("NFC", "NFD"):
        seen = {unicodedata.normalize(form, path).lower() for path in paths}
        assert len(seen) == len(set(paths))
