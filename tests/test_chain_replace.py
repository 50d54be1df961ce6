"""A student takes the place of a published one only if it is as good, or somebody says so."""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zoo.chain import store
from zoo.chain.store import worse
from zoo.errors import GateError
from zoo.files import sha256
from zoo.records import card
from zoo.records.card import Card
from zoo.records.measures import Scale, Score
from zoo.stores.folders import Folders


def score(value: float, low: float, high: float, **more: Any) -> Score:
    found = Score("top-1 accuracy", "flowers", "test", 60, value, low, high)
    return replace(found, **more)


BEFORE = score(0.9833, 0.9114, 0.9971)


def test_what_lies_below_the_interval_is_worse() -> None:
    assert "surely worse" in worse(BEFORE, score(0.8667, 0.75, 0.93))
    for value in (0.9114, 0.9667, 0.9833, 1.0):
        assert worse(BEFORE, score(value, 0.5, 1.0)) == ""


def test_of_an_error_what_lies_above_it_is() -> None:
    scale = Scale(unit="levels", best="lowest", high=None)
    before = score(0.2, 0.1, 0.3, scale=scale)
    assert worse(before, score(0.31, 0.2, 0.4, scale=scale))
    assert not worse(before, score(0.05, 0.0, 0.1, scale=scale))


@pytest.fixture
def step(passed: Path, tmp_path: Path, write_card: Callable[..., None]) -> Callable[..., Any]:
    """The store stage of the tiny student, its int8 file right so often."""
    import shutil

    def run(value: float, agree: bool = False, test: str = "", **more: Any) -> list[str]:
        folder = tmp_path / "built" / "card"
        shutil.rmtree(folder.parent, ignore_errors=True)
        shutil.copytree(passed, folder)
        facts = card.read(folder)
        int8 = facts.variants["int8"]
        told = replace(int8.accuracy, n=60, value=value, low=max(0, value - 0.07), high=1.0)
        variants = facts.variants | {"int8": replace(int8, accuracy=told)}
        if test:
            (folder / "run.json").write_text(json.dumps({"data": {"test": test}}))
            more["run_sha256"] = sha256(folder / "run.json")
        write_card(folder, **{"variants": variants} | more)
        said: list[str] = []
        made: Card = card.read(folder)
        job: Any = types.SimpleNamespace(
            name=made.name, store=tmp_path / "store", tell=said.append, agree=lambda about: agree
        )
        carded: Any = types.SimpleNamespace(folder=folder, card=made)
        with pytest.raises(StopIteration):
            next(store.run(carded, job))
        return said

    return run


def test_a_worse_student_is_refused_and_the_published_one_stays(
    step: Callable[..., list[str]], tmp_path: Path
) -> None:
    assert step(0.9833) == []
    published = Folders(tmp_path / "store")
    (name,) = published.names()
    before = published.revision(name)
    with pytest.raises(GateError, match=r"86\.67 % .* surely worse than accuracy 98\.33 %") as told:
        step(0.8667)
    assert "--replace" in told.value.hint
    assert published.revision(name) == before
    (line,) = step(0.8667, agree=True)
    assert "takes the place of one with accuracy 98.33 %" in line and "has accuracy 86.67" in line
    assert published.revision(name) != before


def test_a_student_as_good_goes_on_and_says_what_was_before(
    step: Callable[..., list[str]],
) -> None:
    step(0.95)
    (line,) = step(0.9667)
    assert line.startswith("takes the place of one with accuracy 95.00 %")
    (line,) = step(0.95)  # lower, and within the noise
    assert "96.67 %" in line


def test_one_that_is_built_again_says_nothing(step: Callable[..., list[str]]) -> None:
    step(0.95)
    assert step(0.95) == []


def test_other_test_data_of_the_same_name_are_asked_about(step: Callable[..., list[str]]) -> None:
    step(0.8667, test="a" * 64)
    with pytest.raises(GateError, match=r"cannot be compared .* it was tested on other data"):
        step(0.99, test="c" * 64)
    (line,) = step(0.99, agree=True, test="c" * 64)
    assert "takes the place" in line


def test_other_labels_are_asked_about(step: Callable[..., list[str]]) -> None:
    step(0.8667)
    with pytest.raises(GateError, match="other labels"):
        step(0.99, labels=("red", "green", "pink"))


def test_a_card_that_cannot_be_read_is_asked_about(
    step: Callable[..., list[str]], tmp_path: Path
) -> None:
    step(0.95)
    published = Folders(tmp_path / "store")
    (published.folder(published.names()[0]) / "card.json").write_text("{")
    with pytest.raises(GateError, match="cannot be compared"):
        step(0.99)
