"""A picture in two splits is said before training, or refused where its labels differ."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distill.config import Data
from distill.data import doubles, load
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
