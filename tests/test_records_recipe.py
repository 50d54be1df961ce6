"""Recipes: what the packaged ones say, and what each mistake is called."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from distill import losses
from zoo.errors import NotFound, RecipeError
from zoo.records import card as cards
from zoo.records import plain
from zoo.records import recipe as recipes
from zoo.records.recipe import Recipe, bind, digest, read
from zoo.records.text import Document
from zoo.registry import local
from zoo.stores import folders

PLAIN = """\
name: toy-separable-small.ce
summary: A toy.
licence: Apache-2.0
data:
  source: no/such/place.zip
  licence: CC0-1.0
student:
  architecture: separable
train:
  epochs: 3
loss:
  name: ce
"""
TAUGHT = PLAIN.replace("loss:\n  name: ce\n", "teacher:\n  pretrained: efficientnet-lite0\n")


def reading(text: str, tmp_path: Path) -> Recipe:
    path = tmp_path / "toy.yaml"
    path.write_text(text)
    return read(path)


@pytest.mark.parametrize("name", recipes.recipes())
def test_every_packaged_recipe_is_read_and_named_like_its_file(name: str) -> None:
    assert recipes.find(name).name == name


def test_a_recipe_is_read_without_its_data(tmp_path: Path) -> None:
    recipe = reading(PLAIN, tmp_path)
    assert recipe.data.source == "no/such/place.zip"
    assert recipe.teacher is None
    assert recipe.compress is None
    assert recipe.train.epochs == 3


def test_what_is_not_written_has_the_defaults_of_the_stage(tmp_path: Path) -> None:
    from compress.config import Compress, Gates
    from distill.config import Augment, Loss

    recipe = reading(TAUGHT + "compress: {}\ngates: {}\n", tmp_path)
    assert recipe.augment == Augment()
    assert recipe.loss == Loss()
    assert (recipe.compress, recipe.gates) == (Compress(), Gates())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("licence: Apache-2.0", "license: Apache-2.0", "toy.yaml:3: license: unknown key"),
        ("epochs: 3", "epochs: 3\n  epoch: 4", "toy.yaml:11: train.epoch: unknown key"),
        ("epochs: 3", "epochs: 3\n  epochs: 4", 'toy.yaml:11: the key "epochs" comes twice'),
        ("epochs: 3", "epochs: three", "toy.yaml:10: train.epochs: must be a whole number"),
        ("epochs: 3", "epochs: 3.5", "train.epochs: must be a whole number, not 3.5"),
        ("epochs: 3", "epochs: 0", "toy.yaml:10: train.epochs: epochs must be >= 1, not 0"),
        ("pretrained: efficientnet-lite0", "licence: MIT", "toy.yaml:11: teacher: a teacher is"),
        ("teacher:\n  pretrained: efficientnet-lite0\n", "", "teacher is missing"),
        ("teacher:", "loss: {temperature: 0}\nteacher:", "temperature must be > 0, not 0.0"),
        ("teacher:", "loss: {kd: 0.3}\nteacher:", r"ce \+ kd must be 1, not 0.4"),
        ("teacher:", "loss: {name: kl}\nteacher:", 'loss.name: must be one of "ce", "kd"'),
        ("teacher:", "loss: {name: ce}\nteacher:", "does not learn from one"),
        ("teacher:", "gates: {}\nteacher:", "compress and gates belong together"),
        ("name: toy", "name: ../toy", "toy.yaml:1: name: name must be letters"),
        ("summary: A toy.", "summary: ''", "toy.yaml:2: summary: summary must not be empty"),
        ("data:\n", "data: here\ndatum:\n", "datum: unknown key"),
        ("data:\n  source: no/such/place.zip\n  licence: CC0-1.0\n", "", '"data" is missing'),
        ("source: no/such/place.zip", "source: ''", "source must not be empty"),
    ],
)
def test_a_mistake_is_one_error_that_names_its_line(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    assert old in TAUGHT
    with pytest.raises(RecipeError, match=message):
        reading(TAUGHT.replace(old, new, 1), tmp_path)


def test_a_loss_that_somebody_added_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = losses.Kind(lambda loss, s, t, target: s.mean(), {"gamma": 3.0})
    monkeypatch.setitem(losses.LOSSES, "theirs", theirs)
    loss = reading(TAUGHT.replace("teacher:", "loss: {name: theirs}\nteacher:"), tmp_path).loss
    assert (loss.name, loss.gamma) == ("theirs", 3.0)


def test_the_digest_is_of_the_meaning(tmp_path: Path) -> None:
    recipe = reading(TAUGHT, tmp_path)
    assert digest(reading("# a comment\n" + TAUGHT, tmp_path)) == digest(recipe)
    assert digest(reading(TAUGHT + "labels: {views: 8}\n", tmp_path)) == digest(recipe)
    assert digest(reading(TAUGHT + "labels: {views: 9}\n", tmp_path)) != digest(recipe)
    assert len(digest(recipe)) == 64


def test_a_resolved_recipe_is_read_back_the_same(tmp_path: Path) -> None:
    recipe = reading(TAUGHT + "compress: {}\ngates: {}\n", tmp_path)
    resolved: Any = json.loads(plain.canonical(recipe))
    assert bind(Document(resolved, "run.json")) == recipe
    assert reading(yaml.safe_dump(resolved), tmp_path) == recipe
    assert dataclasses.replace(recipe, name="other") != recipe


def test_a_name_that_is_near_is_offered(tmp_path: Path) -> None:
    known = recipes.recipes()
    if not known:
        pytest.skip("no recipes are packaged")
    with pytest.raises(NotFound, match="no recipe is called") as caught:
        recipes.find(known[0] + "x")
    assert known[0] in caught.value.hint


def test_a_missing_file_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such recipe file"):
        recipes.find(tmp_path / "none.yaml")


def test_a_bare_name_is_a_packaged_recipe_whatever_lies_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = recipes.recipes()[0]
    (tmp_path / name).write_text(TAUGHT)
    (tmp_path / "toy.yml").write_text(TAUGHT)
    assert recipes.path_of(name).parent != tmp_path
    assert (
        recipes.find("toy.yml").name == recipes.find(f"./{name}").name == "toy-separable-small.ce"
    )


@pytest.mark.parametrize("name", [n for n in sorted(local.load()) if folders.holder(n).has(n)])
def test_a_published_student_names_the_recipe_that_is_packaged(name: str) -> None:
    """A setting that came later, at its default, must not change the hash of an older recipe."""
    card = cards.read(folders.holder(name).folder(name))
    assert digest(recipes.find(name)) == card.recipe_sha256


def test_a_setting_that_came_later_counts_when_it_is_not_the_default(tmp_path: Path) -> None:
    recipe = reading(TAUGHT, tmp_path)
    later = dataclasses.replace(recipe.labels, share=0.5)
    assert "share" not in plain.canonical(recipe)
    assert "share" in plain.canonical(dataclasses.replace(recipe, labels=later))


def test_an_option_of_a_student_may_be_true_or_false(tmp_path: Path) -> None:
    text = recipes.path_of("cifar10-shufflenet-v1-g3-x0.5.kd").read_text("utf-8")
    file = tmp_path / "cifar10-shufflenet-v1-g3-x0.5.kd.yaml"
    file.write_text(text.replace("groups: 3,", "groups: 3, shuffle: false,"), "utf-8")
    options = recipes.find(file).student.options
    assert options["shuffle"] is False and options["groups"] == 3
