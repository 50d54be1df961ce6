"""A picture in two splits is said before training, or refused where its labels differ."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distill.config import Data
from distill.data import Dataset, doubles, load
from distill.errors import DistillError

SIZE = 8  # pixels


def picture(seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    return Image.fromarray(pixels)


def encoded(seed: int, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    picture(seed).save(file, kind)
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten different pictures of cats and dogs to train on, three to test."""
    for split, count in (("train", 10), ("test", 3)):
        for label in ("cat", "dog"):
            (tmp_path / split / label).mkdir(parents=True)
            for i in range(count):
                seed = 100 * (split == "test") + 20 * (label == "dog") + i
                (tmp_path / split / label / f"{i}.png").write_bytes(encoded(seed))
    return tmp_path


def found(folder: Path) -> doubles.Doubles:
    data = Data(str(folder), "CC0-1.0", image_size=SIZE, validation=0.2)
    return doubles.find(*(load(data, split) for split in ("train", "validation", "test")))


def test_different_pictures_are_no_doubles(folder: Path) -> None:
    assert found(folder) == doubles.Doubles(0, ())


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_a_double_in_test_is_said_with_its_names_and_counted(folder: Path, kind: str) -> None:
    """Of equal bytes, or only of equal pixels."""
    (folder / f"test/cat/new.{kind.lower()}").write_bytes(encoded(0, kind))
    (folder / f"test/dog/new.{kind.lower()}").write_bytes(encoded(21, kind))
    test, (doubt,) = found(folder)
    assert test == 2
    assert doubt.startswith("2 pictures of test are trained on, too: test/cat/new.")
    assert "= train/cat/0.png" in doubt or "= validation/cat/0.png" in doubt


def test_a_double_with_another_label_is_an_error(folder: Path) -> None:
    (folder / "test/dog/new.png").write_bytes(encoded(0))
    with pytest.raises(DistillError, match="1 pictures of test have another label in train") as e:
        found(folder)
    assert "test/dog/new.png = " in str(e.value) and "cat/0.png" in str(e.value)
    assert "remove or correct" in e.value.hint


def test_a_held_out_picture_that_is_trained_on_is_said(folder: Path) -> None:
    data = Data(str(folder), "CC0-1.0", image_size=SIZE, validation=0.2)
    held = load(data, "validation").names[0]
    number = int(held.removeprefix("cat/").removesuffix(".png"))
    for i in range(10, 14):
        (folder / f"train/cat/{i}.png").write_bytes(encoded(number))
    test, (doubt,) = found(folder)
    assert test == 0 and "stand in train, too" in doubt and held in doubt


def test_a_picture_that_is_trained_on_with_two_labels_is_said(folder: Path) -> None:
    data = Data(str(folder), "CC0-1.0", image_size=SIZE, validation=0.2)
    name = next(n for n in load(data, "train").names if n.startswith("cat/"))
    for i in range(10, 14):
        (folder / f"train/dog/{i}.png").write_bytes((folder / "train" / name).read_bytes())
    (doubt,) = (d for d in found(folder).doubts if "have another label there" in d)
    assert f"train/{name} = train/dog/1" in doubt


def test_a_picture_under_two_labels_in_train_is_said(folder: Path) -> None:
    (folder / "train/dog/torn.png").write_bytes(encoded(0))
    test, doubts = found(folder)
    assert test == 0
    said = " ".join(doubts)
    assert "have another label there, too: " in said or "1 with another label" in said
    assert "cat/0.png" in said and "dog/torn.png" in said


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("label", [0, 1])
def test_what_stands_under_two_labels_is_wrong_for_either(split: str, label: int) -> None:
    """Whatever the order in which places are looked at: each label contradicts one of the two."""
    torn = made(split, [(0, 0), (0, 1), (0, 0), (1, 0)])
    if split == "test":
        found = doubles.find(made("train", [(2, 0)]), made("validation", [(3, 1)]), torn)
        assert found == (
            0,
            ("1 pictures of test have another label there, too: test/row 0 = test/row 1",),
        )
        return
    rest = made("validation" if split == "train" else "train", [(5, 0)])
    pair = (torn, rest) if split == "train" else (rest, torn)
    assert doubles.find(*pair, made("test", [(6, 0)])).doubts == (
        f"1 pictures of {split} have another label there, too: {split}/row 0 = {split}/row 1",
    )
    wrong = rf"test/row 0 = {split}/row {1 - label}$"
    with pytest.raises(DistillError, match=wrong):
        doubles.find(*pair, made("test", [(0, label)]))


def made(split: str, rows: list[tuple[int, int]]) -> Dataset:
    """Pictures by their seed, and labels."""
    images = np.stack([np.asarray(picture(seed)) for seed, _ in rows])
    labels = np.array([label for _, label in rows])
    return Dataset(images, labels, ("cat", "dog"), split, "")
