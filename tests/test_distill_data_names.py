"""Names as people see them: what is passed over, what is read, and what is no class of its own."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from distill import names
from distill.config import Data
from distill.data import Dataset, load
from distill.data.tree import SPLITS
from distill.errors import DistillError
from zoo.errors import InputError
from zoo.inputs.pictures import found

SIZE = 8  # pixels
CLASSES = ("cat", "dog")
DEBRIS = [
    *("thumbs.db", "Thumbs.db", "EHTHUMBS.DB", "Desktop.ini", "Icon\r", ".picasa.ini"),
    *("._0.png", ".DS_Store", "@eaDir/x.png", "@eaDir/0.png/SYNOPHOTO.jpg", "__MACOSX/0.png"),
    *(".ipynb_checkpoints/0-checkpoint.png", "$RECYCLE.BIN/0.png", "lost+found/0.png"),
]


def put(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    color = (value % 256, value // 256 % 256, 7)
    Image.new("RGB", (SIZE, SIZE), color).save(path, "PNG")
    return path


def make(folder: Path, splits: tuple[str, ...] = ("train", "test"), count: int = 4) -> Path:
    number = 0
    for split in splits:
        for label in CLASSES:
            for i in range(count):
                number += 1
                put(folder / split / label / f"{i}.png", number)
    return folder


def read(folder: Path, split: str = "train", **settings: object) -> Dataset:
    data = Data(str(folder), "CC0-1.0", **{"image_size": SIZE, "validation": 0.25, **settings})  # type: ignore[arg-type]
    return load(data, split)  # type: ignore[arg-type]


def error_of(folder: Path, **settings: object) -> DistillError:
    with pytest.raises(DistillError) as caught:
        read(folder, **settings)
    return caught.value


# --- debris and endings --------------------------------------------------------------------------


@pytest.mark.parametrize("name", DEBRIS)
def test_debris_is_passed_over_by_training_and_by_running(name: str, tmp_path: Path) -> None:
    clean, wanted = read(make(tmp_path)).sha256, found([tmp_path])
    stray = tmp_path / "train" / "cat" / name
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_bytes(b"\x00\x05\x16\x07")
    assert read(tmp_path).sha256 == clean
    assert found([tmp_path]) == wanted


@pytest.mark.parametrize("suffix", sorted(names.SUFFIXES))
def test_every_ending_is_read_by_both_in_capitals_too(suffix: str, tmp_path: Path) -> None:
    make(tmp_path)
    put(tmp_path / "test" / "cat" / f"x{suffix}", 999)
    put(tmp_path / "test" / "dog" / f"X{suffix.upper()}", 998)
    names_read = read(tmp_path, "test").names
    assert {f"cat/x{suffix}", f"dog/X{suffix.upper()}"} <= set(names_read)
    assert len(found([tmp_path / "test"])) == len(names_read)


def test_avif_is_read_where_this_pillow_has_it(tmp_path: Path) -> None:
    from PIL import features

    if not features.check("avif"):
        pytest.skip("no AVIF in this Pillow")
    make(tmp_path)
    Image.new("RGB", (SIZE, SIZE), (200, 10, 10)).save(tmp_path / "train/cat/x.avif")
    assert len(read(tmp_path, validation=0.01)) == 9


# --- names that look alike -----------------------------------------------------------------------


def nfd(name: str) -> str:
    return unicodedata.normalize("NFD", name)


ALIKE = {
    "case": ("cat", "Cat", "upper and lower case"),
    "normal form": ("café", nfd("café"), "normal form"),
    "blank": ("cat", "cat ", "blanks"),
    "no-break space": ("big cat", "big\u00a0cat", "blanks"),
    "zero width": ("cat", "ca\u200bt", "not seen"),
    "two at once": ("café", nfd("CAFÉ"), "normal form (NFC, NFD) and upper and lower case"),
}


@pytest.mark.parametrize("kind", ALIKE)
def test_one_class_in_two_spellings_is_an_error_that_says_how_they_differ(
    kind: str, tmp_path: Path
) -> None:
    one, other, ways = ALIKE[kind]
    for i in range(4):
        put(tmp_path / "train" / "dog" / f"{i}.png", i)
        put(tmp_path / "train" / one / f"{i}.png", 10 + i)
        put(tmp_path / "test" / "dog" / f"{i}.png", 20 + i)
        put(tmp_path / "test" / other / f"{i}.png", 30 + i)
    error = error_of(tmp_path)
    assert ways in str(error)
    assert repr(f"train/{one}") in str(error) and repr(f"test/{other}") in str(error)


def test_a_class_whose_name_is_no_text_is_named(tmp_path: Path) -> None:
    make(tmp_path)
    for split in ("train", "test"):
        put(tmp_path / split / os.fsdecode(b"caf\xe9") / "0.png", 70)
    assert "is no text: its bytes are not UTF-8" in str(error_of(tmp_path))


def test_letters_and_capitals_may_be_classes_where_every_split_has_both(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for i, label in enumerate("aAbB"):
            for n in range(4):
                put(tmp_path / split / label / f"{n}.png", 10 * i + n)
    assert read(tmp_path).classes == ("A", "B", "a", "b")
    put(tmp_path / "train" / "c" / "0.png", 50)
    put(tmp_path / "test" / "C" / "0.png", 51)
    assert "'train/c'" in str(error_of(tmp_path)) or "'test/C'" in str(error_of(tmp_path))


def test_numbers_are_counted_only_where_the_recipe_says_so(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for label in range(12):
            for n in range(2):
                put(tmp_path / split / str(label) / f"{n}.png", 20 * label + n)
    assert read(tmp_path).classes[:4] == ("0", "1", "10", "11")
    assert read(tmp_path, order="natural").classes == tuple(map(str, range(12)))


@given(st.lists(st.text(max_size=12), max_size=8))
def test_natural_order_is_an_order(given_names: list[str]) -> None:
    ordered = sorted(given_names, key=names.natural)
    assert sorted(reversed(given_names), key=names.natural) == ordered
    assert sorted(["a10", "a9", "a1b2", "a1b10"], key=names.natural) == [
        *("a1b2", "a1b10", "a9", "a10")
    ]


# --- layouts -------------------------------------------------------------------------------------


def test_classes_alone_are_divided_and_it_is_said(tmp_path: Path) -> None:
    make(tmp_path, ("",), count=10)
    train = read(tmp_path)
    assert (len(train), len(read(tmp_path, "test")), len(read(tmp_path, "validation"))) == (
        12,
        4,
        4,
    )
    (doubt,) = train.doubts
    assert "4 of 20 pictures" in doubt and "held out as the test split" in doubt
    assert not set(train.names) & set(read(tmp_path, "test").names)


@pytest.mark.parametrize("val", ["val", "Valid", "validation", "dev"])
def test_without_test_the_validation_folder_is_the_test_split(val: str, tmp_path: Path) -> None:
    make(tmp_path, ("train", val))
    train = read(tmp_path)
    assert (len(train), len(read(tmp_path, "test"))) == (6, 8)
    assert train.doubts == ("no test/: the 8 pictures of val/ are the test split",)


def test_of_three_splits_each_is_what_it_says(tmp_path: Path) -> None:
    make(tmp_path, ("train", "val", "test"))
    sizes = [len(read(tmp_path, split)) for split in ("train", "validation", "test")]
    assert sizes == [8, 8, 8] and read(tmp_path).doubts == ()


def test_two_folders_of_one_split_are_an_error(tmp_path: Path) -> None:
    make(tmp_path, ("train", "Train", "test"))
    assert "Train and train are the same split" in str(error_of(tmp_path))


@pytest.mark.parametrize("layout", [("train", "test"), ("",)])
def test_a_class_of_debris_alone_is_empty(layout: tuple[str, ...], tmp_path: Path) -> None:
    make(tmp_path, layout)
    emu = tmp_path / layout[0] / "emu"
    emu.mkdir()
    (emu / "Thumbs.db").write_bytes(b"")
    assert "emu is empty" in str(error_of(tmp_path))


def test_pictures_of_no_class_are_said(tmp_path: Path) -> None:
    put(make(tmp_path) / "preview.png")
    assert read(tmp_path).doubts[0] == (
        "1 pictures are in no class folder and passed over, as preview.png"
    )


def test_a_class_without_a_held_out_example_is_said(tmp_path: Path) -> None:
    make(tmp_path, count=10)
    put(tmp_path / "train" / "emu" / "0.png", 900)
    put(tmp_path / "test" / "emu" / "0.png", 901)
    assert read(tmp_path).doubts == (
        "no example is held out of 'emu' (1 in train): no choice looks at them",
    )


# --- what is no picture --------------------------------------------------------------------------


def test_an_empty_file_is_named_and_called_empty(tmp_path: Path) -> None:
    (make(tmp_path) / "train/cat/zero.png").write_bytes(b"")
    error = error_of(tmp_path, validation=0.01)
    assert "train/cat/zero.png" in str(error) and "is empty" in str(error)
    assert "BytesIO" not in str(error)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # an address is no longer than 108 bytes
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("special", [_pipe, _socket, lambda path: path.symlink_to("/dev/zero")])
@pytest.mark.parametrize("place", ["train/cat/p.png", "train/p", "test/dog/p.png"])
def test_pipes_sockets_and_devices_are_not_waited_for(
    special: Callable[[Path], None], place: str, tmp_path: Path
) -> None:
    special(make(tmp_path) / place)
    raised: list[Exception] = []

    def reading() -> None:
        try:
            read(tmp_path)
        except DistillError as error:
            raised.append(error)

    thread = threading.Thread(target=reading, daemon=True)
    thread.start()
    thread.join(10)
    assert place in str(raised[0]) and "a pipe, a socket or a device" in str(raised[0])
    assert len(found([tmp_path])) == 16  # running passes over it


# --- any names -----------------------------------------------------------------------------------

PARTS = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=20
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)


@settings(max_examples=60)
@given(
    st.sets(PARTS, min_size=1, max_size=4),
    st.sets(PARTS, min_size=1, max_size=3),
    st.sampled_from([("train", "test"), ("train", "val"), ("",)]),
)
def test_any_names_give_every_class_or_one_error(
    labels: set[str], files: set[str], splits: tuple[str, ...]
) -> None:
    """The same pictures by both routes; a class is read, passed over as debris, or named.

    Refused is only what looks alike, what is called like a split, and what leaves no two classes.
    """
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "data"
        for number, label in enumerate(sorted(labels)):
            for n, file in enumerate(sorted(files)):
                for split in splits:
                    for twin in range(2 if split else 5):
                        name = f"{twin}{file}.png"
                        put(root / split / label / name, 100 * number + 10 * n + twin)
        kept = sorted(label for label in labels if not names.ignored(label))
        try:
            whole = [read(root, s, validation=0.5) for s in ("train", "validation", "test")]
        except DistillError as error:
            assert str(error) and str(root) in str(error)
            bare = splits == ("",) and (len(kept) < 2 or {k.casefold() for k in kept} & {*SPLITS})
            assert bare or not kept or names.alike(kept)
            return
        assert list(whole[0].classes) == kept
        trained = sorted(name for data in whole for name in data.names)
        try:
            ran = [path.relative_to(root).as_posix() for path in found([root])]
        except InputError:
            ran = []
        assert trained == sorted("/".join(name.split("/")[-2:]) for name in ran)


@pytest.mark.parametrize(
    "name", ["d.zip", "d.tar", "d.tar.gz", "d.parquet", "d", "d/train.parquet"]
)
def test_a_pipe_in_the_place_of_data_is_an_error_at_once(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    os.mkfifo(tmp_path / name)
    raised: list[Exception] = []

    def reading() -> None:
        try:
            read(tmp_path / name.split("/")[0])
        except DistillError as error:
            raised.append(error)

    thread = threading.Thread(target=reading, daemon=True)
    thread.start()
    thread.join(10)
    assert "pipe" in str(raised[0]) and name in str(raised[0])
