"""A directory as a hub: blobs by sha256, commits with git's ids, branches and tags.

    root/blobs/<aa>/<sha256>                  the bytes of files, shared by all repositories
    root/incoming/                            what is not whole yet, or on its way out
    root/repos/<org>/<name>/repo.json         when it was made, and whether it is private
    root/repos/<org>/<name>/commits/<id>.json never changes
    root/repos/<org>/<name>/refs/heads/<name> a commit id and a newline; so refs/tags
    root/.lock                                held by whoever moves a ref or removes something

Every change becomes visible by one rename, after all that it stands on is on the disk: a crash
leaves the old state or the new. Many processes may work on one root; reading takes no lock.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import (
    Conflict,
    Damaged,
    Exists,
    NotFound,
    RevisionNotFound,
    StoreError,
    disk,
    require,
)
from zoo.files import make_private, sync_folder
from zoo.records.names import check_ref, check_repo, check_stored_repo, quoted
from zoo.stores import git, layout, rules, upkeep
from zoo.stores.blobs import Blobs, blob_id_of, move
from zoo.stores.git import Add, Change, Commit, File, Refs, is_lfs, pointer
from zoo.stores.upkeep import Collected

LOCK_SECONDS = 120.0  # longer than any one change takes; then somebody is told
MAIN = "main"


class Store(Blobs):
    """Repositories "org/name" over one heap of blobs. A commit is all or nothing."""

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        self._read = functools.lru_cache(maxsize=8)(lambda path, written: layout.read_commit(path))

    # --- repositories ---

    def repos(self) -> list[str]:
        """Ids of all repositories, sorted."""
        folders = upkeep.repositories(self.root)
        return [f"{folder.parent.name}/{folder.name}" for folder in folders]

    def create(self, repo: str, *, private: bool = False) -> None:
        """Make a repository whose branch main holds a first commit with .gitattributes. Exists."""
        require(check_repo, repo, StoreError)
        with self._locked():  # so that no collection comes between the blob and its commit
            rules.check_free(repo, self.repos())
            sha256, _, _ = self.add([git.attributes()])
            file = self._file(Add(".gitattributes", sha256))
            first = git.new_commit({file.path: file}, (), "initial commit", "", "anonymous")
            self._settle([sha256])
            self._make(repo, {"private": private}, first, {"heads": {MAIN: first.id}})

    def delete(self, repo: str) -> None:
        """Remove a repository; its blobs go with the next collection. NotFound."""
        with self._locked():
            folder = self._folder(repo)
            aside = self._part()
            folder.rename(aside)
            sync_folder(folder.parent)
            with contextlib.suppress(OSError):  # the organisation has other repositories
                folder.parent.rmdir()
        shutil.rmtree(aside, ignore_errors=True)  # what is left, a collection finds

    def private(self, repo: str) -> bool:
        """Whether only those with a token may read it. NotFound."""
        return bool(self._about(repo).get("private"))

    def created(self, repo: str) -> str:
        """When it was made: UTC, 2026-01-31T12:00:00.000Z. NotFound."""
        return str(self._about(repo).get("created", ""))

    def origin(self, repo: str) -> str:
        """The hub that it mirrors, as its base URL; "" for one that was made here. NotFound."""
        return str(self._about(repo).get("origin", ""))

    def shows(self, repo: str, private: bool) -> bool:
        """Whether it may be read: private ones where `private`, closed ones never. NotFound."""
        about = self._about(repo)
        return not about.get("closed") and (private or not about.get("private"))

    def set_private(self, repo: str, private: bool, *, closed: bool = False) -> None:
        """Who may read a repository; `closed`: nobody, for the hub that it mirrors says so."""
        with self._locked():
            old = self._about(repo)
            about = {**old, "private": private, "closed": closed}
            if not closed:
                del about["closed"]
            if about != old:
                self._put(self._folder(repo) / "repo.json", _json(about))

    def forget(self, repo: str, author: str) -> None:
        """Remove the imported commits of an author that no branch and no tag names. NotFound."""
        with self._locked():
            folder = self._folder(repo)
            refs = layout.read_refs(folder)
            for path in (folder / "commits").glob("*.json"):
                commit = self._commit(folder, path.stem)
                named = commit.id in {*refs.heads.values(), *refs.tags.values()}
                if commit.imported and commit.author == author and not named:
                    path.unlink()

    # --- reading ---

    def refs(self, repo: str) -> Refs:
        """All branches and tags, sorted by name. NotFound."""
        folder = self._folder(repo)
        with disk(self.root):
            return layout.read_refs(folder)

    def resolve(self, repo: str, revision: str) -> str:
        """The commit id of a branch, a tag, refs/heads/x, refs/tags/x or 40 hex digits.

        NotFound: no such repository. RevisionNotFound: no such revision in it.
        """
        folder = self._folder(repo)
        with disk(self.root):
            found = layout.resolve(folder, revision)
        if found is None:
            raise RevisionNotFound(f"{repo} has no revision {quoted(revision)}")
        return found

    def read(self, repo: str, revision: str) -> Commit:
        """A commit with all its files. NotFound, RevisionNotFound."""
        return self._commit(self._folder(repo), self.resolve(repo, revision))

    def log(self, repo: str, revision: str) -> Iterator[Commit]:
        """The commit and its first parents, newest first; a mirror may hold only the newest."""
        folder = self._folder(repo)
        commit = self.read(repo, revision)
        yield commit
        while commit.parents:
            parent = layout.commit_path(folder, commit.parents[0])
            if commit.imported and not parent.is_file():
                return
            commit = self._commit(folder, commit.parents[0])
            yield commit

    # --- writing ---

    def commit(
        self,
        repo: str,
        branch: str,
        changes: Sequence[Change],
        *,
        title: str,
        description: str = "",
        author: str = "anonymous",
        parent: str | None = None,
    ) -> Commit:
        """Make the changes, in their order, one commit at the head of `branch`.

        Changes that change nothing give the head itself. `parent` is what the head must be, by 5
        hex digits or more. Conflict: it is another. RevisionNotFound: no such branch.
        EntryNotFound: a deletion of what is not there. StoreError: a bad path or a missing blob.
        """
        rules.check_paths(changes)
        with self._locked():
            folder = self._folder(repo)
            head = self._head(folder, branch, parent)
            added = {change: self._file(change) for change in changes if isinstance(change, Add)}
            files = git.changed(head.files, changes, added)
            if files == head.files:
                return head
            if head.imported:
                self._check_blobs(files)
            made = git.new_commit(files, (head.id,), title, description, author)
            self._settle(file.sha256 for file in added.values())
            self._put(layout.commit_path(folder, made.id), git.to_json(made))
            self._put(layout.ref_path(folder, "heads", _branch(branch)), layout.line(made.id))
        return made

    def tag(self, repo: str, name: str, revision: str) -> None:
        """Give a commit a name that stays. Exists, RevisionNotFound."""
        self._name(repo, "tags", name, revision)

    def untag(self, repo: str, name: str) -> None:
        """Remove a tag. RevisionNotFound."""
        self._unname(repo, "tags", name)

    def branch(self, repo: str, name: str, revision: str = MAIN) -> None:
        """Start a branch at a commit. Exists, RevisionNotFound."""
        self._name(repo, "heads", name, revision)

    def unbranch(self, repo: str, name: str) -> None:
        """Remove a branch. RevisionNotFound; StoreError: main stays."""
        if name == MAIN:
            raise StoreError(f"the branch {MAIN} cannot be deleted")
        self._unname(repo, "heads", name)

    def adopt(
        self,
        repo: str,
        commit: Commit,
        *,
        heads: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        private: bool = False,
        origin: str = "",
    ) -> None:
        """Keep another hub's commit under its own id, and point branches and tags at commits here.

        The repository is made where it is missing, `private` and with that `origin`. Blobs may come
        later, by `add`; a file whose sha256 is not known yet has "", and may be adopted again when
        it is.
        """
        commit = dataclasses.replace(commit, imported=True, files=git.ordered(commit.files))
        require(git.check_commit, commit, StoreError)
        git.check_folders(commit.files)
        refs: layout.Names = {"heads": heads or {}, "tags": tags or {}}
        with self._locked():
            folder = self._place(repo)
            rules.check_names(folder, refs, commit.id)
            if not folder.is_dir():
                self._make(repo, {"private": private, "origin": origin}, commit, refs)
                return
            self._merge(folder, commit)
            for kind, name, id in layout.each(refs):
                self._put(layout.ref_path(folder, kind, name), layout.line(id))

    # --- upkeep ---

    def collect(self, *, older_than_s: float = 86400) -> Collected:
        """Remove what no branch and no tag reaches, where it is older than `older_than_s` seconds.

        StoreError: something that a ref names cannot be read; nothing is removed then.
        """
        with self._locked():
            return upkeep.collect(self.root, older_than_s)

    def fsck(self) -> list[str]:
        """What is damaged, a line each: every blob is hashed, every commit's id worked out."""
        with self._locked():
            problems = upkeep.check_repositories(self.root)
        with disk(self.root):
            return problems + upkeep.check_blobs(self.root)

    # --- inside ---

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone in moving refs and removing things, among all processes."""
        from filelock import FileLock, Timeout

        with disk(self.root):
            make_private(self.root)
            lock = FileLock(self.root / ".lock", thread_local=False)
            try:
                held = lock.acquire(timeout=LOCK_SECONDS, poll_interval=0.01)
            except Timeout:
                hint = "another process has held its lock for minutes"
                raise StoreError(f"{self.root} is busy", hint) from None
            with held:
                yield

    def _place(self, repo: str) -> Path:
        """Where a repository would be. StoreError: no name for one."""
        require(check_stored_repo, repo, StoreError)
        return self.root / "repos" / repo

    def _folder(self, repo: str) -> Path:
        with contextlib.suppress(StoreError):
            folder = self._place(repo)
            if (folder / "repo.json").is_file():
                return folder
        raise NotFound(f"no repository {quoted(repo)}")

    def _make(self, repo: str, about: dict[str, Any], commit: Commit, refs: layout.Names) -> None:
        """A whole repository, visible at once; the lock is held."""
        place = self._place(repo)
        if place.exists():
            raise Exists(f"{repo} exists already")
        part = self._part()
        try:
            self._put(part / "repo.json", _json({"created": git.now(), **about}))
            self._put(layout.commit_path(part, commit.id), git.to_json(commit))
            for kind, name, id in layout.each(refs):
                self._put(layout.ref_path(part, kind, name), layout.line(id))
            move(part, place)
            sync_folder(place.parent)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _about(self, repo: str) -> dict[str, Any]:
        path = self._folder(repo) / "repo.json"
        with disk(self.root):
            try:
                return dict(json.loads(path.read_bytes()))
            except (ValueError, TypeError):
                raise Damaged(f"{path}: damaged") from None

    def _commit(self, folder: Path, id: str) -> Commit:
        path = layout.commit_path(folder, id)
        with disk(self.root):
            written = path.stat().st_mtime_ns if path.is_file() else 0  # adopted again: read again
            return self._read(path, written)

    def _head(self, folder: Path, branch: str, parent: str | None) -> Commit:
        id = layout.find_ref(folder, "heads", _branch(branch))
        if id is None:
            raise RevisionNotFound(f"no branch {quoted(branch)}")
        if parent is not None and not (len(parent) >= 5 and id.startswith(parent.lower())):
            raise Conflict("A commit has happened since", "read the head again, then retry")
        return self._commit(folder, id)

    def _file(self, change: Add) -> File:
        """The row of a commit for a blob."""
        path = self.blob(change.sha256)
        with disk(self.root):
            size = path.stat().st_size
            lfs = is_lfs(change.path, size)
            oid = git.blob_id(pointer(change.sha256, size)) if lfs else blob_id_of(path)
        return File(change.path, size, change.sha256, oid, lfs)

    def _check_blobs(self, files: Mapping[str, File]) -> None:
        for file in files.values():
            if not self.has(file.sha256):
                raise StoreError(
                    f"the bytes of {quoted(file.path)} are not here", "send them first"
                )

    def _name(self, repo: str, kind: layout.Kind, name: str, revision: str) -> None:
        require(check_ref, name, StoreError)
        with self._locked():
            folder = self._folder(repo)
            path = layout.ref_path(folder, kind, name)
            if path.exists():
                raise Exists(f"{repo} has {quoted(name)} already")
            refs = layout.read_refs(folder)
            require(rules.apart({*refs.heads, *refs.tags}), name, Exists)
            self._put(path, layout.line(self.resolve(repo, revision)))

    def _unname(self, repo: str, kind: layout.Kind, name: str) -> None:
        with self._locked():
            folder = self._folder(repo)
            if layout.find_ref(folder, kind, name) is None:
                raise RevisionNotFound(f"{repo} has no {quoted(name)}")
            layout.ref_path(folder, kind, name).unlink()
            sync_folder(folder / "refs" / kind)

    def _merge(self, folder: Path, commit: Commit) -> None:
        """Keep an adopted commit, and what an earlier one knew; a commit made here stays."""
        path = layout.commit_path(folder, commit.id)
        if path.is_file():
            old = self._commit(folder, commit.id)
            if not old.imported:
                return
            commit = git.merged(old, commit)
            if commit == old:
                return
        self._put(path, git.to_json(commit))


def _branch(name: str) -> str:
    return name.removeprefix("refs/heads/")


def _json(about: dict[str, Any]) -> bytes:
    return json.dumps(about).encode() + b"\n"
