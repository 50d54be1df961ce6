"""The figures of a card: the same numbers give the same bytes, and the numbers are there."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from zoo.card import figures
from zoo.records import card as cards
from zoo.records.card import Card

SAMPLE = Path(__file__).parent / "files" / "sample-card.json"
RUN = {
    "seeds": {
        seed: {
            "curves": [
                {"epoch": 1, "loss": 2.0, "accuracy": first},
                {"epoch": 2, "loss": 1, "accuracy": 0.7},
            ]
        }
        for seed, first in (("0", 0.5), ("1", 0.4))
    }
}


@pytest.fixture
def card() -> Card:
    return cards.read(SAMPLE)


def text(svg: bytes) -> str:
    """All text that a reader of the picture sees."""
    return "\n".join(e.text or "" for e in ET.fromstring(svg).iter() if e.tag.endswith("text"))


@pytest.fixture
def drawn(card: Card) -> dict[str, bytes]:
    pytest.importorskip("matplotlib")
    return figures.draw(card, RUN)


def test_the_same_numbers_give_the_same_bytes(card: Card, drawn: dict[str, bytes]) -> None:
    assert figures.draw(card, RUN) == drawn


def test_no_date_and_no_version_gets_in(drawn: dict[str, bytes]) -> None:
    for svg in drawn.values():
        assert b"<dc:date>" not in svg
        assert b"Matplotlib v" not in svg


def test_latency_and_accuracy_are_labelled_with_units(drawn: dict[str, bytes]) -> None:
    shown = text(drawn["latency.svg"])
    for wanted in ("ms a picture", "accuracy, %", "95 % interval", "Sample CPU", "int8  0.312"):
        assert wanted in shown


def test_a_batch_is_shown_by_the_picture(drawn: dict[str, bytes]) -> None:
    shown = text(drawn["latency.svg"])
    assert "batch 32, 1 thread" in shown
    assert "int8  0.188" in shown  # 6 ms for 32 pictures


def test_curves_name_every_seed(drawn: dict[str, bytes]) -> None:
    shown = text(drawn["curves.svg"])
    for wanted in ("epoch", "loss, seed 0", "accuracy, seed 1", "accuracy, %"):
        assert wanted in shown


def test_a_figure_carries_the_hash_of_its_numbers(card: Card, drawn: dict[str, bytes]) -> None:
    for name, digest in figures.sources(card, RUN).items():
        assert digest.encode() in drawn[name]


def test_other_numbers_have_another_hash(card: Card) -> None:
    faster = dataclasses.replace(card.latency[0], p50_ms=0.1)
    other = cards.add_measurements(card, [faster])
    assert figures.sources(card, RUN)["latency.svg"] != figures.sources(other, RUN)["latency.svg"]
    assert figures.sources(card, RUN)["curves.svg"] == figures.sources(other, RUN)["curves.svg"]


def test_without_curves_there_is_no_curves_figure(card: Card) -> None:
    pytest.importorskip("matplotlib")
    assert figures.names(card, {}) == ("latency.svg",)
    assert set(figures.draw(card, {})) == {"latency.svg"}


def test_a_card_without_latency_is_drawn_as_such(card: Card) -> None:
    pytest.importorskip("matplotlib")
    svg = figures.draw(dataclasses.replace(card, latency=()), {})["latency.svg"]
    assert "not measured" in text(svg)


def test_matplotlib_is_not_imported_with_the_module() -> None:
    code = (
        "import sys, zoo.card.figures, zoo.card.writing, zoo.card.page; "
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
