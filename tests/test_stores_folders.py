"""The directory store: git's own ids, and all or nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from zoo.errors import NotFound, StoreError
from zoo.stores import folders
from zoo.stores.folders import Folders, tree_id


def made(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_what_is_put_is_found(tmp_path: Path) -> None:
    store = Folders(tmp_path / "store")
    revision = store.put("toy", made(tmp_path / "new", a="1", b="22"))
    assert store.names() == ["toy"]
    assert store.has("toy", revision)
    assert not store.has("toy", "0" * 40)
    assert not store.has("other")
    assert store.path("toy", "b").read_text() == "22"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_revision_is_the_one_that_git_gives(tmp_path: Path) -> None:
    names = {
        "model.onnx": "x" * 1000,
        "README.md": "é\n",
        "a-b": "",
        "a.b": "1",
        "a": "2",
        "B": "3",
    }
    folder = made(tmp_path / "repo" / "toy", **names)

    def git(*words: str) -> str:
        told = subprocess.run(
            ["git", *words], cwd=tmp_path / "repo", capture_output=True, text=True, check=True
        )
        return told.stdout.strip()

    git("init", "-q")
    git("-c", "core.autocrlf=false", "add", ".")
    tree = git("write-tree")
    assert tree_id(folder) == git("rev-parse", f"{tree}:toy")


def test_a_second_put_replaces_every_file(tmp_path: Path) -> None:
    store = Folders(tmp_path / "store")
    first = store.put("toy", made(tmp_path / "one", a="1", b="2"))
    second = store.put("toy", made(tmp_path / "two", a="3"))
    assert first != second
    assert [path.name for path in store.folder("toy").iterdir()] == ["a"]
    assert [p.name for p in store.root.iterdir() if p.suffix != ".lock"] == ["toy"]


def test_a_put_that_fails_leaves_the_old_files(tmp_path: Path) -> None:
    store = Folders(tmp_path / "store")
    before = store.put("toy", made(tmp_path / "one", a="1"))
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "a").symlink_to("/etc/hostname")
    with pytest.raises(StoreError, match="only plain files"):
        store.put("toy", tmp_path / "two")
    assert store.revision("toy") == before


def test_a_put_that_was_killed_between_its_renames_is_taken_up(tmp_path: Path) -> None:
    store = Folders(tmp_path / "store")
    before = store.put("toy", made(tmp_path / "one", a="1"))
    (store.root / "toy").rename(store.root / ".toy.old")
    made(store.root / ".toy.new", a="half")
    assert store.revision("toy") == before
    after = store.put("toy", made(tmp_path / "two", a="2"))
    assert store.revision("toy") == after
    assert sorted(p.name for p in store.root.iterdir()) == [".toy.lock", "toy"]


@pytest.mark.parametrize("name", ["../toy", "/toy", "", ".toy", "a/b", "a\nb"])
def test_a_name_that_is_a_path_is_refused(name: str, tmp_path: Path) -> None:
    store = Folders(tmp_path)
    with pytest.raises(StoreError, match="must be letters"):
        store.folder(name)
    with pytest.raises(StoreError, match="must be letters"):
        store.put(name, tmp_path)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    store = Folders(tmp_path / "store")
    assert store.names() == []
    store.put("toy-net", made(tmp_path / "one", a="1"))
    with pytest.raises(NotFound, match='holds no "toy-ne"') as caught:
        store.folder("toy-ne")
    assert "toy-net" in caught.value.hint
    with pytest.raises(NotFound, match="holds no b"):
        store.path("toy-net", "b")
    with pytest.raises(StoreError, match="not a plain file name"):
        store.path("toy-net", "../a")


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="no files"):
        Folders(tmp_path / "store").put("toy", tmp_path / "empty")
    with pytest.raises(NotFound, match="no such folder"):
        Folders(tmp_path / "store").put("toy", tmp_path / "none")


def test_a_store_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="Not a directory") as caught:
        Folders(tmp_path / "file" / "store").put("toy", made(tmp_path / "one", a="1"))
    assert "such a folder" in caught.value.hint


def test_whether_a_student_is_there_is_answered_without_reading_its_files(tmp_path: Path) -> None:
    store = Folders(tmp_path / "store")
    store.put("toy", made(tmp_path / "one", a="1"))
    (store.folder("toy") / "link").symlink_to("a")  # reading it would be an error
    assert store.has("toy")


# --- the distribution of data alone --------------------------------------------------------------


def test_a_student_is_found_in_the_store_and_then_in_studentzoo_students(
    shelf: Any, students: Path
) -> None:
    name = shelf.entry.name
    assert [store.root for store in folders.here()] == [shelf.store.root, students]
    assert folders.holder(name).revision(name) == shelf.entry.revision
    shelf.store.put(name, students / name)
    assert folders.holder(name).root == shelf.store.root
    assert folders.holder("other").root == shelf.store.root


def test_what_python_keeps_beside_the_students_is_none(students: Path) -> None:
    (students / "__pycache__").mkdir()
    assert Folders(students).names() == ["colours-tiny.test"]
