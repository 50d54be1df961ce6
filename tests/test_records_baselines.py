"""Models that others published: which rows are read, and beside which scores they stand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import zoo
from zoo.errors import CardError
from zoo.records import baselines, card
from zoo.records.measures import Score

EMBEDDED = Path(zoo.__file__ or "").parent / "embedded"
MODEL = {
    "name": "Net 1x",
    "accuracy_percent": 90.13,
    "parameters": 350_000,
    "macs": 10_900_000,
    "source": "lab/nets",
    "url": "https://example.org/lab/nets#table",
    "read": "2026-01-31",
}


def written(path: Path, *models: dict[str, Any], **changed: Any) -> Path:
    one = {"metric": "top-1 accuracy", "dataset": "birds", "split": "test", "n": 500}
    document = {"format": 1, "test_sets": [one | {"models": models or (MODEL,)} | changed]}
    path.write_text(json.dumps(document), encoding="utf-8")  # which is YAML, too
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "baselines.yaml"


def birds(**changed: Any) -> Score:
    return replace(Score("top-1 accuracy", "birds", "test", 500, 0.8, 0.7, 0.9), **changed)


def test_they_stand_beside_a_score_on_the_same_test_set_the_smallest_first(file: Path) -> None:
    small = MODEL | {"name": "Net 0.5x", "parameters": 1000, "macs": None}
    found = baselines.on(baselines.load(written(file, MODEL, small)), birds())
    assert [model.name for model in found] == ["Net 0.5x", "Net 1x"]
    assert [model.macs for model in found] == [None, 10_900_000]
    assert found[1].accuracy == pytest.approx(0.9013)


@pytest.mark.parametrize(
    "other",
    [{"dataset": "Birds"}, {"split": "validation"}, {"n": 499}, {"metric": "top-5 accuracy"}],
)
def test_they_stand_beside_no_score_on_another(file: Path, other: dict[str, Any]) -> None:
    assert baselines.on(baselines.load(written(file)), birds(**other)) == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"accuracy_percent": 0.9013}, "accuracy_percent is per cent"),
        ({"accuracy_percent": 100.5}, "accuracy_percent is per cent"),
        ({"accuracy_percent": "90.13"}, "must be a number"),
        ({"parameters": 0}, "parameters must be positive"),
        ({"parameters": 0.35}, "must be a whole number"),
        ({"macs": -1}, "macs must be positive"),
        ({"url": "http://example.org"}, "url must be an https address"),
        ({"url": "javascript:alert(1)"}, "url must be an https address"),
        ({"url": 'https://x.org/"onclick="y'}, "url must be an https address"),
        ({"url": "https://x.org/a) b"}, "url must be an https address"),
        ({"read": "31.1.2026"}, "read must be a day"),
        ({"read": "2026-02-30"}, "read must be a day"),
        ({"name": " "}, "name must be"),
        ({"name": "x" * 81}, "name must be"),
        ({"name": "<b>net</b>"}, "name must be"),
        ({"source": "[here](http://x)"}, "source must be"),
        ({"parametres": 1}, "unknown key"),
    ],
)
def test_a_bad_row_is_one_error_that_names_file_and_line(
    file: Path, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(CardError, match=rf"baselines\.yaml:1: test_sets\[0\].*{told}") as caught:
        baselines.load(written(file, MODEL | change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", sorted(set(MODEL) - {"macs"}))
def test_a_row_without_a_value_is_refused(file: Path, key: str) -> None:
    row = {name: value for name, value in MODEL.items() if name != key}
    with pytest.raises(CardError, match=f'"{key}" is missing'):
        baselines.load(written(file, row))


def test_what_comes_twice_is_refused(file: Path) -> None:
    with pytest.raises(CardError, match="models has 'net 1x' twice"):
        baselines.load(written(file, MODEL, MODEL | {"name": "NET 1X"}))
    document = json.loads(written(file).read_text())
    document["test_sets"] *= 2
    file.write_text(json.dumps(document))
    with pytest.raises(CardError, match=r"test_sets has .* twice"):
        baselines.load(file)


@pytest.mark.parametrize(
    "change", [{"metric": "mean absolute error"}, {"n": 0}, {"models": []}, {"dataset": ""}]
)
def test_a_bad_test_set_is_refused(file: Path, change: dict[str, Any]) -> None:
    with pytest.raises(CardError, match=next(iter(change))):
        baselines.load(written(file, **change))


def test_hostile_text_is_fit_to_be_shown_once_it_is_read(file: Path) -> None:
    hostile = MODEL | {"name": "Net\u202e \u200b", "source": "lab\n# nets\u0000"}
    (model,) = baselines.on(baselines.load(written(file, hostile)), birds())
    assert (model.name, model.source) == ("Net\\u202e \\u200b", "lab # nets\\u0000")


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
def test_any_text_is_refused_or_can_be_printed(name: str, source: str) -> None:
    try:
        model = baselines.Baseline(**(MODEL | {"name": name, "source": source}))  # type: ignore[arg-type]
    except ValueError:
        return
    shown = baselines.cleaned(model)
    assert shown.name.isprintable() and shown.source.isprintable()


def test_those_of_this_package_stand_beside_students_of_this_package() -> None:
    scores = [
        card.read(path.parent).variants["fp32"].accuracy for path in EMBEDDED.glob("*/card.json")
    ]
    tested = {baselines.tested_on(score) for score in scores}
    assert baselines.packaged()
    assert {baselines.tested_on(one) for one in baselines.packaged()} <= tested
