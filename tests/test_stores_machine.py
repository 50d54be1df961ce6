"""Any order of calls, against a model of dicts: repositories, branches, tags, collections."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from zoo.errors import (
    Conflict,
    EntryNotFound,
    Exists,
    NotFound,
    RevisionNotFound,
    StoreError,
    ZooError,
)
from zoo.stores.git import Add, Change, Commit, Delete, DeleteFolder, File
from zoo.stores.store import Store

Files = dict[str, bytes]  # path -> content; without .gitattributes

repos = st.sampled_from(["lab/a", "other/a"])
branches = st.sampled_from(["main", "dev/ü"])
tags = st.sampled_from(["v1", "main"])
paths = st.sampled_from(["a", "a/b", "a/c", "b", "b.onnx", "d/e/f"])
contents = st.sampled_from([b"", b"1", b"22", b"333", b"x" * 5000])
changes = st.lists(
    st.one_of(
        st.builds(lambda path, data: ("add", path, data), paths, contents),
        st.builds(lambda path: ("delete", path, b""), paths),
        st.builds(lambda path: ("folder", path, b""), st.sampled_from(["a", "d", "d/e", "b"])),
    ),
    max_size=4,
)


@dataclass
class Model:
    """What a repository should be."""

    heads: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    commits: dict[str, tuple[str, Files]] = field(default_factory=dict)  # id -> parent, files

    def history(self, id: str) -> list[str]:
        return [id, *self.history(self.commits[id][0])] if id in self.commits else []

    def reached(self) -> set[str]:
        return {
            id
            for ref in (self.heads, self.tags)
            for end in ref.values()
            for id in self.history(end)
        }


def expected(files: Files, wanted: list[tuple[str, str, bytes]]) -> Files | type[ZooError]:
    """The files after the changes, or the error."""
    after = dict(files)
    for kind, path, data in wanted:
        gone = [p for p in after if p == path or (kind == "folder" and p.startswith(path + "/"))]
        if kind == "add":
            after[path] = data
        elif (kind == "folder") != any(p != path for p in gone) or not gone:
            return EntryNotFound
        else:
            for p in gone:
                if kind == "delete" or p != path:
                    del after[p]
    clash = any(other.startswith(path + "/") for path in after for other in after)
    return StoreError if clash else after


class Machine(RuleBasedStateMachine):
    """The same calls on a store and on the model; no commit may have a `pending` blob yet."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.store = Store(self.root)
        self.model: dict[str, Model] = {}
        self.pending: set[str] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    def refused(self, repo: str) -> type[ZooError] | None:
        return None if repo in self.model else NotFound

    # --- repositories ---

    @initialize()
    def first(self) -> None:
        self.create("lab/a")
        self.create("other/a")

    @rule(repo=repos)
    def create(self, repo: str) -> None:
        if repo in self.model:
            with pytest.raises(Exists):
                self.store.create(repo)
            return
        self.store.create(repo)
        id = self.store.resolve(repo, "main")
        self.model[repo] = Model({"main": id}, {}, {id: ("", {})})

    @rule(repo=repos)
    def delete(self, repo: str) -> None:
        if repo not in self.model:
            with pytest.raises(NotFound):
                self.store.delete(repo)
            return
        self.store.delete(repo)
        del self.model[repo]

    # --- commits ---

    @rule(repo=repos, branch=branches, data=contents)
    def grow(self, repo: str, branch: str, data: bytes) -> None:
        self.commit(repo, branch, [("add", "b.onnx", data)], stale=False)

    @rule(repo=repos, branch=branches, wanted=changes, stale=st.sampled_from([False] * 4 + [True]))
    def commit(
        self, repo: str, branch: str, wanted: list[tuple[str, str, bytes]], stale: bool
    ) -> None:
        made = [self.change(one) for one in wanted]
        model = self.model.get(repo, Model())
        head = model.heads.get(branch)
        error, after = self.outcome(repo, head, wanted, stale)
        parent = "f" * 40 if stale else head
        if error:
            with pytest.raises(error):
                self.store.commit(repo, branch, made, title="t", parent=parent)
            return
        assert head is not None
        commit = self.store.commit(repo, branch, made, title="t", parent=parent)
        assert (commit.id == head) == (after == model.commits[head][1])
        model.commits.setdefault(commit.id, (head, after))
        model.heads[branch] = commit.id

    def outcome(
        self, repo: str, head: str | None, wanted: list[tuple[str, str, bytes]], stale: bool
    ) -> tuple[type[ZooError] | None, Files]:
        if repo not in self.model or head is None:
            return (NotFound if repo not in self.model else RevisionNotFound), {}
        if stale:
            return Conflict, {}
        after = expected(self.model[repo].commits[head][1], wanted)
        return (None, after) if isinstance(after, dict) else (after, {})

    def change(self, wanted: tuple[str, str, bytes]) -> Change:
        kind, path, data = wanted
        if kind == "add":
            sha256, _, _ = self.store.add([data], size=len(data))
            self.pending.add(sha256)
            return Add(path, sha256)
        return Delete(path) if kind == "delete" else DeleteFolder(path)

    @rule(data=contents)
    def upload(self, data: bytes) -> None:
        self.pending.add(self.store.add([data])[0])

    @rule(repo=repos, known=st.booleans())
    def mirror(self, repo: str, known: bool) -> None:
        """Another hub's commit comes under its own id, with its bytes or without."""
        sha256 = self.store.add([b"upstream"])[0] if known else ""
        self.pending |= {sha256} - {""}
        file = File("up", 8, sha256, "d" * 40, False)
        date = "2026-01-31T12:00:00.000Z"
        commit = Commit("1" * 40, (), "", "a", date, "t", "", {"up": file})
        self.store.adopt(repo, commit, tags={"up": commit.id})
        model = self.model.setdefault(repo, Model())
        model.tags["up"] = commit.id
        had = model.commits.get(commit.id, ("", {}))[1]
        model.commits[commit.id] = ("", {"up": b"upstream"} if known or had else {})

    # --- refs ---

    @rule(repo=repos, name=tags, at=branches, kind=st.sampled_from(["tag", "branch"]))
    def name(self, repo: str, name: str, at: str, kind: str) -> None:
        model = self.model.get(repo, Model())
        refs = model.tags if kind == "tag" else model.heads
        id = model.heads.get(at, model.tags.get(at))
        error = self.refused(repo) or (Exists if name in refs else None)
        error = error or (RevisionNotFound if id is None else None)
        if error:
            with pytest.raises(error):
                getattr(self.store, kind)(repo, name, at)
        else:
            getattr(self.store, kind)(repo, name, at)
            refs[name] = str(id)

    @rule(repo=repos, name=st.one_of(tags, branches), kind=st.sampled_from(["untag", "unbranch"]))
    def unname(self, repo: str, name: str, kind: str) -> None:
        model = self.model.get(repo, Model())
        refs = model.tags if kind == "untag" else model.heads
        error: type[ZooError] | None = None if name in refs else NotFound
        if kind == "unbranch" and name == "main":
            error = StoreError
        if error:
            with pytest.raises(error):
                getattr(self.store, kind)(repo, name)
        else:
            getattr(self.store, kind)(repo, name)
            del refs[name]

    # --- upkeep ---

    @rule()
    def reopen(self) -> None:
        self.store = Store(self.root)

    @rule()
    def collect_what_is_old(self) -> None:
        before = sorted(self.root.rglob("*"))
        gone = self.store.collect(older_than_s=3600)
        assert (gone.blobs, gone.commits) == (0, 0)
        assert {p for p in before if "incoming" not in p.parts} <= set(self.root.rglob("*"))
        assert all(map(self.store.has, self.pending))

    @precondition(lambda self: self.model)
    @rule()
    def collect_everything(self) -> None:
        self.store.collect(older_than_s=-1)
        reached = 0
        for repo, model in self.model.items():
            kept = model.reached()
            for id in model.commits.keys() - kept:
                with pytest.raises(RevisionNotFound):
                    self.store.read(repo, id)
                del model.commits[id]
            reached += len(kept)
        assert len(list(self.root.glob("repos/*/*/commits/*"))) == reached
        assert list((self.root / "incoming").iterdir()) == []
        self.pending = {b for b in self.pending if self.store.has(b)}

    # --- what always holds ---

    @invariant()
    def the_store_is_the_model(self) -> None:
        assert self.store.repos() == sorted(self.model)
        for repo, model in self.model.items():
            refs = self.store.refs(repo)
            assert (refs.heads, refs.tags) == (model.heads, model.tags)
            for name, id in model.heads.items():
                assert [c.id for c in self.store.log(repo, f"refs/heads/{name}")] == model.history(
                    id
                )
            for id, (_, files) in model.commits.items():
                assert self.held(repo, id) == files

    def held(self, repo: str, id: str) -> Files:
        found = self.store.read(repo, id).files.values()
        files = [f for f in found if f.sha256 and f.path != ".gitattributes"]
        return {f.path: self.store.blob(f.sha256).read_bytes() for f in files}

    @invariant()
    def there_is_no_damage(self) -> None:
        assert self.store.fsck() == []


TestStore = Machine.TestCase
TestStore.settings = settings(max_examples=40, stateful_step_count=30)
