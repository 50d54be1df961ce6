"""The ids of a store are git's own: the same tree and the same lines, given to the real git."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import StoreError
from zoo.records.names import check_path, check_ref
from zoo.stores.git import blob_id, check_folders, from_json, to_json, tree_id
from zoo.stores.store import Add, Commit, File, Store, pointer

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


class Git:
    """A bare repository of the real git."""

    def __init__(self, folder: Path) -> None:
        self.env = {**os.environ, "GIT_DIR": str(folder), "GIT_CONFIG_GLOBAL": os.devnull}
        self("init", "-q", "--bare", str(folder))

    def __call__(self, *words: str, stdin: bytes = b"", **env: str) -> str:
        told = subprocess.run(
            ["git", *words],
            input=stdin,
            capture_output=True,
            check=True,
            env={**self.env, **env},
        )
        return told.stdout.decode().strip()

    def tree(self, oids: dict[str, str]) -> str:
        """Id of a tree of files by path; the blobs need not be there."""
        index = str(Path(self.env["GIT_DIR"]) / "an-index")
        Path(index).unlink(missing_ok=True)
        rows = b"".join(b"100644 %s\t%s\0" % (o.encode(), p.encode()) for p, o in oids.items())
        self("update-index", "-z", "--index-info", stdin=rows, GIT_INDEX_FILE=index)
        return self("write-tree", "--missing-ok", GIT_INDEX_FILE=index)

    def commit(self, commit: Commit) -> str:
        """Id of a commit with these parents and lines."""
        who = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", commit.author), ("EMAIL", ""), ("DATE", commit.date))
        }
        parents = [word for parent in commit.parents for word in ("-p", parent)]
        texts = [
            word for text in (commit.title, commit.description) if text for word in ("-m", text)
        ]
        return self("commit-tree", commit.tree, *parents, *texts, **who)


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Git:
    return Git(tmp_path_factory.mktemp("git"))


@needs_git
def test_every_id_of_a_history_is_the_one_that_git_gives(git: Git, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.create("lab/student")
    contents = {
        "foo/x": b"1",
        "foo-bar": b"2",
        "foo.txt": b"",
        "foo0": b"3",
        "ü/日本/z": "é\n".encode(),
        "model.onnx": b"weights" * 1000,
        "A": b"4",
    }
    changes = [Add(path, store.add([data])[0]) for path, data in contents.items()]
    store.commit("lab/student", "main", changes[:3], title="one", author="Zoë, of the lab")
    store.commit("lab/student", "main", changes[3:], title="two", description="why\n\nand how")
    for commit in reversed(list(store.log("lab/student", "main"))):
        for file in commit.files.values():
            data = store.blob(file.sha256).read_bytes()
            held = pointer(file.sha256, file.size) if file.lfs else data
            assert git("hash-object", "-w", "--stdin", stdin=held) == file.oid
        assert git.tree({path: file.oid for path, file in commit.files.items()}) == commit.tree
        assert git.commit(commit) == commit.id
    git("update-ref", "refs/heads/main", store.resolve("lab/student", "main"))
    git("fsck", "--strict")
    assert git("log", "--format=%an: %s", "main").splitlines() == [
        "anonymous: two",
        "Zoë, of the lab: one",
        "anonymous: initial commit",
    ]


names = st.text(
    st.one_of(st.sampled_from("ab-.0/"), st.characters(exclude_categories=["Cs"])), max_size=12
)


def accepted(rule: object, name: str) -> bool:
    try:
        rule(name)  # type: ignore[operator]
    except ValueError:
        return False
    return True


@needs_git
@given(st.sets(names.filter(lambda n: accepted(check_path, n)), min_size=1, max_size=12))
@settings(max_examples=30)
def test_any_tree_has_git_s_id(git: Git, paths: set[str]) -> None:
    try:
        check_folders(paths)
    except StoreError:
        return
    files = {p: File(p, 0, "0" * 64, blob_id(p.encode()), False) for p in paths}
    assert tree_id(files) == git.tree({p: f.oid for p, f in files.items()})


@needs_git
@given(names.filter(lambda n: accepted(check_ref, n)))
@settings(max_examples=30)
def test_git_takes_every_branch_name_that_we_take(git: Git, name: str) -> None:
    git("check-ref-format", "--branch", name)


texts = st.text(st.characters(exclude_categories=["Cs"]))
rows = st.builds(
    File,
    path=st.just(""),
    size=st.integers(0, 2**60),
    sha256=st.just("a" * 64),
    oid=st.just("b" * 40),
    lfs=st.booleans(),
)


@given(st.dictionaries(names.filter(lambda n: accepted(check_path, n)), rows), texts, texts)
def test_a_commit_comes_back_from_its_file(files: dict[str, File], title: str, author: str) -> None:
    held = {path: File(path, *list(vars(file).values())[1:]) for path, file in files.items()}
    commit = Commit(
        "c" * 40, ("d" * 40,), "e" * 40, author, "2026-01-31T12:00:00.000Z", title, "", held
    )
    assert from_json(commit.id, to_json(commit)) == commit
