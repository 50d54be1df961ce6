"""What a store removes, what it never removes, and how it finds damage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import zoo
from zoo.errors import RevisionNotFound, StoreError
from zoo.stores import upkeep
from zoo.stores.git import Add, Commit, Delete, File
from zoo.stores.store import Collected, Store

REPO = "lab/student"
DAY_S = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "root")
    made.create(REPO)
    return made


def put(store: Store, path: str, text: str, branch: str = "main") -> Commit:
    blob = store.add([text.encode()])[0]
    return store.commit(REPO, branch, [Add(path, blob)], title=f"{path} is {text}")


def age(root: Path, seconds: float = 2 * DAY_S) -> None:
    """Make everything below look older."""
    for path in root.rglob("*"):
        os.utime(path, (time.time() - seconds,) * 2)


def zoo_store(*words: object) -> subprocess.CompletedProcess[str]:
    root = Path(zoo.__file__).parent.parent
    return subprocess.run(
        [sys.executable, "-m", "zoo", "store", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(root), "NO_COLOR": "1"},
    )


# --- collect -------------------------------------------------------------------------------------


def test_a_repository_that_is_made_while_all_is_collected_is_whole(tmp_path: Path) -> None:
    root, done = tmp_path / "root", threading.Event()

    def collect() -> None:
        while not done.is_set():
            Store(root).collect(older_than_s=0)

    store = Store(root)
    with ThreadPoolExecutor(1) as pool:
        collecting = pool.submit(collect)
        try:
            for _ in range(20):
                store.create(REPO)
                assert store.fsck() == []
                store.delete(REPO)
        finally:
            done.set()
        collecting.result()


def test_old_versions_of_a_file_belong_to_the_history_and_stay(store: Store) -> None:
    first = put(store, "a", "old")
    put(store, "a", "new")
    store.commit(REPO, "main", [Delete("a")], title="gone")
    age(store.root)
    assert store.collect() == Collected(0, 0, 0)
    assert store.blob(store.read(REPO, first.id).files["a"].sha256).read_text() == "old"


def test_a_tag_keeps_what_its_branch_no_longer_does(store: Store) -> None:
    store.branch(REPO, "try")
    kept = put(store, "a", "kept", "try")
    store.tag(REPO, "v1", "try")
    lost = put(store, "a", "lost", "try")
    store.unbranch(REPO, "try")
    assert store.resolve(REPO, lost.id) == lost.id
    age(store.root)
    assert store.collect() == Collected(blobs=1, commits=1, size_bytes=4)
    assert store.read(REPO, "v1") == kept
    with pytest.raises(RevisionNotFound):
        store.read(REPO, lost.id)
    assert store.fsck() == []


def test_fresh_blobs_and_fresh_commits_stay_with_all_that_they_stand_on(store: Store) -> None:
    store.branch(REPO, "try")
    base = put(store, "a", "old", "try")
    age(store.root)
    fresh = put(store, "b", "new", "try")
    store.unbranch(REPO, "try")
    upload = store.add([b"a commit is about to come"])[0]
    assert store.collect() == Collected(0, 0, 0)
    assert store.has(upload)
    assert [c.id for c in store.log(REPO, fresh.id)][:2] == [fresh.id, base.id]


def test_an_old_blob_that_is_sent_again_is_fresh(store: Store) -> None:
    old, again, kept = (store.add([word])[0] for word in (b"old", b"again", b"kept"))
    age(store.root)
    store.add([b"again"])
    store.keep(kept)
    assert store.collect().blobs == 1
    assert [store.has(b) for b in (old, again, kept)] == [False, True, True]


class Renewed(type(Path())):  # type: ignore[misc]
    """A blob that somebody adds again just before it is moved."""

    def rename(self, target: Path) -> Path:
        os.utime(self)
        return Path(self).rename(target)


def test_an_old_blob_that_is_sent_again_while_it_is_collected_stays(store: Store) -> None:
    blob = store.add([b"again"])[0]
    age(store.root)
    assert list(upkeep.drop(Renewed(store.blob(blob)), time.time() - DAY_S)) == []
    assert store.has(blob)
    age(store.root)
    assert list(upkeep.drop(store.blob(blob), time.time() - DAY_S)) == [5]


def test_a_blob_shared_with_another_repository_stays(store: Store) -> None:
    put(store, "a", "shared")
    store.create("lab/other")
    blob = store.read(REPO, "main").files["a"].sha256
    store.commit("lab/other", "main", [Add("b", blob)], title="the same bytes")
    store.delete(REPO)
    age(store.root)
    assert store.collect(older_than_s=DAY_S).blobs == 0
    assert store.has(blob)


def test_leftovers_of_broken_uploads_go_and_nothing_that_is_not_ours(store: Store) -> None:
    incoming = store.root / "incoming"
    (incoming / ("a" * 32)).write_bytes(b"half")
    (incoming / ("b" * 32) / "commits").mkdir(parents=True)
    (incoming / "my thesis.txt").write_bytes(b"misplaced")
    (store.root / "blobs" / "my thesis.txt").write_bytes(b"misplaced")
    (store.root / "blobs" / "zz").mkdir()
    (store.root / "blobs" / "zz" / "my thesis.txt").write_bytes(b"misplaced")
    assert store.collect() == Collected(0, 0, 0)
    age(store.root)
    assert store.collect() == Collected(0, 0, 4)
    assert [p.name for p in incoming.iterdir()] == ["my thesis.txt"]
    assert len(list(store.root.rglob("my thesis.txt"))) == 3


@pytest.mark.parametrize("damage", ["ref", "commit", "parent"])
def test_nothing_is_removed_where_a_ref_cannot_be_followed(store: Store, damage: str) -> None:
    first = store.read(REPO, "main")
    head = put(store, "a", "1")
    folder = store.root / "repos" / REPO
    if damage == "ref":
        (folder / "refs" / "heads" / "main").write_text("half an id")
    elif damage == "commit":
        (folder / "commits" / f"{head.id}.json").write_text("{")
    else:
        (folder / "commits" / f"{first.id}.json").unlink()
    store.add([b"garbage"])
    age(store.root)
    before = sorted(store.root.rglob("*"))
    with pytest.raises((StoreError, RevisionNotFound)):
        Store(store.root).collect()
    assert sorted(store.root.rglob("*")) == before
    assert store.fsck() != []


# --- fsck ----------------------------------------------------------------------------------------


def test_fsck_names_every_kind_of_damage(store: Store) -> None:
    commit = put(store, "a", "right")
    put(store, "b", "other")
    assert store.fsck() == []
    files = commit.files
    store.blob(files["a"].sha256).write_text("wrong")
    store.blob(files[".gitattributes"].sha256).unlink()
    folder = store.root / "repos" / REPO
    (folder / "refs" / "tags").mkdir()
    (folder / "refs" / "tags" / "v1").write_text("0" * 40 + "\n")
    path = folder / "commits" / f"{commit.id}.json"
    path.write_text(path.read_text().replace("a is right", "a is left"))
    told = "\n".join(store.fsck())
    assert f"{files['a'].sha256}: its bytes have sha256" in told
    assert f"the bytes of .gitattributes are not here ({files['.gitattributes'].sha256})" in told
    assert f"refs/tags/v1 names the commit {'0' * 40}, which is not here" in told
    assert f"commit {commit.id}: what it holds has another id" in told


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"files":[[]]}', '{"files":{"a":1}}'])
def test_a_damaged_commit_is_one_clear_error(store: Store, text: str) -> None:
    head = store.resolve(REPO, "main")
    (store.root / "repos" / REPO / "commits" / f"{head}.json").write_text(text)
    with pytest.raises(StoreError, match=r"json: the commit is damaged"):
        store.read(REPO, "main")
    assert len(store.fsck()) == 1


def test_the_commands_tell_what_they_did(store: Store, tmp_path: Path) -> None:
    store.add([b"garbage"])
    assert json.loads(zoo_store("gc", "--root", store.root, "--json").stdout)["blobs"] == 0
    told = zoo_store("gc", "--root", store.root, "--older-than", "0")
    assert told.stdout.strip() == "removed 0 commits, 1 blobs, 7 bytes"
    told = zoo_store("fsck", "--root", store.root)
    assert (told.returncode, told.stdout) == (0, "")
    put(store, "a", "1")
    store.blob(store.read(REPO, "main").files["a"].sha256).write_text("2")
    told = zoo_store("fsck", "--root", store.root, "--json")
    assert told.returncode == 1
    assert len(json.loads(told.stdout)["problems"]) == 1
    told = zoo_store("fsck", "--root", tmp_path / "none")
    assert (told.returncode, told.stderr.count("\n")) == (1, 2)
    assert "holds no store" in told.stderr
    assert not (tmp_path / "none").exists()


# --- commits of another hub ----------------------------------------------------------------------


def foreign(path: str = "a", sha256: str = "", id: str = "1" * 40) -> Commit:
    """A commit as a mirror learns of it: git's id of a small file, not its sha256."""
    file = File(path, 1, sha256, "56a6051ca2b02b04ef92d5150c9ef600403cb1de", False)
    return Commit(
        id, ("2" * 40,), "", "somebody", "2026-01-31T12:00:00.000Z", "t", "", {path: file}
    )


def test_a_mirror_keeps_the_ids_and_learns_the_bytes_later(store: Store) -> None:
    theirs = foreign()
    store.adopt("up/stream", theirs, heads={"main": theirs.id}, origin="https://hub.example")
    assert store.origin("up/stream") == "https://hub.example"
    assert store.read("up/stream", "main") == replace(theirs, imported=True)
    assert [c.id for c in store.log("up/stream", "main")] == [theirs.id]
    blob = store.add([b"1"])[0]
    store.adopt("up/stream", foreign(sha256=blob), tags={"v1": theirs.id})
    store.adopt("up/stream", theirs)  # another server that knows less
    age(store.root)
    assert store.collect() == Collected(0, 0, 0)
    assert store.read("up/stream", "v1").files["a"].sha256 == blob
    assert store.fsck() == []


def test_a_commit_on_top_of_another_hub_s_needs_its_bytes(store: Store) -> None:
    theirs = foreign()
    store.adopt("up/stream", theirs, heads={"main": theirs.id})
    blob = store.add([b"1"])[0]
    with pytest.raises(StoreError, match="the bytes of 'a' are not here"):
        store.commit("up/stream", "main", [Add("b", blob)], title="ours")
    store.adopt("up/stream", foreign(sha256=blob))
    assert store.commit("up/stream", "main", [Add("b", blob)], title="ours").parents == (theirs.id,)
    assert store.fsck() == []


def test_what_is_made_here_is_not_overwritten_by_another_hub(store: Store) -> None:
    ours = put(store, "a", "1")
    store.adopt(REPO, foreign(id=ours.id), heads={"main": ours.id})
    assert store.read(REPO, "main") == ours


@pytest.mark.parametrize(
    "commit",
    [foreign(id="1" * 39), foreign(path="../a"), foreign(sha256="x"), foreign(path=".git/hooks")],
)
def test_a_hostile_upstream_gets_nothing_in(store: Store, commit: Commit) -> None:
    with pytest.raises(StoreError):
        store.adopt("up/stream", commit)
    theirs = foreign()
    for refs in ({"../x": theirs.id}, {"main": "3" * 40}, {"main": "../" * 13 + "x"}):
        with pytest.raises(StoreError):
            store.adopt("up/stream", theirs, heads=refs)
    assert "up/stream" not in store.repos()
