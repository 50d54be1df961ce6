"""Where bytes may come from, and in which order they are asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

import zoo
from zoo import cli
from zoo.errors import NotFound, PullError, StoreError
from zoo.fetch import bundle, sources
from zoo.fetch.fetch import fetch
from zoo.registry import local
from zoo.stores import folders
from zoo.stores.store import Add, Store

if TYPE_CHECKING:
    from conftest import Shelf

TINY = "colours-tiny.test"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("ZOO_MIRRORS", raising=False)


@pytest.fixture
def elsewhere(shelf: Shelf, tmp_path: Path) -> Path:
    """The folders of students have moved to another place."""
    return Path(shutil.move(shelf.store.root, tmp_path / "elsewhere"))


def stored(shelf: Shelf, folder: Path, root: Path) -> Path:
    """The student's files in the root of a hub, whatever they are called there."""
    store = Store(root)
    for path in folder.iterdir():
        store.add([path.read_bytes()])
    store.create("lab/other")
    return root


def whole(shelf: Shelf, folder: Path) -> bool:
    return all(
        (folder / name).stat().st_size == ref.size for name, ref in shelf.entry.files.items()
    )


# --- kinds ---------------------------------------------------------------------------------------


def test_a_folder_of_students_is_a_source(shelf: Shelf, elsewhere: Path) -> None:
    assert whole(shelf, zoo.pull(TINY, sources=[elsewhere]))


def test_the_folder_of_one_student_is_a_source(shelf: Shelf, elsewhere: Path) -> None:
    assert whole(shelf, zoo.pull(TINY, sources=[str(elsewhere / TINY)]))


def test_the_root_of_a_hub_is_a_source(shelf: Shelf, elsewhere: Path, tmp_path: Path) -> None:
    root = stored(shelf, elsewhere / TINY, tmp_path / "root")
    assert isinstance(sources.source(root), sources.StoreRoot)
    assert whole(shelf, zoo.pull(TINY, sources=[root]))


def test_the_root_of_a_hub_that_lacks_a_file_says_so(
    shelf: Shelf, elsewhere: Path, tmp_path: Path
) -> None:
    Store(tmp_path / "root").create("lab/other")
    with pytest.raises(PullError, match=r"root holds no .* with the registry's sha256"):
        zoo.pull(TINY, sources=[tmp_path / "root"])


def test_a_bundle_is_a_source(shelf: Shelf, tmp_path: Path) -> None:
    bundle.write(tmp_path / "x.tar", [(shelf.entry, shelf.store.folder(TINY))])
    shutil.rmtree(shelf.store.root)
    assert whole(shelf, zoo.pull(TINY, sources=[tmp_path / "x.tar"]))


def test_a_live_hub_is_a_source(
    shelf: Shelf, elsewhere: Path, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    store = Store(hub.root)
    store.create(shelf.entry.repo)
    changes = [
        Add(path.name, store.add([path.read_bytes()])[0]) for path in (elsewhere / TINY).iterdir()
    ]
    commit = store.commit(shelf.entry.repo, "main", changes, title="all")
    entry = replace(shelf.entry, revision=commit.id, endpoint=hub.url)
    assert whole(shelf, fetch(entry, cache=shelf.cache))
    mirrored = replace(entry, endpoint="")
    url = hub.url
    assert whole(shelf, fetch(mirrored, sources=[url + "/"], cache=shelf.root / "other"))


# --- what is no source ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where", ["ftp://host/x", "file:///tmp", "http://", "https://a b", "http://h:x"]
)
def test_an_address_that_is_no_hub_is_one_error(where: str) -> None:
    with pytest.raises(PullError):
        sources.source(where)


def test_a_path_that_is_not_there_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such folder or bundle"):
        sources.source(tmp_path / "none")


def test_the_name_of_no_place_is_not_the_folder_one_stands_in() -> None:
    with pytest.raises(PullError, match="is empty"):
        sources.source("")


def test_a_file_that_is_no_bundle_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"PK\x03\x04" * 1000)
    with pytest.raises(StoreError, match="is not a bundle"):
        sources.source(tmp_path / "x.tar")


# --- order ---------------------------------------------------------------------------------------


def test_sources_are_asked_in_their_order(
    shelf: Shelf, students: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_MIRRORS", f"http://one:1,{tmp_path / 'gone'}  http://two:2/")
    monkeypatch.setenv("HF_ENDPOINT", "http://own:3")
    labels = [one.label for one in sources.in_order(shelf.entry, [str(tmp_path), "http://from:4"])]
    first = [str(shelf.store.root), str(students), str(tmp_path), "http://from:4"]
    assert labels == [
        *first,
        "http://one:1",
        f"{tmp_path / 'gone'}",
        "http://two:2",
        "http://own:3",
    ]


def test_a_mirror_that_is_not_plugged_in_is_no_error(
    shelf: Shelf, elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_MIRRORS", f"{tmp_path / 'stick'},{elsewhere}")
    assert whole(shelf, zoo.pull(TINY))


def test_a_broken_folder_is_passed_over(shelf: Shelf, tmp_path: Path) -> None:
    good = shutil.copytree(shelf.store.root, tmp_path / "good")
    for path in shelf.store.folder(TINY).iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert whole(shelf, zoo.pull(TINY, sources=[good]))


def test_a_student_of_the_second_distribution_asks_no_network(
    shelf: Shelf, students: Path, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_MIRRORS", site.url)
    assert whole(shelf, zoo.pull(TINY))
    assert site.asked == []


def test_a_second_distribution_of_another_release_is_passed_over(
    shelf: Shelf, students: Path, tmp_path: Path
) -> None:
    good = shutil.copytree(students, tmp_path / "good")
    (students / TINY / "card.json").write_text("{}")
    assert whole(shelf, zoo.pull(TINY, sources=[good]))


def test_a_student_that_the_wheel_lists_and_lacks_is_hinted_to_be_in_the_second_distribution(
    shelf: Shelf, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hint() -> str:
        with pytest.raises(PullError) as caught:
            zoo.pull(TINY)
        return caught.value.hint

    if len(folders.here()) > 1:
        pytest.skip("studentzoo-students is installed")
    assert "studentzoo[students]" not in hint()  # a registry of somebody else's
    monkeypatch.setattr(local, "WHEEL", shelf.registry)
    assert hint().startswith("pip install 'studentzoo[students]' brings it; or ")
    elsewhere.rename(elsewhere.with_name("students"))
    (package := elsewhere / "studentzoo_students").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(elsewhere)  # it is installed, and lacks the student as well
    assert "studentzoo[students]" not in hint()


# --- the command ---------------------------------------------------------------------------------


def shell(*words: object) -> Any:
    return CliRunner().invoke(cli.app, [str(word) for word in words])


def test_many_names_are_pulled_at_once_and_each_folder_is_printed(
    shelf: Shelf, elsewhere: Path, tmp_path: Path
) -> None:
    second = replace(shelf.entry, name="other.test", repo="lab/other.test")
    local.write([shelf.entry, second], shelf.registry)
    shutil.copytree(elsewhere / TINY, elsewhere / "other.test")
    for words in ([TINY, "other.test", TINY], ["--all"]):
        done = shell("pull", *words, "--from", elsewhere, "--cache", tmp_path / words[0])
        assert [Path(line).parents[1].name for line in done.stdout.split()] == [
            f"models--studentzoo--{TINY}",
            "models--lab--other.test",
        ]


def test_one_that_fails_does_not_stop_the_others(shelf: Shelf) -> None:
    local.write([replace(shelf.entry, name="a.test"), shelf.entry], shelf.registry)
    done = shell("pull", "--all")
    assert len(done.stdout.split()) == 1
    assert "a.test: error: a.test: card.json came from nowhere" in done.stderr
    assert "a.test: hint: unset HF_HUB_OFFLINE" in done.stderr
    assert "; or name another folder" in done.stderr
    assert str(done.exception) == "1 of 2 students did not arrive"


def test_a_name_or_all_must_be_given_and_not_both(shelf: Shelf) -> None:
    assert shell("pull", TINY, "--all").exit_code == 2
    assert shell("pull").exit_code == 2


# --- what others find ----------------------------------------------------------------------------


@pytest.mark.hub
def test_the_hub_client_finds_what_was_pulled_without_a_network(
    shelf: Shelf, tmp_path: Path
) -> None:
    pytest.importorskip("huggingface_hub")
    folder = zoo.pull(TINY)
    code = (
        "import sys\nfrom huggingface_hub import hf_hub_download\n"
        "repo, revision, cache, *files = sys.argv[1:]\n"
        "for f in files: print(hf_hub_download(repo, f, revision=revision, cache_dir=cache))\n"
    )
    entry, files = shelf.entry, sorted(shelf.entry.files)
    words = [sys.executable, "-c", code, entry.repo, entry.revision, str(shelf.cache), *files]
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    told = subprocess.run(words, env=environ, check=True, capture_output=True, text=True)
    assert told.stdout.split() == [str(folder / name) for name in files]
