"""Students in one file: what goes in comes out, and what an enemy puts in does not."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import zoo
from zoo import cli
from zoo.errors import NotFound, StoreError
from zoo.fetch import bundle
from zoo.records.entry import FileRef
from zoo.registry import local

if TYPE_CHECKING:
    from conftest import Shelf

TINY = "colours-tiny.test"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("ZOO_MIRRORS", raising=False)


@pytest.fixture
def made(shelf: Shelf, tmp_path: Path) -> Path:
    """A bundle of the tiny student."""
    bundle.write(tmp_path / "tiny.tar", [(shelf.entry, shelf.store.folder(TINY))])
    return tmp_path / "tiny.tar"


def invoke(*words: object) -> str:
    result = CliRunner().invoke(cli.app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def tar(path: Path, *members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    """A tar with a sound registry.yaml and members of this kind."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as file:
        for name, data in [("registry.yaml", b"format: 1\nstudents: {}\n"), *members]:
            header = tarfile.TarInfo(name)
            header.type = tarfile.REGTYPE if name == "registry.yaml" else kind
            header.linkname = "/etc/passwd"
            header.size = len(data) if header.isreg() else 0
            file.addfile(header, io.BytesIO(data))
    return path


# --- there and back ------------------------------------------------------------------------------


def test_a_bundle_carries_students_to_another_machine(shelf: Shelf, tmp_path: Path) -> None:
    stick = tmp_path / "stick.tar"
    assert invoke("bundle", TINY, "-o", stick).strip() == str(stick)
    shutil.rmtree(shelf.store.root)
    for words in ([TINY], ["--all"]):
        cache = tmp_path / f"there-{words[0]}"
        folder = Path(invoke("pull", *words, "--from", stick, "--cache", cache).strip())
        assert sorted(p.name for p in folder.iterdir()) == sorted(shelf.entry.files)


def test_a_bundle_is_a_plain_tar_and_always_the_same(shelf: Shelf, made: Path) -> None:
    with tarfile.open(made, "r:") as file:
        assert file.getnames() == ["registry.yaml", *(f"{TINY}/{n}" for n in shelf.entry.files)]
    first = made.read_bytes()
    bundle.write(made, [(shelf.entry, shelf.store.folder(TINY))])
    assert made.read_bytes() == first
    assert bundle.Bundle(made).entries == {TINY: shelf.entry}


def test_a_bundle_that_does_not_fit_leaves_the_old_one(
    shelf: Shelf, made: Path, tmp_path: Path
) -> None:
    before = made.read_bytes()
    with pytest.raises(StoreError, match="No such file"):
        bundle.write(made, [(shelf.entry, tmp_path / "none")])
    assert made.read_bytes() == before
    assert list(tmp_path.glob("*.part")) == []
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=4k", "studentzoo-test", str(disk)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("may not mount a tmpfs")
    try:
        with pytest.raises(StoreError, match="No space left") as caught:
            bundle.write(disk / "x.tar", [(shelf.entry, shelf.store.folder(TINY))])
        assert "room" in caught.value.hint
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# --- trust ---------------------------------------------------------------------------------------


def test_all_of_a_bundle_must_be_what_our_registry_says(shelf: Shelf, made: Path) -> None:
    with pytest.raises(NotFound, match="our registry does not have") as caught:
        bundle.agreed(bundle.Bundle(made), {})
    assert "--registry ./registry.yaml" in caught.value.hint
    other = {**shelf.entry.files, "card.json": FileRef("0" * 64, 5)}
    ours = {TINY: replace(shelf.entry, files=other)}
    with pytest.raises(StoreError, match=rf"its {TINY}/card\.json is not the one"):
        bundle.agreed(bundle.Bundle(made), ours)


def test_the_hint_for_a_student_that_our_registry_lacks_works(
    shelf: Shelf, made: Path, tmp_path: Path
) -> None:
    local.write([], shelf.registry)
    shutil.rmtree(shelf.store.root)
    with tarfile.open(made, "r:") as file:
        unpacked = file.extractfile("registry.yaml")
        assert unpacked is not None
        (tmp_path / "registry.yaml").write_bytes(unpacked.read())
    where = ["--from", made, "--registry", tmp_path / "registry.yaml"]
    assert invoke("pull", TINY, *where).strip().endswith(shelf.entry.revision)


def test_bytes_in_a_bundle_that_are_not_the_registrys_are_refused(shelf: Shelf, made: Path) -> None:
    data = bytearray(made.read_bytes())
    data[bundle.index(made)[f"{TINY}/model.fp32.onnx"].begin + 50] ^= 1
    made.write_bytes(data)
    shutil.rmtree(shelf.store.root)
    with pytest.raises(zoo.ZooError, match="is not the published file"):
        zoo.pull(TINY, sources=[made])
    assert not list(shelf.cache.glob("*/snapshots/*"))


# --- hostile bundles -----------------------------------------------------------------------------

NAMES = [
    "../evil",
    f"{TINY}/../../evil",
    "/etc/passwd",
    "/registry.yaml",
    "./registry.yaml",
    "a/b/c",
    "a\\b/c",
    "x/",
    "/x",
    "x",
    ".x/y",
    "x/.y",
    "x/y\n",
    "CON:/y",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        StoreError, match=r"is not a bundle: .* (cannot be in one|not a plain file)"
    ):
        bundle.index(tar(tmp_path / "x.tar", (name, b"x")))


KINDS = [
    *(tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE),
    *(tarfile.FIFOTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, b"Z"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_plain_file_is_refused(kind: bytes, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a plain file"):
        bundle.index(tar(tmp_path / "x.tar", ("a/b", b""), kind=kind))


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="a/b stands in it twice"):
        bundle.index(tar(tmp_path / "x.tar", ("a/b", b"1"), ("a/b", b"2")))


@pytest.mark.parametrize("size", [10**9, 8**11 - 1, 1 << 62, -5])
def test_a_header_that_lies_about_its_size_is_refused(size: int, tmp_path: Path) -> None:
    path = tar(tmp_path / "x.tar", ("a/b", b"1"))
    header = tarfile.TarInfo("a/b")
    header.size = size
    block = header.tobuf(tarfile.GNU_FORMAT)  # the one that can write such sizes
    data = path.read_bytes()
    path.write_bytes(data[:1024] + block + data[1536:])
    with pytest.raises(StoreError, match=rf"is said to have {size} bytes, \d+ are left"):
        bundle.index(path)


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        lambda data: b"BZh9" + data,
        lambda data: b"\x80\x80" + data,  # with the field's eight blanks their sum is 0
        lambda data: b"",
    ],
)
def test_what_is_packed_or_empty_is_refused(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(pack(bytes(10 << 20)))
    with pytest.raises(StoreError, match="is not a bundle: no header at byte 0"):
        bundle.index(path)


def test_a_bundle_without_a_registry_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(bytes(1024))
    with pytest.raises(StoreError, match=r"there is no registry\.yaml in it"):
        bundle.index(tmp_path / "x.tar")


def test_a_registry_of_any_size_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    header = tarfile.TarInfo("registry.yaml")
    header.size = bundle.MAX_REGISTRY_BYTES + 1
    with path.open("wb") as file:
        file.write(header.tobuf(tarfile.USTAR_FORMAT))
        file.truncate(header.size + 4096)
    with pytest.raises(StoreError, match="larger than 16 MiB"):
        bundle.index(path)


def test_a_bundle_that_was_cut_anywhere_is_refused(made: Path) -> None:
    data = made.read_bytes()
    for end in [*range(0, len(data) - 1024, 997), len(data) - 1025]:
        made.write_bytes(data[:end])
        with pytest.raises(StoreError, match="is not a bundle"):
            bundle.index(made)


@given(noise=st.binary(max_size=600), place=st.integers(0, 3000))
def test_any_bytes_are_a_bundle_or_one_error(noise: bytes, place: int, tmp_path: Path) -> None:
    path = tar(tmp_path / "x.tar", ("a/b", b"1" * 700), ("a/c", b""))
    data = path.read_bytes()
    path.write_bytes(data[:place] + noise + data[place + len(noise) :])
    try:
        found = bundle.index(path)
    except StoreError:
        return
    assert all(0 <= m.begin <= m.begin + m.size <= path.stat().st_size for m in found.values())
