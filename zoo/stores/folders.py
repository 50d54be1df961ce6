"""Students as plain folders, `root/<name>/<file>`, that git, a browser and people read.

The revision of a student is the git tree id of its folder, so that
`git rev-parse HEAD:zoo/embedded/NAME` gives the same 40 digits as `Folders.revision(NAME)`.
One revision of a name is kept; the older ones are in the history of the repository around them.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from zoo.errors import NotFound, StoreError, disk, require
from zoo.files import PACKAGE, copy, expanded, sync_folder
from zoo.records import reader
from zoo.records.names import check_file_name, check_name
from zoo.stores import git


class Folders:
    """A directory of published students; `put` is all or nothing."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def names(self) -> list[str]:
        """Students in the store, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(p.name for p in self.root.iterdir() if p.is_dir() and p.name[0] not in "._")

    def folder(self, name: str) -> Path:
        """Where a student's files are."""
        require(check_name, name, StoreError)
        folder = self.root / name
        if folder.is_dir():
            return folder
        aside = self._aside(name)  # a put was killed between its two renames
        if aside.is_dir():
            return aside
        raise NotFound(f'{self.root} holds no "{name}"', reader.near(name, self.names()))

    def revision(self, name: str) -> str:
        """Git tree id (40 hex digits) of a student's folder."""
        return tree_id(self.folder(name))

    def has(self, name: str, revision: str | None = None) -> bool:
        """Whether a student is here, in that very revision where one is given."""
        try:
            folder = self.folder(name)
        except NotFound:
            return False
        return revision is None or revision == tree_id(folder)

    def path(self, name: str, file: str) -> Path:
        """Where one file of a student is."""
        require(check_file_name, file, StoreError)
        path = self.folder(name) / file
        if not path.is_file():
            raise NotFound(f"{path.parent} holds no {file}")
        return path

    def put(self, name: str, files: str | Path) -> str:
        """Make the student `name` consist of the files in the folder `files`; returns its revision.

        The copy grows beside the old folder and takes its place by a rename; what is killed before
        leaves the old one as it was.
        """
        from filelock import FileLock

        require(check_name, name, StoreError)
        sources = plain_files(Path(files))
        with disk(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            with FileLock(self.root / f".{name}.lock"):
                self._put(name, sources)
        return self.revision(name)

    def _put(self, name: str, sources: list[Path]) -> None:
        target, aside = self.root / name, self._aside(name)
        fresh = self.root / f".{name}.new"
        if aside.exists() and not target.exists():
            aside.rename(target)
        for leftover in (fresh, aside):
            shutil.rmtree(leftover, ignore_errors=True)
        try:
            fresh.mkdir()
            for source in sources:
                copy(source, fresh / source.name)
            sync_folder(fresh)
            if target.exists():
                target.rename(aside)
            fresh.rename(target)
            sync_folder(self.root)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            if target.exists():
                shutil.rmtree(aside, ignore_errors=True)

    def _aside(self, name: str) -> Path:
        return self.root / f".{name}.old"


def default() -> Folders:
    """$ZOO_STORE, else the store that comes with the package."""
    chosen = os.environ.get("ZOO_STORE")
    return Folders(expanded(chosen) if chosen else PACKAGE / "embedded")


def here() -> list[Folders]:
    """Where students are read on this machine: `default()`, then what `studentzoo-students` brings.

    The wheel has a few of the students, that other distribution all of them (zoo/embedded).
    """
    spec = importlib.util.find_spec("studentzoo_students")
    return [default(), *map(Folders, (spec and spec.submodule_search_locations) or ())]


def holder(name: str) -> Folders:
    """The first store `here` that has a student; `default()` where none has."""
    return next((store for store in here() if store.has(name)), default())


def plain_files(folder: Path) -> list[Path]:
    """The files of a flat folder by name; a link or a folder in it is an error."""
    if not folder.is_dir():
        raise NotFound(f"{folder}: no such folder")
    paths = sorted(folder.iterdir())
    for path in paths:
        if path.is_symlink() or not path.is_file():
            raise StoreError(f"{path}: only plain files can be published")
        require(check_file_name, path.name, StoreError)
    if not paths:
        raise StoreError(f"{folder}: no files to publish")
    return paths


def tree_id(folder: Path) -> str:
    """Git's id of a flat folder of plain files (mode 100644), in hex."""
    return git.tree_of({path.name: git.blob_id(path.read_bytes()) for path in plain_files(folder)})
