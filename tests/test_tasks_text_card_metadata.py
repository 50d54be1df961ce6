"""What the Hub is told of a text student."""

from __future__ import annotations

import dataclasses

import pytest
from text_cards import LABELS, page, sample

from zoo.card.metadata import metadata
from zoo.card.words import words
from zoo.records.card import Card


@pytest.fixture
def card() -> Card:
    return sample()


def test_the_hub_is_told_task_languages_and_every_test_set(card: Card) -> None:
    data = metadata(words(card))
    assert data["pipeline_tag"] == "text-classification"
    assert data["language"] == list(LABELS)
    assert {"language-identification", "ngram", "int8"} <= set(data["tags"])
    first, second = data["model-index"][0]["results"]
    assert first["dataset"]["type"] == "flores-200-devtest"
    assert second["dataset"]["type"] == "udhr"
    assert {m["name"]: m["value"] for m in first["metrics"]} == {
        "macro-averaged, int8": 0.9749,
        "macro-averaged, fp32": 0.9751,
    }


def test_the_hub_client_reads_norwegian_as_a_language_and_not_as_false(card: Card) -> None:
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(page(card)).data
    assert data.language == list(LABELS)
    assert {r.metric_value for r in data.eval_results} == {0.9749, 0.9751, 0.9649, 0.9651}


def test_training_data_of_the_hub_is_not_taken_for_the_test_set(card: Card) -> None:
    facts = dataclasses.replace(card.data, source="hub:org/texts@main")
    data = metadata(words(dataclasses.replace(card, data=facts)))
    assert data["datasets"] == ["org/texts"]
    assert data["model-index"][0]["results"][0]["dataset"]["type"] == "flores-200-devtest"
