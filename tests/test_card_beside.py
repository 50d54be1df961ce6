"""Cards side by side: what is comparable, what is chance, and what differs."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from compared import RECIPE, ROW, score, scored

from zoo.card import beside
from zoo.card.beside import Side
from zoo.records import card as cards
from zoo.records.card import Card, TeacherFacts


@pytest.fixture
def card(files: Path) -> Card:
    return cards.read(files / "tiny")


def run(test: str = "a" * 64, **more: Any) -> dict[str, Any]:
    return {"recipe": copy.deepcopy(RECIPE), "data": {"test": test, "train": "b" * 64}, **more}


def sides(card: Card, other: Card, one: Any = None, two: Any = None) -> list[Side]:
    return [Side("a", card, one or {}), Side("b", other, two or {})]


# --- can they be compared ------------------------------------------------------------------------


def test_the_same_data_leave_no_doubt(card: Card) -> None:
    assert beside.doubts(sides(card, card, run(), run())) == []
    assert beside.doubts(sides(card, card)) == []


def test_other_test_data_are_not_comparable_and_have_no_gap(card: Card) -> None:
    given = sides(card, card, run(), run("c" * 64))
    (doubt,) = beside.doubts(given)
    assert (doubt.label, doubt.comparable) == ("b", False)
    assert doubt.why == "it was tested on other data"
    assert beside.gaps(given) == []


def test_another_reader_of_the_same_files_is_named(card: Card) -> None:
    (doubt,) = beside.doubts(sides(card, card, run(), run("c" * 64, reader=2)))
    assert "another version of the reader" in doubt.why


def test_cards_alone_are_held_by_the_sha256_of_their_data(card: Card) -> None:
    other = replace(card, data=replace(card.data, sha256="1" * 64))
    (doubt,) = beside.doubts(sides(card, other, run()))
    assert not doubt.comparable
    assert "other data (sha256)" in doubt.why


def test_other_training_data_with_one_test_are_comparable_and_said(card: Card) -> None:
    other = replace(card, data=replace(card.data, sha256="1" * 64))
    given = sides(card, other, run(), run())
    (doubt,) = beside.doubts(given)
    assert doubt.comparable
    assert len(beside.gaps(given)) == 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"task": "text-classification"}, "of text-classification"),
        ({"labels": ("red", "green", "pink")}, "other labels (3)"),
    ],
)
def test_other_labels_and_tasks_are_not_comparable(
    fields: dict[str, Any], said: str, card: Card
) -> None:
    (doubt,) = beside.doubts(sides(card, replace(card, **fields), run(), run()))
    assert not doubt.comparable
    assert said in doubt.why


def test_labels_in_another_order_are_the_same_labels(card: Card) -> None:
    assert beside.doubts(sides(card, replace(card, labels=card.labels[::-1]))) == []


def test_agreement_with_one_teacher_is_not_agreement_with_another(card: Card) -> None:
    agreed = scored(card, replace(score(0.9, 0.8, 0.95), metric="agreement with its teacher"))
    one, other = (
        replace(agreed, teacher=TeacherFacts("t", "here", digit * 64, "MIT", None))
        for digit in "12"
    )
    assert beside.doubts(sides(one, one, run(), run())) == []
    (doubt,) = beside.doubts(sides(one, other, run(), run()))
    assert not doubt.comparable and "another teacher" in doubt.why
    right = (scored(side, score(0.9, 0.8, 0.95)) for side in (one, other))
    assert beside.doubts(sides(*right, run(), run())) == []


# --- chance --------------------------------------------------------------------------------------


def test_a_gap_has_the_interval_of_newcombe() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), method 10: 56/70 and 48/80
    one, first = score(0.8, 0.6918, 0.8769, 70), score(0.6, 0.4904, 0.7003, 80)
    found = beside.gap("b", "int8", one, first)
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=2e-3)
    assert found.larger_than_chance


def test_a_gap_within_the_intervals_may_be_chance() -> None:
    near = beside.gap("b", "int8", score(0.90, 0.88, 0.92), score(0.91, 0.89, 0.93))
    assert not near.larger_than_chance
    assert near.low < near.value < 0 < near.high
    far = beside.gap("b", "int8", score(0.80, 0.78, 0.82), score(0.91, 0.89, 0.93))
    assert far.larger_than_chance


def test_equal_scores_have_no_gap_larger_than_chance(card: Card) -> None:
    found = beside.gaps(sides(card, card))
    assert [gap.precision for gap in found] == ["int8", "fp32"]
    assert not any(gap.larger_than_chance for gap in found)


def test_a_file_that_one_of_them_lacks_is_left_out(card: Card) -> None:
    other = replace(card, variants={"fp32": card.variants["fp32"]})
    assert [gap.precision for gap in beside.gaps(sides(card, other))] == ["fp32"]
    assert [gap.precision for gap in beside.gaps(sides(other, card))] == ["fp32"]


# --- latency -------------------------------------------------------------------------------------


def test_latency_stands_beside_where_device_and_runtime_agree(card: Card) -> None:
    one, other = (replace(card, latency=(replace(ROW, p50_ms=ms),)) for ms in (1.0, 2.0))
    (found,) = beside.latencies(sides(one, other))
    assert found.p50_ms == {"a": 1.0, "b": 2.0}
    assert found.setup.device_name == "Sample CPU"


@pytest.mark.parametrize(
    "other",
    [
        {"device_name": "Other CPU"},
        {"isa": "avx2 avx512_vnni"},
        {"runtime_version": "1.32.0"},
        {"batch": 8},
        {"threads": 2},
        {"precision": "fp32"},
        {"precision": "plain-fp32"},
    ],
)
def test_other_latencies_are_not_set_beside_each_other(other: dict[str, Any], card: Card) -> None:
    given = [replace(card, latency=(row,)) for row in (ROW, replace(ROW, **other))]
    assert beside.latencies(sides(*given)) == []


# --- what differs --------------------------------------------------------------------------------


def test_settings_that_differ_are_named_with_dots(card: Card) -> None:
    one, two = run(), run()
    two["recipe"]["train"]["epochs"] = 5
    two["recipe"]["student"]["options"] = {"width": 1.0, "stem": "small"}
    found = {row.key: row.values for row in beside.settings(sides(card, card, one, two))}
    assert found == {
        "student.options.width": {"a": 0.5, "b": 1.0},
        "student.options.stem": {"b": "small"},
        "train.epochs": {"a": 3, "b": 5},
    }


def test_a_default_that_is_written_out_is_no_difference(card: Card) -> None:
    two = run()
    two["recipe"]["train"]["processes"] = 0
    two["recipe"]["data"]["order"] = "name"
    two["recipe"]["summary"] = "In other words"
    assert beside.settings(sides(card, card, run(), two)) == []


def test_a_recipe_that_is_not_understood_here_is_compared_as_it_is_written(card: Card) -> None:
    one, two = run(), run()
    for given, value in ((one, 1), (two, 2)):
        given["recipe"]["later"] = {"key": [{"deep": value}]}
    (found,) = beside.settings(sides(card, card, one, two))
    assert (found.key, found.values) == ("later.key[0].deep", {"a": 1, "b": 2})


def test_data_and_versions_that_differ_are_named(card: Card) -> None:
    other = replace(card, data=replace(card.data, train=7), created="2026-02-02")
    training = {"device": "cpu: Some CPU", "seconds": 3.0, "curves": [{"loss": 1.0}]}
    one = run(versions={"torch": "2.12"}, seeds={"0": training})
    two = run("c" * 64, versions={"torch": "2.13"}, seeds={"0": training | {"seconds": 4.0}})
    given = sides(card, other, one, two)
    assert [row.key for row in beside.data(given)] == ["train", "splits.test"]
    assert [row.key for row in beside.versions(given)] == [
        "created",
        "versions.torch",
        "trained.seconds",
    ]


def test_another_teacher_is_a_difference(card: Card) -> None:
    teacher = TeacherFacts("big", "here", "d" * 64, "CC0-1.0", score(0.9, 0.8, 1.0))
    (row,) = beside.versions(sides(card, replace(card, teacher=teacher)))
    assert (row.key, row.values) == ("teacher_sha256", {"b": "d" * 64})


@pytest.mark.parametrize(
    "odd", [{"recipe": []}, {"data": "x"}, {"seeds": {"0": 3}}, {"seeds": []}, {"versions": None}]
)
def test_a_run_of_odd_shape_stops_nothing(odd: dict[str, Any], card: Card) -> None:
    given = sides(card, card, run(), run() | odd)
    assert set(beside.differences(given)) == {"settings", "data", "versions"}
    beside.doubts(given)
