"""A directory as a hub: what is committed is read, and what is wrong is refused in one line."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.errors import (
    Conflict,
    EntryNotFound,
    Exists,
    IntegrityError,
    NotFound,
    RevisionNotFound,
    StoreError,
    ZooError,
)
from zoo.stores.git import Add, Change, Commit, Delete, DeleteFolder, is_lfs
from zoo.stores.store import Store

REPO = "lab/student"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "root")
    made.create(REPO)
    return made


def put(store: Store, *changes: Change, branch: str = "main", **files: str) -> Commit:
    """Commit texts by path (`a__b` is a/b), and other changes."""
    added = [
        Add(path.replace("__", "/"), store.add([text.encode()])[0]) for path, text in files.items()
    ]
    return store.commit(REPO, branch, [*added, *changes], title="a change")


def held(store: Store, revision: str = "main") -> dict[str, str]:
    """Texts by path."""
    files = store.read(REPO, revision).files.values()
    return {f.path: store.blob(f.sha256).read_text() for f in files if f.path != ".gitattributes"}


def age(store: Store, seconds: float = 1e6) -> None:
    """Make everything in the store look older."""
    for path in store.root.rglob("*"):
        os.utime(path, (time.time() - seconds,) * 2)


# --- blobs ---------------------------------------------------------------------------------------


def test_bytes_are_kept_under_their_sha256_and_come_with_git_s_name(store: Store) -> None:
    sha256, size, oid = store.add([b"hel", b"lo"])
    assert (sha256, size) == (hashlib.sha256(b"hello").hexdigest(), 5)
    assert (
        oid == "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"
    )  # printf hello | git hash-object --stdin
    assert store.has(sha256)
    assert store.blob(sha256).read_bytes() == b"hello"
    assert store.add([b"hello"], sha256=sha256, size=5) == (sha256, size, oid)


def test_a_blob_that_is_here_is_not_read_again_and_counts_as_new(store: Store) -> None:
    sha256, _, _ = store.add([b"hello"])
    age(store)
    assert store.add(iter(lambda: pytest.fail("was read"), b""), sha256=sha256)[0] == sha256
    assert time.time() - store.blob(sha256).stat().st_mtime < 60
    assert store.keep(sha256)
    assert not store.keep("0" * 64)
    with pytest.raises(IntegrityError, match="has 5 bytes, not 6"):
        store.add([], sha256=sha256, size=6)


def test_a_blob_that_was_cut_is_mended_by_sending_it_again(store: Store) -> None:
    sha256, _, _ = store.add([b"hello"])
    store.blob(sha256).write_bytes(b"hell")
    assert store.add([b"hello"])[0] == sha256
    assert store.blob(sha256).read_bytes() == b"hello"


def test_more_bytes_than_announced_stop_at_once(store: Store) -> None:
    def endless() -> object:
        for n in range(10):
            assert n < 3
            yield b"xxxx"

    with pytest.raises(IntegrityError, match="more than the 7 bytes"):
        store.add(endless(), size=7)  # type: ignore[arg-type]
    assert list((store.root / "incoming").iterdir()) == []


@pytest.mark.parametrize(
    ("said", "problem"),
    [({"size": 6}, "5 bytes came, 6 were"), ({"sha256": "0" * 64}, "have sha256 2cf24d")],
)
def test_other_bytes_than_announced_are_not_kept(
    store: Store, said: dict[str, object], problem: str
) -> None:
    with pytest.raises(IntegrityError, match=problem):
        store.add([b"hello"], **said)  # type: ignore[arg-type]
    assert not store.has(hashlib.sha256(b"hello").hexdigest())
    assert list((store.root / "incoming").iterdir()) == []


def test_an_upload_that_breaks_off_leaves_nothing(store: Store) -> None:
    with pytest.raises(ConnectionError), store.incoming(size=100) as upload:
        upload.write(b"half")
        raise ConnectionError
    with store.incoming() as upload:
        upload.write(b"never finished")
    assert list((store.root / "incoming").iterdir()) == []


def test_what_is_no_hash_is_neither_there_nor_accepted(store: Store) -> None:
    for name in ("../../secret", "", "A" * 64, "0" * 63, "\0", "0" * 64 + "\n"):
        assert not store.has(name)
        assert not store.keep(name)
        with pytest.raises(NotFound):
            store.blob(name)
        with pytest.raises(StoreError):
            store.incoming(sha256=name)
    with pytest.raises(StoreError):
        store.incoming(size=-1)


# --- repositories --------------------------------------------------------------------------------


def test_a_new_repository_has_a_first_commit_that_tells_what_is_lfs(store: Store) -> None:
    assert store.repos() == [REPO]
    first = store.read(REPO, "main")
    assert list(first.files) == [".gitattributes"]
    assert "*.onnx filter=lfs" in store.blob(first.files[".gitattributes"].sha256).read_text()
    assert (first.title, first.parents) == ("initial commit", ())
    assert store.created(REPO)[:4] == first.date[:4]
    assert (store.private(REPO), store.origin(REPO)) == (False, "")
    store.set_private(REPO, True)
    assert store.private(REPO)
    with pytest.raises(Exists, match="lab/student exists already"):
        store.create(REPO)


def test_a_deleted_repository_is_gone_at_once_and_only_once(store: Store) -> None:
    store.create("lab/other", private=True)
    store.delete(REPO)
    assert store.repos() == ["lab/other"]
    for use in (store.delete, store.refs, store.private, lambda r: store.read(r, "main")):
        with pytest.raises(NotFound, match="no repository 'lab/student'"):
            use(REPO)
    store.create(REPO)
    assert store.private("lab/other")


HOSTILE = [
    "", "student", "a/b/c", "../b", "a/..", "a/../b", "/etc/passwd", "a/b/", "a%2Fb", "a/%2e%2e",
    "a/b\0", "a/b\n", "a/b.git", "a/.git", ".git/b", "-a/b", "a--b/c", "a/b..c", "a\\b/c", "é/b",
    "a/" + "x" * 97, "x" * 5000 + "/b", "a/\ud800", "a/b c", "a/b.lock.", "~/x", "C:/x",
]  # fmt: skip


@pytest.mark.parametrize("repo", HOSTILE, ids=lambda name: ascii(name)[:20])
def test_a_hostile_repository_name_is_one_clear_error(store: Store, repo: str) -> None:
    before = sorted(store.root.rglob("*"))
    with pytest.raises(StoreError, match="is not ORG/NAME") as caught:
        store.create(repo)
    assert one_line(caught.value)
    for use in (store.delete, store.refs, lambda r: store.commit(r, "main", [], title="x")):
        with pytest.raises(NotFound, match="no repository") as missing:
            use(repo)
        assert one_line(missing.value)
    assert sorted(store.root.rglob("*")) == before


def one_line(error: ZooError) -> bool:
    """Printable everywhere, and short."""
    return str(error).isascii() and str(error).isprintable() and len(str(error)) < 300


# --- commits -------------------------------------------------------------------------------------


def test_a_commit_adds_replaces_and_deletes(store: Store) -> None:
    first = put(store, card="1", model="2", figures__a="3", figures__b="4")
    assert held(store) == {"card": "1", "figures/a": "3", "figures/b": "4", "model": "2"}
    put(store, Delete("model"), DeleteFolder("figures"), card="new")
    assert held(store) == {"card": "new"}
    assert held(store, first.id) == {"card": "1", "figures/a": "3", "figures/b": "4", "model": "2"}
    titles = [commit.title for commit in store.log(REPO, "main")]
    assert titles == ["a change", "a change", "initial commit"]


def test_a_commit_that_changes_nothing_is_the_head_itself(store: Store) -> None:
    head = put(store, card="1")
    assert put(store, card="1") == head
    assert store.commit(REPO, "main", [], title="nothing") == head
    assert len(list(store.log(REPO, "main"))) == 2


def test_a_stale_parent_is_refused_and_a_right_one_may_be_short(store: Store) -> None:
    old = store.resolve(REPO, "main")
    blob = store.add([b"1"])[0]
    first = store.commit(REPO, "main", [Add("a", blob)], title="x", parent=old)
    for wrong in (old, "", first.id[:4], first.id + "0"):
        with pytest.raises(Conflict, match="A commit has happened since"):
            store.commit(REPO, "main", [Add("b", blob)], title="x", parent=wrong)
    store.commit(REPO, "main", [Add("b", blob)], title="x", parent=first.id[:7].upper())


@pytest.mark.parametrize(
    ("change", "error", "problem"),
    [
        (Delete("none"), EntryNotFound, "a file with this name doesn't exist: 'none'"),
        (Delete("folder"), EntryNotFound, "a file with this name"),
        (DeleteFolder("card"), EntryNotFound, "a folder with this name"),
        (Add("x", "0" * 64), NotFound, "no file with sha256"),
        (Add("x", "../../../etc/passwd"), NotFound, "no file with sha256"),
        (Add("card/x", "BLOB"), StoreError, "'card' cannot be both a file and a folder"),
        (Add("folder", "BLOB"), StoreError, "'folder' cannot be both"),
    ],
)
def test_an_impossible_change_leaves_the_head(
    store: Store, change: Change, error: type[ZooError], problem: str
) -> None:
    head = put(store, card="1", folder__file="2")
    blob = store.add([b"new"])[0]
    if isinstance(change, Add) and change.sha256 == "BLOB":
        change = Add(change.path, blob)
    with pytest.raises(error, match=problem):
        store.commit(REPO, "main", [Add("good", blob), change], title="x")
    assert store.read(REPO, "main") == head
    assert store.fsck() == []


@pytest.mark.parametrize(
    "path",
    ["", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a\\b", "a\0", "a\nb", "\x7f", "\ud800",
     ".git", "a/.GIT/config", ".git./x", "GIT~1/x", "x" * 513, "é" * 257, "/".join("a" * 17)],
    ids=lambda path: ascii(path)[:20],
)  # fmt: skip
def test_a_hostile_path_is_one_clear_error(store: Store, path: str) -> None:
    blob = store.add([b"1"])[0]
    for change in (Add(path, blob), Delete(path), DeleteFolder(path)):
        if change == DeleteFolder("a/"):
            continue  # the client's own spelling of a folder
        with pytest.raises(StoreError, match="path") as caught:
            store.commit(REPO, "main", [change], title="x")
        assert one_line(caught.value)


def test_unusual_but_honest_paths_are_kept(store: Store) -> None:
    blob = store.add([b"1"])[0]
    paths = ["日本/ü.txt", ".gitignore", "a b", "a%2Fb", "..a", "x" * 255, "/".join("b" * 16)]
    store.commit(REPO, "main", [Add(path, blob) for path in paths], title="x")
    assert set(held(store)) == set(paths)


@pytest.mark.parametrize("told", [{"title": ""}, {"title": " \n"}, {"title": "a\0"},
    {"title": "\ud800"}, {"title": "x", "author": "a <b>"}, {"title": "x", "author": "a\nb"},
    {"title": "x", "author": ""}, {"title": "x", "description": "\udfff"}])  # fmt: skip
def test_a_text_that_git_cannot_hold_is_refused(store: Store, told: dict[str, str]) -> None:
    blob = store.add([b"1"])[0]
    with pytest.raises(StoreError):
        store.commit(REPO, "main", [Add("a", blob)], **told)  # type: ignore[arg-type]
    assert held(store) == {}


def test_the_lines_after_the_title_go_to_the_description(store: Store) -> None:
    blob = store.add([b"1"])[0]
    commit = store.commit(REPO, "main", [Add("a", blob)], title="one\n\ntwo", description="three")
    assert (commit.title, commit.description) == ("one", "two\nthree")


def test_large_files_and_those_of_binary_names_are_lfs(store: Store) -> None:
    assert is_lfs("a/model.onnx", 1)
    assert is_lfs("golden.npz", 0)
    assert is_lfs("text.txt", 10 * 2**20)
    assert not is_lfs("text.txt", 10 * 2**20 - 1)
    assert not is_lfs("onnx/card.json", 1)
    put(store, model="x", **{"model.onnx": "x"})
    files = store.read(REPO, "main").files
    assert [files[p].lfs for p in ("model", "model.onnx")] == [False, True]
    assert files["model"].sha256 == files["model.onnx"].sha256


# --- branches and tags ---------------------------------------------------------------------------


def test_a_revision_is_a_branch_a_tag_a_whole_ref_or_a_commit(store: Store) -> None:
    head = put(store, a="1").id
    store.tag(REPO, "v1.0", "main")
    store.branch(REPO, "dev/é", head)
    new = put(store, a="2", branch="refs/heads/dev/é").id
    for name in ("main", "v1.0", "refs/heads/main", "refs/tags/v1.0", head):
        assert store.resolve(REPO, name) == head
    assert store.resolve(REPO, "dev/é") == new
    assert store.refs(REPO).heads == {"dev/é": new, "main": head}
    assert store.refs(REPO).tags == {"v1.0": head}
    store.untag(REPO, "v1.0")
    store.unbranch(REPO, "dev/é")
    for name in ("v1.0", "dev/é", "refs/tags/main", head[:7], "0" * 40, "refs/heads/../tags"):
        with pytest.raises(RevisionNotFound, match="lab/student has no revision"):
            store.resolve(REPO, name)


@pytest.mark.parametrize("call", ["tag", "branch"])
def test_a_name_is_given_once_and_only_to_what_is_there(store: Store, call: str) -> None:
    give: Callable[[str, str, str], None] = getattr(store, call)
    give(REPO, "v1", "main")
    with pytest.raises(Exists, match="has 'v1' already"):
        give(REPO, "v1", "main")
    with pytest.raises(RevisionNotFound):
        give(REPO, "v2", "none")
    getattr(store, f"un{call}")(REPO, "v1")
    with pytest.raises(RevisionNotFound, match="has no 'v1'"):
        getattr(store, f"un{call}")(REPO, "v1")
    with pytest.raises(StoreError, match="main cannot be deleted"):
        store.unbranch(REPO, "main")


@pytest.mark.parametrize(
    "name",
    ["", "..", "../../x", "a/../b", "/a", "a/", "a b", "a\0", "a\n", "-a", "a.lock", ".a", "a@{1}",
     "HEAD", "refs/heads/x", "0" * 40, "F" * 40, "x" * 201, "é" * 34, "a:b", "\ud800", "a\\b"],
    ids=lambda name: ascii(name)[:20],
)  # fmt: skip
def test_a_hostile_branch_or_tag_is_one_clear_error(store: Store, name: str) -> None:
    blob = store.add([b"1"])[0]
    for create in (store.tag, store.branch):
        with pytest.raises(StoreError, match="cannot be the name") as caught:
            create(REPO, name, "main")
        assert one_line(caught.value)
    for use in (store.untag, store.unbranch, store.resolve, store.read):
        with pytest.raises(RevisionNotFound) as missing:
            use(REPO, name)
        assert one_line(missing.value)
    with pytest.raises(RevisionNotFound):
        store.commit(REPO, name, [Add("a", blob)], title="x")
