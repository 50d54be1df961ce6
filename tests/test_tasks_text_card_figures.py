"""The figures of a text student's card, and when they must be drawn again."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from text_cards import LABELS, PER_CLASS, sample

from zoo.card import figures, writing
from zoo.records import card as cards
from zoo.records.card import Card
from zoo.tasks.text_classification import languages


@pytest.fixture
def card() -> Card:
    return sample()


def text_of(svg: bytes) -> str:
    return "\n".join(e.text or "" for e in ET.fromstring(svg).iter() if e.tag.endswith("text"))


def test_the_figures_show_microseconds_and_every_language(card: Card) -> None:
    pytest.importorskip("matplotlib")
    drawn = figures.draw(card, {})
    assert set(drawn) == {"latency.svg", "classes.svg"} == set(figures.names(card, {}))
    latency = text_of(drawn["latency.svg"])
    assert "µs a text" in latency
    assert "batch 1, 1 thread, 8 characters" in latency
    assert "int8  9.22" in latency  # 2.36 ms for 256 texts
    shown = text_of(drawn["classes.svg"])
    assert all(languages.named(label) in shown for label in LABELS)
    assert "accuracy of the int8 file, %" in shown
    assert figures.draw(card, {}) == drawn


@pytest.mark.parametrize("count", [1, 25, 26, 51, 75, 183])
def test_any_number_of_classes_is_drawn(card: Card, count: int) -> None:
    pytest.importorskip("matplotlib")
    labels = tuple(languages.NAMES)[:count]
    many = dataclasses.replace(card, labels=labels, per_class=dict.fromkeys(labels, 0.9))
    shown = text_of(figures.draw(many, {})["classes.svg"])
    assert shown.count("90.0") == count


def test_a_card_with_other_class_accuracies_needs_another_figure(
    card: Card, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    for precision, v in card.variants.items():
        (tmp_path / v.file).write_text(precision)  # whose sha256 the card holds
    writing.write(card, tmp_path)
    assert writing.drift(tmp_path) == []
    other = dataclasses.replace(card, per_class=PER_CLASS | {"bs": 0.5})
    (tmp_path / "card.json").write_text(cards.to_json(other))
    found = "\n".join(writing.drift(tmp_path))
    assert "classes.svg: drawn from other numbers" in found
    assert "README.md: not what card.json says" in found
    assert "latency.svg" not in found
