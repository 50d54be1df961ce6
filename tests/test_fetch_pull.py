"""Pulling: every byte checked, nothing half-kept, safe when it is killed or runs many times."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import zoo
from zoo.errors import IntegrityError, NotFound, PullError
from zoo.fetch.cache import cache_root
from zoo.fetch.fetch import fetch
from zoo.fetch.stream import CHUNK_BYTES
from zoo.students.pull import self_test

if TYPE_CHECKING:
    from conftest import Shelf

TINY = "colours-tiny.test"
FP32 = "model.fp32.onnx"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub of an entry is not asked, nor is any mirror of the one who runs the tests."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("ZOO_MIRRORS", raising=False)


class Counted:
    """A progress callback that remembers which bytes were copied."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int]] = []

    def __call__(self, file: str, done: int, total: int) -> None:
        self.calls.append((file, done, total))


def fetched(shelf: Shelf) -> tuple[Path, list[tuple[str, int, int]]]:
    count = Counted()
    return fetch(shelf.entry, store=shelf.store, cache=shelf.cache, progress=count), count.calls


def leftovers(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.suffix == ".part"]


# --- what is kept, and where ---------------------------------------------------------------------


def test_a_pull_gives_the_published_files(shelf: Shelf) -> None:
    folder = zoo.pull(TINY)
    assert sorted(p.name for p in folder.iterdir()) == sorted(shelf.entry.files)
    for name in shelf.entry.files:
        assert (folder / name).read_bytes() == shelf.file(name).read_bytes()


def test_the_cache_is_laid_out_as_the_hub_client_expects(shelf: Shelf) -> None:
    folder = zoo.pull(TINY)
    repo = shelf.cache / f"models--studentzoo--{TINY}"
    assert folder == repo / "snapshots" / shelf.entry.revision
    blob = repo / "blobs" / shelf.entry.files[FP32].sha256
    assert str((folder / FP32).readlink()) == f"../../blobs/{blob.name}"
    assert {p.name for p in (repo / "blobs").iterdir()} == {
        ref.sha256 for ref in shelf.entry.files.values()
    }


@pytest.mark.hub
def test_the_hub_client_finds_what_was_pulled(shelf: Shelf) -> None:
    hub = pytest.importorskip("huggingface_hub")
    folder = zoo.pull(TINY)
    found = hub.try_to_load_from_cache(
        shelf.entry.repo, FP32, cache_dir=shelf.cache, revision=shelf.entry.revision
    )
    assert Path(found) == folder / FP32


def test_a_second_pull_copies_nothing(shelf: Shelf) -> None:
    first, copied = fetched(shelf)
    assert {file for file, _, _ in copied} == set(shelf.entry.files)
    shutil.rmtree(shelf.store.root)
    assert fetched(shelf) == (first, [])


def test_the_cache_is_chosen_by_argument_then_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ZOO_CACHE", "HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert cache_root() == Path.home() / ".cache/huggingface/hub"
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    assert cache_root() == tmp_path / "home" / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert cache_root() == tmp_path / "hub"
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "zoo"))
    assert cache_root() == tmp_path / "zoo"
    assert cache_root(tmp_path) == tmp_path


def test_progress_ends_with_all_bytes_of_each_file(shelf: Shelf) -> None:
    _, calls = fetched(shelf)
    last = {file: (done, total) for file, done, total in calls}
    assert last == {file: (ref.size, ref.size) for file, ref in shelf.entry.files.items()}


# --- broken bytes --------------------------------------------------------------------------------


def test_a_wrong_hash_is_refused_and_nothing_is_kept(shelf: Shelf) -> None:
    data = bytearray(shelf.file(FP32).read_bytes())
    data[100] ^= 1
    shelf.file(FP32).write_bytes(data)
    with pytest.raises(IntegrityError, match=r"fp32\.onnx is not the published file: sha256"):
        zoo.pull(TINY)
    repo = shelf.cache / f"models--studentzoo--{TINY}"
    assert not (repo / "blobs" / shelf.entry.files[FP32].sha256).exists()
    assert not (repo / "snapshots").exists()
    assert leftovers(shelf.cache) == []


@pytest.mark.parametrize("change", [lambda data: data[:500], lambda data: data + b"x" * 9])
def test_a_file_of_another_length_is_refused(change, shelf: Shelf) -> None:  # type: ignore[no-untyped-def]
    shelf.file(FP32).write_bytes(change(shelf.file(FP32).read_bytes()))
    with pytest.raises(IntegrityError, match=r"\d+ bytes, the registry says \d+ bytes"):
        zoo.pull(TINY)
    assert leftovers(shelf.cache) == []


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_broken_cache_is_mended(damage: str, shelf: Shelf) -> None:
    folder, _ = fetched(shelf)
    blob = (folder / FP32).resolve()
    data = blob.read_bytes()
    if damage == "gone":
        blob.unlink()
    else:
        blob.write_bytes(data[:-1] + (b"" if damage == "cut" else bytes([data[-1] ^ 1])))
    _, copied = fetched(shelf)
    assert {file for file, _, _ in copied} == {FP32}
    assert (folder / FP32).read_bytes() == data


def test_a_link_to_another_place_is_put_right(shelf: Shelf, tmp_path: Path) -> None:
    folder, _ = fetched(shelf)
    (folder / FP32).unlink()
    (folder / FP32).symlink_to(tmp_path / "elsewhere")
    fetched(shelf)
    assert (folder / FP32).read_bytes() == shelf.file(FP32).read_bytes()


def test_a_student_that_the_store_lacks_is_one_error(shelf: Shelf) -> None:
    shutil.rmtree(shelf.store.root / TINY)
    with pytest.raises(PullError, match="although the registry lists it") as caught:
        zoo.pull(TINY)
    assert "ZOO_STORE" in caught.value.hint


def test_an_unknown_name_offers_the_near_one(shelf: Shelf) -> None:
    with pytest.raises(NotFound) as caught:
        zoo.pull("colour-tiny.test")
    assert TINY in caught.value.hint


# --- the self-test -------------------------------------------------------------------------------


def spoiled(folder: Path, *precisions: str) -> Path:
    """Golden vectors that this processor cannot reproduce."""
    import numpy as np

    with np.load(folder / "golden.npz") as kept:
        arrays = dict(kept)
    np.savez(folder / "golden.npz", **arrays | {name: arrays[name] + 1 for name in precisions})
    return folder


def test_a_pull_tells_that_the_8_bit_file_answers_differently(
    make_shelf: Callable[..., Shelf], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = make_shelf(tmp_path / "spoiled", spoiled(tiny, "int8"))
    monkeypatch.setenv("ZOO_REGISTRY", str(shelf.registry))
    monkeypatch.setenv("ZOO_STORE", str(shelf.store.root))
    with pytest.warns(zoo.ZooWarning, match=r"colours-tiny\.test: .* the fp32 file is used"):
        folder = zoo.pull(TINY, cache=shelf.cache)
    assert (folder / FP32).is_file()
    assert zoo.pull(TINY, cache=shelf.cache, verify=False) == folder


def test_a_pull_fails_where_no_file_answers_as_published(tiny: Path) -> None:
    with (
        pytest.warns(zoo.ZooWarning),
        pytest.raises(PullError, match="answer differently here") as caught,
    ):
        self_test(spoiled(tiny, "int8", "fp32"), TINY)
    assert "zoo doctor" in caught.value.hint


# --- places that cannot be written ---------------------------------------------------------------


def test_a_cache_that_is_no_folder_is_one_error(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PullError, match="Not a directory") as caught:
        zoo.pull(TINY, cache=tmp_path / "file" / "cache")
    assert "ZOO_CACHE" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_cache_is_one_error_unless_a_store_has_the_bytes(shelf: Shelf) -> None:
    shelf.cache.mkdir()
    shelf.cache.chmod(0o555)
    with pytest.raises(PullError, match="Permission denied"):
        zoo.pull(TINY, cache=shelf.cache)
    with pytest.warns(zoo.ZooWarning, match="Permission denied"):
        assert zoo.pull(TINY) == shelf.store.folder(TINY)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 KiB, where this process may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=32k", "studentzoo-test", str(disk)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("may not mount a tmpfs")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture
def big_shelf(make_shelf: Callable[..., Shelf], tiny: Path, tmp_path: Path) -> Shelf:
    """The tiny student with a file of three chunks."""
    (tiny / "big.bin").write_bytes(os.urandom(3 * CHUNK_BYTES))
    return make_shelf(tmp_path / "big", tiny)


def test_a_full_disk_is_one_error_and_nothing_is_left(small_disk: Path, big_shelf: Shelf) -> None:
    with pytest.raises(PullError, match=r"no room in .*: colours-tiny.test needs 0.8 MB"):
        fetch(big_shelf.entry, store=big_shelf.store, cache=small_disk)
    assert leftovers(small_disk) == []


def test_a_read_only_disk_is_one_error_unless_all_is_there(small_disk: Path, shelf: Shelf) -> None:
    def remount(mode: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{mode}", str(small_disk)], check=True)

    remount("ro")
    with pytest.raises(PullError, match="Read-only file system"):
        fetch(shelf.entry, store=shelf.store, cache=small_disk)
    remount("rw,size=1m")
    folder = fetch(shelf.entry, store=shelf.store, cache=small_disk)
    remount("ro")
    assert fetch(shelf.entry, store=shelf.store, cache=small_disk) == folder


def script(shelf: Shelf, body: str, before: str = "") -> subprocess.Popen[str]:
    """A process that pulls with a progress callback of the given body."""
    code = f"""
    import os, signal, sys, time, warnings
    {before}
    import zoo
    def progress(file, done, total):
        {body}
    try:
        zoo.pull({TINY!r}, progress=progress, verify=False)
    except zoo.ZooError as error:
        sys.exit(f"{{type(error).__name__}}: {{error}}")
    """
    environ = {
        "ZOO_STORE": str(shelf.store.root),
        "ZOO_REGISTRY": str(shelf.registry),
        "ZOO_CACHE": str(shelf.cache),
        "PYTHONPATH": str(Path(zoo.__file__ or "").parents[1]),
    }
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_quota_is_one_error_and_nothing_is_left(big_shelf: Shelf) -> None:
    pytest.importorskip("resource")
    quota = (
        "import resource; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))"
    )
    _, told = script(big_shelf, "pass", quota).communicate(timeout=60)
    assert told.startswith(f"PullError: no room in {big_shelf.cache}")
    assert leftovers(big_shelf.cache) == []


# --- many processes, killed processes ------------------------------------------------------------


def test_a_pull_that_was_killed_half_way_is_done_again(big_shelf: Shelf) -> None:
    kill = "if done < total: os.kill(os.getpid(), signal.SIGKILL)"
    killed = script(big_shelf, kill)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert len(leftovers(big_shelf.cache)) == 1
    assert list(big_shelf.cache.glob("*/snapshots/*")) == []

    folder, copied = fetched(big_shelf)
    assert "big.bin" in {file for file, _, _ in copied}
    assert (folder / "big.bin").read_bytes() == big_shelf.file("big.bin").read_bytes()
    assert leftovers(big_shelf.cache) == []


def test_of_six_pulls_at_once_one_copies_and_all_succeed(big_shelf: Shelf) -> None:
    slow = "print(file, done, flush=True); time.sleep(0.05)"
    running = [script(big_shelf, slow) for _ in range(6)]
    lines = []
    for process in running:
        out, told = process.communicate(timeout=120)
        assert (process.returncode, told) == (0, "")
        lines += out.splitlines()
    assert len(lines) == len(set(lines)) == len(big_shelf.entry.files) - 1 + 3
    folder, copied = fetched(big_shelf)
    assert copied == []
    assert (folder / "big.bin").read_bytes() == big_shelf.file("big.bin").read_bytes()


def test_a_pull_waits_for_the_hub_clients_own_lock(shelf: Shelf) -> None:
    utils = pytest.importorskip("huggingface_hub.utils")
    repo, digest = f"models--studentzoo--{TINY}", shelf.entry.files[FP32].sha256
    lock = shelf.cache / ".locks" / repo / f"{digest}.lock"
    lock.parent.mkdir(parents=True)
    with utils.WeakFileLock(lock):
        waiting = script(shelf, "print(file, flush=True)")
        assert waiting.stdout is not None
        files = iter(waiting.stdout.readline, "")
        before = [next(files).strip() for _ in range(2)]
        time.sleep(0.3)
        assert waiting.poll() is None
        assert not (shelf.cache / repo / "blobs" / digest).exists()
    assert before == ["card.json", "golden.npz"]  # which come first
    _, told = waiting.communicate(timeout=60)
    assert (waiting.returncode, told) == (0, "")
