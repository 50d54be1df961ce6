"""Reading labelled pictures: the same data from any container, split and decoded as stated."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from distill.config import Data
from distill.data import Dataset, load
from distill.data.pictures import square
from distill.data.record import Example, digest
from distill.data.split import hold_out, select, with_test

SIZE = 8  # pixels
few = settings(max_examples=40, deadline=None)
CONTAINERS = ["folder", "zip", "tar", "tar.gz", "tar.xz", "tar.bz2"]


def png(seed: int, size: int = SIZE) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)
    return encoded(Image.fromarray(pixels))


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def files(train: int = 6, test: int = 2) -> dict[str, bytes]:
    counts = {"train": train, "test": test}
    names = [
        f"{split}/{label}/{i:02d}.png"
        for split, n in counts.items()
        for label in ("cat", "dog")
        for i in range(n)
    ]
    return {name: png(seed) for seed, name in enumerate(names)}


def packed(members: dict[str, bytes], place: Path, kind: str) -> Path:
    path = place / ("data" if kind == "folder" else f"data.{kind}")
    if kind == "folder":
        for name, content in members.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    else:
        mode = "w:" + kind.removeprefix("tar").removeprefix(".")
        with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


def read(path: Path, split: str = "train", **settings: object) -> Dataset:
    settings = {"image_size": SIZE, "validation": 0.34, **settings}
    return load(Data(str(path), "CC0-1.0", **settings), split)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_container_gives_the_same_data(tmp_path: Path, kind: str, split: str) -> None:
    members = files()
    data = read(packed(members, tmp_path, kind), split)
    names = [n for n in sorted(members) if n in expected_names(members, split)]
    pixels = [np.asarray(Image.open(io.BytesIO(members[n]))) for n in names]
    assert np.array_equal(data.images, np.stack(pixels))
    assert data.images.dtype == np.uint8 and data.labels.dtype == np.int64
    assert data.labels.tolist() == [("cat", "dog").index(n.split("/")[1]) for n in names]
    assert (data.classes, data.split, len(data)) == (("cat", "dog"), split, len(names))


def expected_names(members: dict[str, bytes], split: str) -> set[str]:
    """The rule again: per class the 2 of 6 names with the smallest sha256 of class/name."""
    if split == "test":
        return {n for n in members if n.startswith("test/")}
    train = [n for n in members if n.startswith("train/")]
    held = set()
    for label in ("cat", "dog"):
        mine = [n for n in train if n.split("/")[1] == label]
        mine.sort(key=lambda n: hashlib.sha256(n.removeprefix("train/").encode()).digest())
        held |= set(mine[:2])
    return held if split == "validation" else set(train) - held


def test_every_container_has_the_same_hash(tmp_path: Path) -> None:
    assert len({read(packed(files(), tmp_path, kind)).sha256 for kind in CONTAINERS}) == 1


@few
@given(st.permutations(sorted(files())))
def test_the_order_of_the_archive_does_not_matter(order: list[str]) -> None:
    members = files()
    with tempfile.TemporaryDirectory() as place:
        shuffled = read(packed({n: members[n] for n in order}, Path(place), "zip"))
        assert shuffled.sha256 == read(packed(members, Path(place), "zip")).sha256


def test_the_hash_sees_every_part() -> None:
    images = np.zeros((2, SIZE, SIZE, 3), np.uint8)
    other = images.copy()
    other[1, 2, 3, 0] = 1
    labels = np.array([0, 1])
    hashes = {
        digest(images, labels, ["a", "b"], ["a/1", "b/1"], "train"),
        digest(other, labels, ["a", "b"], ["a/1", "b/1"], "train"),
        digest(images, labels[::-1], ["a", "b"], ["a/1", "b/1"], "train"),
        digest(images, labels, ["a", "c"], ["a/1", "b/1"], "train"),
        digest(images, labels, ["a", "b"], ["a/1", "b/2"], "train"),
        digest(images, labels, ["a", "b"], ["a/1", "b/1"], "validation"),
    }
    assert len(hashes) == 6


LABELS = st.sampled_from(["cat", "dog", "émeu"])
EXAMPLES = st.sets(st.tuples(LABELS, st.integers(0, 10_000)), min_size=1, max_size=60).map(
    lambda rows: [Example("train", label, f"{i}.png", i) for label, i in sorted(rows)]
)


@few
@given(EXAMPLES, st.floats(0.01, 0.89))
def test_holding_out_divides_each_class_by_rounding(
    examples: list[Example], fraction: float
) -> None:
    held, rest = hold_out(examples, fraction)
    assert sorted(held + rest) == sorted(examples)
    held_of, all_of = Counter(e.label for e in held), Counter(e.label for e in examples)
    for label, n in all_of.items():
        assert held_of[label] == min(round(fraction * n), n - 1)


@few
@given(EXAMPLES, EXAMPLES)
def test_holding_out_of_a_class_does_not_depend_on_the_others(
    some: list[Example], others: list[Example]
) -> None:
    cats = [e for e in some if e.label == "cat"]
    dogs = [e for e in others if e.label == "dog"]
    held, _ = hold_out(cats + dogs, 0.3)
    assert [e for e in held if e.label == "cat"] == hold_out(cats, 0.3)[0]


@few
@given(EXAMPLES)
def test_splits_share_no_example(examples: list[Example]) -> None:
    rows = with_test([*examples, *(Example("train", "fox", f"{i}.png", i) for i in range(40))])
    parts = [select(rows, s, 0.2, "here") for s in ("train", "validation", "test")]
    assert sum(map(len, parts)) == len(rows)
    assert len({(e.label, e.name) for part in parts for e in part}) == len(rows)


def test_only_the_split_asked_for_is_decoded(tmp_path: Path) -> None:
    members = files() | {"test/cat/00.png": b"damaged"}
    assert len(read(packed(members, tmp_path, "zip"))) == 8


def test_pictures_of_another_size_are_resized_with_antialiasing(tmp_path: Path) -> None:
    members = files() | {"test/cat/00.png": png(99, size=41)}
    image = Image.open(io.BytesIO(png(99, size=41)))
    expected = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    assert np.array_equal(read(packed(members, tmp_path, "zip"), "test").images[0], expected)


def grey(kind: type) -> Image.Image:
    top = np.iinfo(kind).max
    return Image.fromarray(np.linspace(0, top, SIZE * SIZE, dtype=kind).reshape(SIZE, SIZE))


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (grey(np.uint8), "PNG"),
        (grey(np.uint16), "PNG"),
        (grey(np.uint8).convert("1"), "PNG"),
        (grey(np.uint8).convert("LA"), "PNG"),
        (grey(np.uint8).convert("RGBA"), "WEBP"),
        (grey(np.uint8).convert("P"), "GIF"),
        (grey(np.uint8).convert("CMYK"), "JPEG"),
    ],
)
def test_any_mode_becomes_rgb(tmp_path: Path, image: Image.Image, kind: str) -> None:
    name = f"test/cat/00.{kind.lower()}"
    members = {n: c for n, c in files().items() if n != "test/cat/00.png"}
    members[name] = encoded(image, kind)
    pixels = read(packed(members, tmp_path, "zip"), "test").images[0].astype(int)
    assert pixels[0, 0].max() < 16 and pixels[-1, -1].min() > 239


def test_a_transparent_palette_is_read_without_a_warning(tmp_path: Path) -> None:
    palette = encoded(grey(np.uint8).convert("P"), transparency=bytes(range(256)))
    members = files() | {"test/cat/00.png": palette}
    assert len(read(packed(members, tmp_path, "zip"), "test")) == 4


def test_a_picture_stands_upright() -> None:
    image = Image.new("RGB", (SIZE, SIZE))
    image.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    turned = Image.open(io.BytesIO(encoded(image, "PNG", exif=exif)))
    assert square(turned, SIZE).getpixel((SIZE - 1, 0)) == (255, 0, 0)


def test_the_first_frame_of_an_animation_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (SIZE, SIZE), c) for c in ("white", "black")]
    moving = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    members = {n: c for n, c in files().items() if n != "test/cat/00.png"}
    members["test/cat/00.gif"] = moving
    assert read(packed(members, tmp_path, "zip"), "test").images[0].min() == 255


@pytest.mark.parametrize("kind", CONTAINERS)
def test_what_systems_leave_behind_is_passed_over(tmp_path: Path, kind: str) -> None:
    debris = ["README.md", ".DS_Store", "train/.DS_Store", "train/cat/Thumbs.db", ".git/config"]
    debris += ["__MACOSX/train/cat/._00.png", "train/.cache/x/y.bin"]
    members = files() | dict.fromkeys(debris, b"")
    assert read(packed(members, tmp_path, kind)).sha256 == read_plain(tmp_path).sha256


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "folder"])
def test_one_folder_around_everything_is_looked_through(tmp_path: Path, kind: str) -> None:
    members = {f"cats-main/{name}": content for name, content in files().items()}
    members |= {"cats-main/LICENSE": b""}
    assert read(packed(members, tmp_path, kind)).sha256 == read_plain(tmp_path).sha256


def test_a_tar_made_in_the_folder_is_read(tmp_path: Path) -> None:
    folder = packed(files(), tmp_path, "folder")
    with tarfile.open(tmp_path / "dot.tar", "w") as archive:
        archive.add(folder, arcname=".")
    assert read(tmp_path / "dot.tar").sha256 == read_plain(tmp_path).sha256


def test_a_folder_may_hold_links(tmp_path: Path) -> None:
    folder = packed(files(), tmp_path, "folder")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/train").symlink_to(folder / "train")
    (tmp_path / "linked/test").symlink_to(folder / "test")
    assert read(tmp_path / "linked").sha256 == read_plain(tmp_path).sha256


def read_plain(place: Path) -> Dataset:
    (place / "plain").mkdir(exist_ok=True)
    return read(packed(files(), place / "plain", "zip"))


def test_root_goes_before_zoo_data_and_that_before_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"root": 5, "zoo": 4, "here": 3}
    for name, test in sizes.items():
        (tmp_path / name).mkdir()
        packed(files(test=test), tmp_path / name, "zip")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "zoo"))
    data = Data("data.zip", "CC0-1.0", image_size=SIZE)
    assert len(load(data, "test", tmp_path / "root")) == 2 * sizes["root"]
    assert len(load(data, "test")) == 2 * sizes["zoo"]
    monkeypatch.delenv("ZOO_DATA")
    assert len(load(data, "test")) == 2 * sizes["here"]


def test_digits_are_split_for_ever() -> None:
    sizes, hashes = [], []
    for split in ("train", "validation", "test"):
        data = load(Data("digits", "CC-BY-4.0", image_size=8), split)  # type: ignore[arg-type]
        sizes.append(len(data))
        hashes.append(data.sha256[:16])
        assert data.classes == tuple("0123456789") and np.ptp(data.images) == 255
    assert sizes == [1295, 143, 359]
    assert hashes == ["33295a2f706abb5b", "8a6139ff807e9c19", "5426694124590a00"]


def test_digits_are_enlarged_to_the_size_asked_for() -> None:
    assert load(Data("digits", "CC-BY-4.0", image_size=32), "test").images.shape[1:] == (32, 32, 3)


def test_reading_pictures_needs_none_of_the_large_packages() -> None:
    code = (
        "import sys, distill; assert 'numpy' not in sys.modules; import distill.data; "
        "sys.exit(bool({'torch', 'sklearn', 'pyarrow', 'huggingface_hub'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(
    not (Path(os.environ.get("ZOO_DATA", "/")) / "cifar10.zip").is_file(),
    reason="ZOO_DATA names no directory with cifar10.zip",
)
def test_the_held_out_part_of_cifar10_never_changes() -> None:
    data = load(Data("cifar10.zip", "none", validation=0.1), "validation")
    assert np.bincount(data.labels).tolist() == [500] * 10
    assert data.sha256 == "03e13e20785bb9e2c4b2ba2ac8cc0dd1c5d4dd6b58cdbfba5a577ed8f2b82928"
