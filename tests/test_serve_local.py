"""The students of a machine, offered by its hub at their pinned revisions."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from zoo.errors import ZooWarning
from zoo.records import entry as records_entry
from zoo.registry import local
from zoo.serve.local import adopt_students
from zoo.stores.folders import tree_id
from zoo.stores.store import Add, Store

hub = pytest.importorskip("huggingface_hub")
pytest.importorskip("uvicorn")

pytestmark = pytest.mark.hub


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "root")


def test_a_machine_next_door_pulls_the_pinned_revision(
    shelf: Any, store: Store, make_hub: Any, tmp_path: Path
) -> None:
    assert adopt_students(store) == [shelf.entry.name]
    url = make_hub(store.root).url
    for revision in ("main", shelf.entry.revision):
        folder = hub.snapshot_download(
            shelf.entry.repo,
            revision=revision,
            endpoint=url,
            cache_dir=tmp_path / "cache",
            token=False,
        )
        assert Path(folder).name == shelf.entry.revision
        assert tree_id_of(Path(folder)) == shelf.entry.revision
    assert store.fsck() == []


def tree_id_of(snapshot: Path) -> str:
    """Git's id of the files that a snapshot links to."""
    return tree_id(
        Path(shutil.copytree(snapshot, snapshot.with_suffix(".plain"), dirs_exist_ok=True))
    )


def test_zoo_serve_offers_them(shelf: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "zoo", "serve", "--root", str(tmp_path / "hub"), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            url = re.search(r"http://[\d.:]+", process.stderr.readline())
            assert url is not None
            assert "students of this machine that it offers: 1" in process.stderr.readline()
            api = hub.HfApi(endpoint=url[0], token=False)
            assert [model.id for model in api.list_models()] == [shelf.entry.repo]
        finally:
            process.terminate()


def test_files_hash_as_git_would_have_them(shelf: Any, store: Store) -> None:
    adopt_students(store)
    for name, file in store.read(shelf.entry.repo, "main").files.items():
        ref = shelf.entry.files[name]
        assert (file.sha256, file.size, file.path) == (ref.sha256, ref.size, name)
        assert file.lfs == name.endswith((".onnx", ".npz"))


def test_a_second_start_changes_nothing_and_reads_no_file(shelf: Any, store: Store) -> None:
    adopt_students(store)
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*")}
    shutil.rmtree(shelf.store.root)  # not even there
    assert adopt_students(store) == [shelf.entry.name]
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*")} == before


def test_a_student_that_is_not_its_row_is_left_out_with_a_warning(shelf: Any, store: Store) -> None:
    shelf.file("card.json").write_text("{}")
    with pytest.warns(ZooWarning, match=r"not offered: card\.json is not the file of its row"):
        assert adopt_students(store) == []
    assert store.repos() == []


def test_a_student_that_lacks_a_file_is_left_out_with_a_warning(shelf: Any, store: Store) -> None:
    shelf.file("card.json").unlink()
    with pytest.warns(ZooWarning, match="holds no card.json"):
        assert adopt_students(store) == []


def test_a_row_without_a_folder_is_no_student_of_this_machine(shelf: Any, store: Store) -> None:
    shutil.rmtree(shelf.store.root)
    assert adopt_students(store) == []


def test_a_student_of_the_second_distribution_is_one_of_this_machine(
    shelf: Any, students: Path, store: Store
) -> None:
    assert adopt_students(store) == [shelf.entry.name]


def test_a_registry_that_cannot_be_read_is_a_warning(shelf: Any, store: Store) -> None:
    shelf.registry.write_text("format: 1\nstudents: [")
    with pytest.warns(ZooWarning, match="no student of this machine is offered: .*registry.yaml"):
        assert adopt_students(store) == []


def test_main_follows_the_registry_and_the_older_revision_stays(shelf: Any, store: Store) -> None:
    adopt_students(store)
    newer = rebuilt(shelf)
    adopt_students(store)
    assert store.resolve(newer.repo, "main") == newer.revision
    assert store.read(newer.repo, shelf.entry.revision).id == shelf.entry.revision


def rebuilt(shelf: Any) -> records_entry.Entry:
    """The same student with another card, published to the folders and the registry."""
    from zoo.files import sha256

    folder = Path(shutil.copytree(shelf.store.folder(shelf.entry.name), shelf.root / "newer"))
    (folder / "card.json").write_text("{}\n")
    revision = shelf.store.put(shelf.entry.name, folder)
    card = records_entry.FileRef(sha256(folder / "card.json"), 3)
    files = {**shelf.entry.files, "card.json": card}
    entry = dataclasses.replace(shelf.entry, revision=revision, files=files)
    local.write([entry], shelf.registry)
    return entry


def test_what_was_published_here_stays(shelf: Any, store: Store) -> None:
    repo = shelf.entry.repo
    store.create(repo)
    head = store.commit(repo, "main", [Add("a.txt", store.add([b"1"])[0])], title="ours")
    assert adopt_students(store) == [shelf.entry.name]
    assert store.resolve(repo, "main") == head.id
    assert store.read(repo, shelf.entry.revision).files.keys() == shelf.entry.files.keys()


def test_a_student_can_be_published_on_top_of_it(shelf: Any, store: Store) -> None:
    adopt_students(store)
    repo = shelf.entry.repo
    head = store.commit(repo, "main", [Add("a.txt", store.add([b"1"])[0])], title="ours")
    assert head.parents == (shelf.entry.revision,)
    adopt_students(store)
    assert store.resolve(repo, "main") == head.id


def test_a_mirror_keeps_its_branches(shelf: Any, store: Store) -> None:
    repo, other = shelf.entry.repo, "1" * 40
    adopt_students(store)
    pinned = store.read(repo, "main")
    store.delete(repo)
    upstream = dataclasses.replace(pinned, id=other)
    store.adopt(repo, upstream, heads={"main": other}, origin="http://hub.example.org")
    adopt_students(store)
    assert store.resolve(repo, "main") == other
    assert store.read(repo, shelf.entry.revision).files == pinned.files
