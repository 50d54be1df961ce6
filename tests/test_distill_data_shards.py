"""WebDataset shards: tars in a folder, a picture and its label a sample."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from packed import png
from PIL import Image

from distill.config import Data
from distill.data import Dataset, load
from distill.errors import DistillError

SIZE = 8  # pixels
Members = dict[str, bytes]


def pack(path: Path, members: Members, *special: tarfile.TarInfo) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in special:
            tar.addfile(info)
    return path


def samples(numbers: range, label: str = "cls") -> Members:
    found: Members = {}
    for i in numbers:
        name = ("cat", "dog")[i % 2]
        found[f"{i:06d}.png"] = png(i)
        found |= {
            "cls": {f"{i:06d}.cls": f"{name}\n".encode()},
            "number": {f"{i:06d}.cls": str(2 + 8 * (i % 2)).encode()},
            "json": {f"{i:06d}.json": f'{{"width": 8, "label": "{name}"}}'.encode()},
            "none": {f"{i:06d}.txt": b"a caption"},
        }[label]
    return found


def read(folder: Path, split: str = "train", **settings: object) -> Dataset:
    data = Data(str(folder), "CC0-1.0", image_size=SIZE, validation=0.25, **settings)  # type: ignore[arg-type]
    return load(data, split)  # type: ignore[arg-type]


def error_of(folder: Path, **settings: object) -> DistillError:
    with pytest.raises(DistillError) as caught:
        read(folder, **settings)
    return caught.value


def check(data: Dataset) -> None:
    for name, label, pixels in zip(data.names, data.labels, data.images, strict=True):
        number = int(name.rpartition("/")[2])
        assert label == number % 2
        assert np.array_equal(pixels, np.asarray(Image.open(io.BytesIO(png(number)))))


@pytest.mark.parametrize("label", ["cls", "json"])
@pytest.mark.parametrize("name", ["{}-000000.tar", "{}/00.tar", "{}_a.tar.gz"])
def test_shards_that_name_their_split(tmp_path: Path, label: str, name: str) -> None:
    for split, first in (("train", 0), ("test", 40)):
        pack(tmp_path / name.format(split), samples(range(first, first + 20), label))
    parts = [read(tmp_path, split) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [16, 4, 20]
    assert parts[0].classes == ("cat", "dog") and parts[0].doubts == ()
    for part in parts:
        check(part)


def test_shards_without_a_split_are_divided(tmp_path: Path) -> None:
    for i in range(3):
        pack(tmp_path / f"part-{i}.tar", samples(range(20 * i, 20 * i + 20)))
    parts = [read(tmp_path, split) for split in ("train", "validation", "test")]
    assert sum(map(len, parts)) == 60 and len(parts[2]) == 12
    assert "the shards name no split" in parts[0].doubts[0]
    for part in parts:
        check(part)


def test_samples_of_one_name_in_two_shards_are_two(tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar"):
        pack(tmp_path / name, samples(range(20)))
    assert sum(len(read(tmp_path, split)) for split in ("train", "validation", "test")) == 40


def test_classes_that_are_numbers_stand_in_their_order(tmp_path: Path) -> None:
    pack(tmp_path / "all.tar", samples(range(40), "number"))
    assert read(tmp_path).classes == ("2", "10")


def test_other_files_of_a_sample_are_not_looked_at(tmp_path: Path) -> None:
    more = {f"{i:06d}.{end}": b"?" for i in range(20) for end in ("txt", "seg.png", "boxes.json")}
    pack(tmp_path / "all.tar", samples(range(20)) | more | {"index.json": b"{}", "README": b""})
    check(read(tmp_path))


def test_without_labels_a_caption_is_enough(tmp_path: Path) -> None:
    pack(tmp_path / "all.tar", samples(range(20), "none"))
    assert len(read(tmp_path, labelled=False)) == 12
    assert "000000 has no label" in str(error_of(tmp_path))


def test_a_folder_of_pictures_with_a_tar_in_it_is_a_folder_of_pictures(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for i in range(8):
            path = tmp_path / split / ("cat", "dog")[i % 2] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(i))
    pack(tmp_path / "backup.tar", samples(range(4)))
    assert len(read(tmp_path, "test")) == 8


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"7.png": png(1)}, "7 has no label"),
        ({"7.cls": b"cat"}, "7 has no picture"),
        ({"7.png": png(1), "7.jpg": png(1), "7.cls": b"cat"}, "7 has two pictures"),
        ({"7.png": png(1), "7.cls": b" \n"}, "7 has no label"),
        ({"7.png": png(1), "7.cls": b"\xff"}, "7.cls is not UTF-8"),
        ({"7.png": png(1), "7.json": b"{"}, "7.json is not JSON"),
        ({"7.png": png(1), "7.json": b'{"label": [1]}'}, "the label in 7.json is [1]"),
        ({"../7.png": png(1), "7.cls": b"cat"}, "'../7.png' points out of the archive"),
    ],
)
def test_a_sample_that_is_wrong_is_one_error(
    tmp_path: Path, members: Members, message: str
) -> None:
    path = pack(tmp_path / "all.tar", samples(range(4)) | members)
    told = str(error_of(tmp_path))
    assert message in told and str(path) in told


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_shard_with_links_or_devices_is_refused(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("9.png")
    info.type, info.linkname = kind, "/etc/passwd"
    pack(tmp_path / "all.tar", samples(range(4)), info)
    assert "'9.png' is a link" in str(error_of(tmp_path))


def test_a_shard_that_is_cut_off_is_one_error(tmp_path: Path) -> None:
    path = pack(tmp_path / "all.tar", samples(range(20)))
    path.write_bytes(path.read_bytes()[:5000])
    assert "all.tar" in str(error_of(tmp_path))


def test_shards_in_and_out_of_splits_are_one_error(tmp_path: Path) -> None:
    for name in ("train-0.tar", "test-0.tar", "more-0.tar"):
        pack(tmp_path / name, samples(range(8)))
    assert "more-0.tar is in no split" in str(error_of(tmp_path))


def test_a_broken_picture_is_named_with_its_shard(tmp_path: Path) -> None:
    path = pack(tmp_path / "all.tar", samples(range(20)))
    broken = f"{read(tmp_path).names[0].rpartition('/')[2]}.png"
    pack(path, samples(range(20)) | {broken: b"cut"})
    assert f"{path}: {broken}: not a picture" in str(error_of(tmp_path))
    parts = [read(tmp_path, s, on_broken="skip") for s in ("train", "validation", "test")]
    assert sum(part.skipped for part in parts) == 1
