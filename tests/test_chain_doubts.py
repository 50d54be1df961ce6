"""What is doubtful of data and teacher is told, or refused, before anything is made of it."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from distill.errors import DistillError
from zoo.card import page
from zoo.chain.build import build, chain
from zoo.chain.made import Labelled
from zoo.records import card as cards
from zoo.records import recipe

RECIPE = """\
name: counts-separable-small.kd
summary: Twelve levels of red
licence: Apache-2.0
data: {source: counts, licence: CC0-1.0, image_size: 8, validation: 0.2}
teacher: {callable: "counting:answer", source: the level, licence: CC0-1.0}
student: {architecture: separable, options: {size: small}}
labels: {views: 1, top_k: 12}
train: {epochs: 1, batch_size: 8}
"""
COUNTING = """\
import numpy as np

def answer(images):
    return -np.abs(images[..., 0].mean((1, 2))[:, None] - 20 * np.arange(12))
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders 0 to 11, and a teacher who answers in counting order."""
    chance = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 2)):
        for label in range(12):
            (tmp_path / "counts" / split / str(label)).mkdir(parents=True)
            for i in range(count):
                pixels = chance.integers(0, 256, (8, 8, 3), np.uint8)
                pixels[..., 0] = 20 * label
                Image.fromarray(pixels).save(tmp_path / "counts" / split / str(label) / f"{i}.png")
    (tmp_path / "counting.py").write_text(COUNTING)
    (tmp_path / "student.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "counting", raising=False)
    monkeypatch.delenv("ZOO_DATA", raising=False)
    return tmp_path


def label() -> tuple[Labelled, list[str]]:
    """The first stage, and what it told."""
    told: list[str] = []
    made = chain(recipe.written("student.yaml"), None, Path("runs"), until="label", say=told.append)
    return made, [line for line in told if "warning" in line]


def test_a_teacher_in_counting_order_labels_nothing_and_its_order_is_shown(lab: Path) -> None:
    with pytest.raises(
        DistillError, match=r"right in 1\d\.\d%, and in 100\.0% if its 2 is '2'"
    ) as e:
        build("student.yaml", work=Path("runs"), until="label")
    assert "data.order: natural" in e.value.hint
    assert not list(Path("runs").rglob("*.npz"))


def test_with_the_classes_in_natural_order_the_same_teacher_is_right(lab: Path) -> None:
    text = RECIPE.replace("image_size: 8", "image_size: 8, order: natural")
    (lab / "student.yaml").write_text(text)
    made, warnings = label()
    assert made.data.labels == tuple(map(str, range(12)))
    assert warnings == [] and list(Path("runs").rglob("*.npz"))


def test_a_teacher_that_guesses_is_refused(lab: Path) -> None:
    (lab / "counting.py").write_text(
        COUNTING.replace("images[..., 0].mean", "0 * images[..., 0].mean")
    )
    with pytest.raises(DistillError, match="no better than guessing"):
        build("student.yaml", work=Path("runs"), until="label")


def test_a_double_is_told_with_its_names_and_counted_on_the_card(lab: Path, files: Path) -> None:
    text = RECIPE.replace("image_size: 8", "image_size: 8, order: natural")
    (lab / "student.yaml").write_text(text)
    shutil.copy(lab / "counts/train/3/3.png", lab / "counts/test/3/x.png")
    made, (warning,) = label()
    assert "1 pictures of test are trained on, too: test/3/x.png = " in warning
    assert made.data.doubles == 1
    card = cards.read(files / "sample-card.json")
    assert '"doubles"' not in cards.to_json(card)  # a card from before keeps its bytes
    data = dataclasses.replace(card.data, doubles=1)
    assert "(1 of them are trained on, too)" in page.render(dataclasses.replace(card, data=data))


def test_a_double_with_another_label_stops_the_build(lab: Path) -> None:
    shutil.copy(lab / "counts/train/3/3.png", lab / "counts/test/4/x.png")
    with pytest.raises(DistillError, match=r"another label in train: test/4/x\.png = "):
        build("student.yaml", work=Path("runs"), until="label")


def test_what_was_held_out_of_classes_alone_is_told(lab: Path) -> None:
    (lab / "counts/train").rename(lab / "alone")
    shutil.rmtree(lab / "counts")
    (lab / "alone").rename(lab / "counts")
    (lab / "student.yaml").write_text(
        RECIPE.replace("image_size: 8", "image_size: 8, order: natural")
    )
    made, (warning, *_) = label()
    assert "12 of 72 pictures, a fifth of each class" in warning
    assert len(made.data.train) + len(made.data.validation) == 60


def test_a_broken_picture_of_test_stops_the_build_before_the_teacher_is_asked(lab: Path) -> None:
    (lab / "counts/test/3/1.png").write_bytes(b"cut off")
    (lab / "counts/train/7/2.png").write_bytes(b"")
    with pytest.raises(DistillError, match=r"2 pictures cannot be read: .*7/2\.png: .*3/1\.png: "):
        label()
    assert not list(Path("runs").rglob("*.npz"))


def test_what_is_left_out_is_told_and_counted_on_the_card(lab: Path, files: Path) -> None:
    (lab / "counts/test/3/1.png").write_bytes(b"cut off")
    (lab / "counts/train/7/2.png").write_bytes(b"")
    text = RECIPE.replace("image_size: 8", "image_size: 8, order: natural, on_broken: skip")
    (lab / "student.yaml").write_text(text)
    made, warnings = label()
    assert made.data.skipped == 2 and len(warnings) == 2
    assert "pictures of test left out because they cannot be read: 1 (" in warnings[1]
    card = cards.read(files / "sample-card.json")
    assert '"skipped"' not in cards.to_json(card)  # a card from before keeps its bytes
    data = dataclasses.replace(card.data, skipped=2)
    shown = page.render(dataclasses.replace(card, data=data))
    assert "; 2 could not be read and were left out" in shown


def test_a_teacher_sees_pictures_at_their_own_size(lab: Path, files: Path) -> None:
    """The answers of 8 pixels are not those of 16: the step before was kept under another key."""
    text = RECIPE.replace("image_size: 8", "image_size: 8, order: natural")
    (lab / "student.yaml").write_text(text)
    before, _ = label()
    strict = "    assert images.shape[1:] == (16, 16, 3)\n    return"
    (lab / "counting.py").write_text(COUNTING.replace("    return", strict))
    sys.modules.pop("counting")
    (lab / "student.yaml").write_text(text.replace("image_size: 8", "image_size: 8, keep_size: 16"))
    made, _ = label()
    assert made.data.train.seen.shape[1:] == (16, 16, 3)
    assert made.data.train.images.shape[1:] == (8, 8, 3)
    assert made.data.train.sha256 != before.data.train.sha256
    card = cards.read(files / "sample-card.json")
    assert '"keep_size"' not in cards.to_json(card)
    data = dataclasses.replace(card.data, keep_size=16)
    assert "at 16 pixels a side" in page.render(dataclasses.replace(card, data=data))
