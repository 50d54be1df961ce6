"""`--set KEY=VALUE` over a recipe: read by the same strict reader, and named where it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import RecipeError
from zoo.records.override import override
from zoo.records.recipe import digest, written
from zoo.records.text import Document

RECIPE = """\
name: toy-separable-small.kd
summary: A toy.
licence: Apache-2.0
data: {source: no/such/place.zip, licence: CC0-1.0}
teacher: {pretrained: efficientnet-lite0}
student: {architecture: separable}
train:
  epochs: 3
compress:
gates:
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(
        RECIPE.replace("compress:\n", "compress: {ladder: [{name: a}, {name: b}]}\n").replace(
            "gates:\n", "gates: {}\n"
        )
    )
    return path


@pytest.mark.parametrize(
    ("setting", "place", "value"),
    [
        ("train.epochs=7", "train.epochs", 7),
        ("train.learning_rate=5e-2", "train.learning_rate", 0.05),
        ("train.seeds=[0, 1]", "train.seeds", (0, 1)),
        ("train.schedule=cosine", "train.schedule", "cosine"),
        ("student.options={size: base}", "student.options", {"size": "base"}),
        ("student.options.size=base", "student.options", {"size": "base"}),
        ("augment.flip=true", "augment.flip", True),
        ("summary=a = b", "summary", "a = b"),
        ("compress.ladder.1.name=c", "compress.rungs", None),
        ("gates.max_gap_points=null", "gates.max_gap_points", None),
    ],
)
def test_a_setting_takes_the_place_of_the_files(
    toy: Path, setting: str, place: str, value: Any
) -> None:
    found: Any = written(str(toy), [setting]).recipe
    for part in place.split("."):
        found = getattr(found, part)
    assert found == value or (value is None and found is not None and found[1].name == "c")
    text = toy.read_text()
    assert written(str(toy)).recipe is not None and toy.read_text() == text


@pytest.mark.parametrize(
    ("setting", "said", "hint"),
    [
        ("train.epoch=3", "--set train.epoch: train.epoch: unknown key", '"epochs"'),
        ("train.epochs=three", "--set train.epochs: train.epochs: must be a whole number", ""),
        ("train.epochs=0", "--set train.epochs: train.epochs: epochs must be >= 1", ""),
        ("trian.epochs=3", "--set trian.epochs: trian: unknown key", '"train"'),
        ("train.epochs.more=3", "--set train.epochs.more: there is no such place", ""),
        ("compress.ladder.2.name=c", "there is no such place", ""),
        ("compress.ladder.-1.name=c", "there is no such place", ""),
        ("train.epochs", "no KEY=VALUE", "train.epochs=3"),
        ("=3", "no KEY=VALUE", ""),
        ("train..epochs=3", "no KEY=VALUE", ""),
        ("train.epochs=[3", "--set train.epochs:1: ", ""),
        ("train.epochs=&a 3", "anchors and aliases are not read", ""),
        ("loss.kd=0.3", "ce + kd must be 1", ""),
        ("name=../toy", "--set name: name: name must be letters", ""),
        ("train=3", "--set train: train: must be a mapping", ""),
    ],
)
def test_a_setting_that_is_wrong_is_one_error_that_names_the_option(
    toy: Path, setting: str, said: str, hint: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        written(str(toy), [setting])
    assert said in str(caught.value) and "--set" in str(caught.value)
    assert hint in caught.value.hint


def test_a_setting_that_comes_twice_is_refused(toy: Path) -> None:
    with pytest.raises(RecipeError, match=r"--set train\.epochs: comes twice"):
        written(str(toy), ["train.epochs=3", "train.epochs=4"])


def test_two_settings_of_a_new_section_stand_together(toy: Path) -> None:
    recipe: Any = written(str(toy), ["augment.flip=true", "augment.cutout=4"]).recipe
    assert (recipe.augment.flip, recipe.augment.cutout) == (True, 4)


def test_what_is_set_as_it_was_changes_no_hash(toy: Path) -> None:
    assert digest(written(str(toy), ["train.epochs=3"]).recipe) == digest(written(str(toy)).recipe)


def test_a_fault_of_the_file_is_told_of_the_file(toy: Path) -> None:
    toy.write_text(toy.read_text().replace("summary:", "sumary:"))
    with pytest.raises(RecipeError, match=r"toy\.yaml:2: sumary: unknown key"):
        written(str(toy), ["train.epochs=4"])


@pytest.mark.parametrize("text", ["", "- a\n", "word\n"])
def test_what_is_no_recipe_is_told_of_the_file(toy: Path, text: str) -> None:
    toy.write_text(text)
    with pytest.raises(RecipeError, match=r"toy\.yaml.*mapping"):
        written(str(toy), ["train.epochs=4"])


@given(setting=st.text(max_size=30))
def test_any_text_is_a_setting_or_one_error(setting: str) -> None:
    document = Document({"a": {"b": 1}, "c": [1, 2]}, "x.yaml")
    try:
        found = override(document, [setting], RecipeError)
    except RecipeError:
        return
    assert found.given and document.data == {"a": {"b": 1}, "c": [1, 2]}
