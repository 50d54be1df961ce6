"""Students beside published models: which ones, and what the pages of a hub show of them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")

import httpx2

import zoo
from zoo.records import baselines
from zoo.serve.catalogue import models, plot
from zoo.serve.catalogue.beside import compared
from zoo.serve.catalogue.models import Row
from zoo.stores.store import Add, Store

EMBEDDED = Path(zoo.__file__ or "").parent / "embedded"
CIFAR, LANGID = "cifar10-separable-small.kd", "langid75-ngram-small.lingua"


def put(hub: Any, repo: str, files: dict[str, bytes]) -> Any:
    store = Store(hub.root)
    store.create(repo)
    adds = [Add(path, store.add([data])[0]) for path, data in files.items()]
    return models.look(repo, store.commit(repo, "main", adds, title="first"), store)


def files(name: str, **accuracy: Any) -> dict[str, bytes]:
    """Those of a published student, its scores changed."""
    found = {path.name: path.read_bytes() for path in (EMBEDDED / name).iterdir()}
    card = json.loads(found["card.json"])
    for variant in card["variants"].values():
        variant["accuracy"] |= accuracy
    return found | {"card.json": json.dumps(card).encode()}


@pytest.fixture
def row(hub: Any) -> Row:
    found: Row = put(hub, "lab/cifar", files(CIFAR)).row
    return found


def test_students_and_published_models_of_one_test_set_stand_by_parameters(row: Row) -> None:
    (found,) = compared([row, replace(row, name="birds", dataset="birds")], baselines.packaged())
    assert found.test_set == "CIFAR-10, n = 10,000"
    assert [line.name for line in found.lines if not line.source] == [CIFAR]
    theirs = {line.name: line for line in found.lines if line.source}
    assert len(theirs) == len(found.lines) - 1 >= 3
    assert theirs["ShuffleNet v2 0.5x"].accuracy == pytest.approx(0.9013)
    sizes = [line.parameters for line in found.lines]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    "other",
    [{"n": 9000}, {"split": "validation"}, {"dataset": "CIFAR-100"}, {"parameters": 0}],
)
def test_another_test_set_has_no_published_models(row: Row, other: dict[str, Any]) -> None:
    assert compared([replace(row, **other)], baselines.packaged()) == []


def test_the_picture_has_a_hollow_mark_for_each_published_model(row: Row) -> None:
    (found,) = compared([row], baselines.packaged())
    for frame in (plot.WIDE, plot.NARROW):
        drawn = found.picture(frame)
        assert drawn.count('"point published"') == len(found.lines) - 1
        assert drawn.count('"point alone"') == 1
        assert "published, not measured here" in drawn and "parameters, millions" in drawn


@pytest.mark.parametrize("page", ["/", "/lab/cifar"])
@pytest.mark.usefixtures("row")
def test_a_page_says_who_published_what_and_that_it_was_not_measured_here(
    hub: Any, page: str
) -> None:
    text = httpx2.get(f"{hub.url}{page}").text
    assert "Beside published models: CIFAR-10, n = 10,000" in text
    (known,) = baselines.packaged()
    for model in known.models:
        (line,) = re.findall(rf'<th scope="row">{re.escape(model.name)}</th>.*?</tr>', text, re.S)
        assert f"{model.accuracy_percent:.2f}</td>" in line
        assert model.source in line and f'href="{model.url}"' in line
        assert "not measured here" in line and model.read in line
    assert re.search(rf'<a href="/lab/cifar">{re.escape(CIFAR)}</a>', text)


def test_pages_without_a_student_of_that_test_set_have_nothing_of_it(hub: Any) -> None:
    put(hub, "lab/langid", files(LANGID))
    put(hub, "lab/part", files(CIFAR, n=9000))
    for page in ("/", "/lab/langid", "/lab/part"):
        assert "ublished models" not in httpx2.get(f"{hub.url}{page}").text


@pytest.mark.parametrize("axis", ["latency", "size"])
def test_a_page_says_pareto_front_of_three_students_and_not_of_two(hub: Any, axis: str) -> None:
    address = f"{hub.url}/?axis={axis}"
    for name in ("one", "two"):
        put(hub, f"lab/{name}", files(CIFAR))
    text = httpx2.get(address).text
    assert "2 students" in text and "Pareto" not in text and 'class="front"' not in text
    put(hub, "lab/three", files(CIFAR, value=0.82, low=0.8, high=0.85))
    text = httpx2.get(address).text
    assert "3 students" in text and "The line is the Pareto front" in text
    assert text.count('class="badge">Pareto front') == 2  # the twins; the third is beaten
    fewer = httpx2.get(address, params={"axis": axis, "search": "lab/t"}).text
    assert "2 of 3 students" in fewer and "Pareto" not in fewer
