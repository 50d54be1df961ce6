"""Broken pictures: all in one list, over all splits, before any work; or left out and told."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from packed import packed as pack
from packed import png

from distill.config import Data
from distill.data import Dataset, load
from distill.errors import DistillError

SIZE = 8  # pixels


def members(train: int = 20, test: int = 4) -> dict[str, bytes]:
    names = [
        f"{split}/{label}/{i:02d}.png"
        for split, count in (("train", train), ("test", test))
        for label in ("cat", "dog")
        for i in range(count)
    ]
    return {name: png(seed) for seed, name in enumerate(names)}


def packed(files: dict[str, bytes], place: Path, kind: str = "folder") -> Path:
    return pack(files, place / f"data.{kind}")


def read(path: Path, split: str = "train", **settings: object) -> Dataset:
    data = Data(str(path), "CC0-1.0", image_size=SIZE, validation=0.3, **settings)  # type: ignore[arg-type]
    return load(data, split)  # type: ignore[arg-type]


def error_of(path: Path, split: str = "train", **settings: object) -> DistillError:
    with pytest.raises(DistillError) as caught:
        read(path, split, **settings)
    return caught.value


BROKEN = ("train/cat/03.png", "train/dog/07.png", "test/dog/01.png")
CONTAINERS = pytest.mark.parametrize("kind", ["folder", "zip", "tar"])


@CONTAINERS
def test_broken_pictures_of_all_splits_are_one_error(tmp_path: Path, kind: str) -> None:
    files = members()
    held = read(packed(files, tmp_path / "whole"), "validation").names[0]
    broken = dict.fromkeys([f"train/{held}", *BROKEN], b"no picture")
    error = error_of(packed(files | broken, tmp_path, kind))
    assert f"{len(broken)} pictures cannot be read" in str(error)
    assert all(f"{name}: not a picture" in str(error) for name in broken)
    assert "on_broken: skip" in error.hint


def test_ten_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    files = members() | dict.fromkeys([f"train/cat/{i:02d}.png" for i in range(13)], b"")
    told = str(error_of(packed(files, tmp_path)))
    assert "13 pictures cannot be read" in told and told.endswith("; and 3 more")
    assert told.count("it is empty, 0 bytes") == 10


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="not a Linux")
def test_a_file_that_may_not_be_read_is_in_the_list(tmp_path: Path) -> None:
    folder = packed(members() | {BROKEN[0]: b"cut"}, tmp_path)
    (folder / BROKEN[2]).unlink()
    (folder / BROKEN[2]).symlink_to("/proc/self/mem")  # opens, and cannot be read
    told = str(error_of(folder))
    assert "2 pictures cannot be read" in told and f"{BROKEN[2]}: cannot be read" in told


def test_a_damaged_member_of_a_zip_is_in_the_list(tmp_path: Path) -> None:
    path = packed(members() | {BROKEN[2]: b"cut"}, tmp_path, "zip")
    content = bytearray(path.read_bytes())
    content[content.find(png(0)) + 20] ^= 1
    path.write_bytes(content)
    told = str(error_of(path))
    assert "train/cat/00.png: it is damaged" in told and BROKEN[2] in told


@CONTAINERS
def test_what_is_left_out_is_as_if_it_had_not_been_there(tmp_path: Path, kind: str) -> None:
    files = members()
    whole = {s: read(packed(files, tmp_path / "whole"), s) for s in ("train", "validation", "test")}
    path = packed(files | dict.fromkeys(BROKEN, b"cut"), tmp_path, kind)
    skipped = 0
    for split, before in whole.items():
        found = read(path, split, on_broken="skip")
        keep = [i for i, name in enumerate(before.names) if not _broken(name, split)]
        assert found.names == tuple(before.names[i] for i in keep)
        assert np.array_equal(found.images, before.images[keep])
        assert found.labels.tolist() == before.labels[keep].tolist()
        assert found.skipped == len(before) - len(keep)
        assert bool(found.skipped) == any("left out" in doubt for doubt in found.doubts)
        skipped += found.skipped
    assert skipped == len(BROKEN)


def _broken(name: str, split: str) -> bool:
    return f"{'test' if split == 'test' else 'train'}/{name}" in BROKEN


def test_a_hash_does_not_depend_on_what_would_be_skipped(tmp_path: Path) -> None:
    path = packed(members(), tmp_path)
    assert read(path).sha256 == read(path, on_broken="skip").sha256


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_class_of_which_nothing_is_left_is_one_error(tmp_path: Path, split: str) -> None:
    files = members()
    files |= dict.fromkeys([n for n in files if n.startswith(f"{split}/dog")], b"cut")
    told = str(error_of(packed(files, tmp_path), split, on_broken="skip"))
    assert f"{split}/dog is missing" in told


def test_a_split_of_which_nothing_is_left_is_one_error(tmp_path: Path) -> None:
    files = dict.fromkeys(members(), b"cut")
    for split in ("train", "validation", "test"):
        assert "missing" in str(error_of(packed(files, tmp_path), split, on_broken="skip"))


def test_all_classes_without_examples_are_one_error(tmp_path: Path) -> None:
    files = members() | {"train/emu/0.png": png(98), "test/fox/0.png": png(99)}
    told = str(error_of(packed(files, tmp_path)))
    assert "train/fox, test/emu are missing: 2 classes have no example in a split" in told


@CONTAINERS
def test_all_empty_class_folders_are_one_error(tmp_path: Path, kind: str) -> None:
    path = packed(members(), tmp_path, "folder")
    for name in ("train/emu", "test/fox"):
        (path / name).mkdir()
    if kind != "folder":
        path = repacked(path, kind)
    assert "the class folders test/fox, train/emu are empty" in str(error_of(path))


def repacked(folder: Path, kind: str) -> Path:
    """With its empty folders."""
    path = folder.with_name(f"again.{kind}")
    with tarfile.open(path, "w") if kind == "tar" else zipfile.ZipFile(path, "w") as archive:
        add = archive.add if isinstance(archive, tarfile.TarFile) else archive.write
        for below in sorted(folder.rglob("*")):
            add(below, below.relative_to(folder), **({"recursive": False} if kind == "tar" else {}))
    return path
