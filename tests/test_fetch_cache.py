"""What the cache holds is listed, checked and cleared, and other people's models are left alone."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

import zoo
from zoo import cli
from zoo.fetch import kept
from zoo.fetch.cache import link, place_of
from zoo.fetch.fetch import fetch
from zoo.files import sha256
from zoo.records.entry import FileRef
from zoo.registry import local
from zoo.stores.git import blob_id

if TYPE_CHECKING:
    from conftest import Shelf

TINY = "colours-tiny.test"
FP32 = "model.fp32.onnx"
GOLDEN = "golden.npz"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("ZOO_MIRRORS", raising=False)


def invoke(*words: object, exit_code: int = 0) -> str:
    result = CliRunner().invoke(cli.app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result.stdout


def cache_json(*words: object, exit_code: int = 0) -> Any:
    return json.loads(invoke("cache", *words, "--json", exit_code=exit_code))


def ref_of(path: Path) -> FileRef:
    return FileRef(sha256(path), path.stat().st_size)


def republished(shelf: Shelf) -> Path:
    """The student is pulled and then published anew with other golden vectors."""
    old = zoo.pull(TINY, verify=False)
    shelf.file(GOLDEN).write_text("new")
    files = {**shelf.entry.files, GOLDEN: ref_of(shelf.file(GOLDEN))}
    local.write([replace(shelf.entry, revision="f" * 40, files=files)], shelf.registry)
    return old


def foreign(cache: Path) -> list[Path]:
    """A model that somebody else keeps in the same cache, with a download under way."""
    repo = cache / "models--google--bert"
    (repo / "snapshots" / ("a" * 40)).mkdir(parents=True)
    (repo / "blobs").mkdir()
    blob = repo / "blobs" / ("b" * 64)
    blob.write_text("weights")
    (repo / "snapshots" / ("a" * 40) / "model.bin").symlink_to(f"../../blobs/{blob.name}")
    orphan, partial = repo / "blobs" / ("c" * 64), repo / "blobs" / f"{'d' * 64}.x.incomplete"
    orphan.write_text("x")
    partial.write_text("x")
    return [blob, orphan, partial]


# --- list ----------------------------------------------------------------------------------------


def test_an_empty_cache_lists_nothing(shelf: Shelf) -> None:
    assert cache_json("list") == []
    assert invoke("cache", "list") == ""


def test_a_student_is_listed_with_revision_and_size(shelf: Shelf) -> None:
    zoo.pull(TINY, verify=False)
    foreign(shelf.cache)
    (row,) = cache_json("list")
    size = shelf.entry.size_bytes
    assert row == {
        "name": TINY,
        "repo": shelf.entry.repo,
        "revision": shelf.entry.revision,
        "listed": True,
        "state": "complete",
        "size_bytes": size,
        "total_bytes": size,
    }
    assert f"{TINY}  {shelf.entry.revision[:12]}  complete" in invoke("cache", "list")


def test_what_has_half_arrived_is_partial(shelf: Shelf) -> None:
    ref = shelf.entry.files[FP32]
    part = place_of(shelf.entry).blob(ref.sha256).with_suffix(".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(100))
    (row,) = cache_json("list")
    assert (row["state"], row["size_bytes"]) == ("partial", 100)
    assert row["total_bytes"] == shelf.entry.size_bytes


def test_an_older_revision_is_listed_as_such(shelf: Shelf) -> None:
    republished(shelf)
    zoo.pull(TINY, verify=False)
    rows = cache_json("list")
    assert {row["revision"]: row["listed"] for row in rows} == {
        "f" * 40: True,
        shelf.entry.revision: False,
    }


def test_a_student_that_no_registry_names_is_known_by_its_card(shelf: Shelf, files: Path) -> None:
    shutil.copy(files / "sample-card.json", shelf.file("card.json"))
    refs = {**shelf.entry.files, "card.json": ref_of(shelf.file("card.json"))}
    fetch(replace(shelf.entry, files=refs), store=shelf.store, cache=shelf.cache)
    local.write([], shelf.registry)
    foreign(shelf.cache)
    (row,) = cache_json("list")
    assert (row["name"], row["listed"]) == (TINY, False)
    assert cache_json("verify") == []
    gone = cache_json("prune")
    assert sum(one["size_bytes"] for one in gone) == sum(ref.size for ref in refs.values())
    assert cache_json("list") == []


# --- verify --------------------------------------------------------------------------------------


def test_a_sound_cache_is_told_to_be_sound(shelf: Shelf) -> None:
    assert cache_json("verify") == []
    zoo.pull(TINY, verify=False)
    assert cache_json("verify") == []


@pytest.mark.parametrize("damage", ["flipped", "gone"])
def test_a_broken_file_is_named_and_the_exit_status_tells(damage: str, shelf: Shelf) -> None:
    blob = (zoo.pull(TINY, verify=False) / FP32).resolve()
    if damage == "gone":
        blob.unlink()
    else:
        blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    (row,) = cache_json("verify", exit_code=1)
    assert (row["name"], row["file"]) == (TINY, FP32)
    assert row["problem"] == ("missing" if damage == "gone" else "other bytes than published")
    assert FP32 in invoke("cache", "verify", exit_code=1)
    zoo.pull(TINY, verify=False)
    assert cache_json("verify") == []


def test_an_older_revision_is_checked_by_the_names_of_its_blobs(shelf: Shelf) -> None:
    blob = (republished(shelf) / GOLDEN).resolve()
    assert cache_json("verify") == []
    blob.write_bytes(b"!" * 10)
    (row,) = cache_json("verify", exit_code=1)
    assert (row["revision"], row["file"]) == (shelf.entry.revision, GOLDEN)


# --- prune ---------------------------------------------------------------------------------------


def everything(cache: Path) -> set[Path]:
    return {path for path in cache.rglob("*") if ".locks" not in path.parts}


def test_what_the_registry_names_stays(shelf: Shelf) -> None:
    zoo.pull(TINY, verify=False)
    others = foreign(shelf.cache)
    before = everything(shelf.cache)
    assert cache_json("prune") == []
    assert everything(shelf.cache) == before
    assert all(path.exists() for path in others)


def test_an_older_revision_goes_with_the_blobs_that_only_it_needs(shelf: Shelf) -> None:
    old = republished(shelf)
    fresh = zoo.pull(TINY, verify=False)
    others = foreign(shelf.cache)
    ref = old.parent.parent / "refs" / "main"
    ref.parent.mkdir()
    ref.write_text(old.name)
    said = cache_json("prune", "--dry-run")
    assert old.is_dir()
    assert cache_json("prune") == said
    assert [one["what"] for one in said] == ["snapshot", "blob"]
    assert sum(one["size_bytes"] for one in said) == shelf.entry.files[GOLDEN].size
    assert not old.exists()
    assert not ref.exists()
    assert cache_json("verify") == []
    assert (fresh / GOLDEN).read_text() == "new"
    assert all(path.exists() for path in others)


def test_partial_files_go_and_their_room_is_told(shelf: Shelf) -> None:
    zoo.pull(TINY, verify=False)
    blobs = place_of(shelf.entry).folder / "blobs"
    for name in (f"{'a' * 64}.part", f"{'b' * 64}.0123abcd.part"):
        (blobs / name).write_bytes(bytes(1000))
    said = invoke("cache", "prune")
    assert len(said.splitlines()) == 2
    assert "partial file" in said
    assert list(blobs.glob("*.part")) == []


def test_a_file_that_vanishes_meanwhile_does_not_stop_the_rest(shelf: Shelf) -> None:
    """A name that leads nowhere is what a pull that has just ended leaves to be looked at."""
    zoo.pull(TINY, verify=False)
    blobs = place_of(shelf.entry).folder / "blobs"
    (blobs / f"{'a' * 64}.part").symlink_to("gone")
    (blobs / f"{'b' * 64}.part").write_bytes(bytes(10))
    assert sum(one["size_bytes"] for one in cache_json("prune")) == 10
    assert list(blobs.glob("*.part")) == []


def test_nothing_is_left_of_a_student_that_only_half_arrived_once(shelf: Shelf) -> None:
    part = place_of(shelf.entry).blob("a" * 64).with_suffix(".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(10))
    local.write([], shelf.registry)
    invoke("cache", "prune")
    assert everything(shelf.cache) == set()


def test_a_file_that_is_on_its_way_is_not_taken_away(shelf: Shelf) -> None:
    place = place_of(shelf.entry)
    part = place.blob("a" * 64).with_suffix(".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(10))
    code = (
        "import sys\nfrom zoo.fetch.cache import Place\nfrom pathlib import Path\n"
        "with Place(Path(sys.argv[1]), sys.argv[2], 'x').locked('a' * 64):\n"
        "    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", code, str(shelf.cache), shelf.entry.repo]
    root = Path(zoo.__file__ or "").parents[1]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert cache_json("prune") == []
        assert part.exists()
        holder.communicate("")
    assert len(cache_json("prune")) == 1
    assert not part.exists()


def test_two_registries_that_name_one_revision_count_it_once(shelf: Shelf) -> None:
    zoo.pull(TINY, verify=False)
    rows = [shelf.entry, replace(shelf.entry, summary="The same elsewhere.")]
    assert len(kept.kept(shelf.cache, rows)) == 1


@pytest.mark.parametrize("hashed", ["sha256", "git"])
def test_a_registry_cannot_put_other_bytes_into_a_revision_that_is_there(
    hashed: str, shelf: Shelf
) -> None:
    folder = zoo.pull(TINY, verify=False)
    place = place_of(shelf.entry)
    if hashed == "git":  # as the Hub's client keeps a small file
        data = (folder / GOLDEN).read_bytes()
        blob = place.blob(blob_id(data))
        blob.write_bytes(data)
        (folder / GOLDEN).unlink()
        (folder / GOLDEN).symlink_to(blob)
    before = (folder / GOLDEN).read_bytes()
    shelf.file(GOLDEN).write_text("other bytes")
    files = {**shelf.entry.files, GOLDEN: ref_of(shelf.file(GOLDEN))}
    local.write([replace(shelf.entry, files=files)], shelf.registry)
    with pytest.raises(zoo.ZooError, match=r"golden\.npz holds other bytes than the registry"):
        zoo.pull(TINY, verify=False)
    assert (folder / GOLDEN).read_bytes() == before


def test_many_that_link_one_file_at_once_are_all_content(tmp_path: Path) -> None:
    blob = tmp_path / "blobs" / sha256_of(b"x" * 50_000)
    blob.parent.mkdir()
    blob.write_bytes(b"x" * 50_000)
    ref = FileRef(blob.name, 50_000)
    with ThreadPoolExecutor(8) as pool:
        for number in range(150):
            path, start = tmp_path / f"{number}" / "model.onnx", Barrier(8)
            path.parent.mkdir()

            def one(_: int, path: Path = path, start: Barrier = start) -> None:
                start.wait(20)
                link(path, blob, ref)

            list(pool.map(one, range(8)))
            assert path.read_bytes() == b"x" * 50_000


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
