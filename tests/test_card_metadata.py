"""The front matter of a card's page, as the Hub and its client read it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from zoo.card import metadata
from zoo.card.words import words
from zoo.files import PACKAGE
from zoo.records import card as cards
from zoo.records.card import Card

STUDENTS = sorted(PACKAGE.glob("embedded/*/README.md"))


@pytest.fixture
def card(files: Path) -> Card:
    """A student of pictures with a teacher and an 8-bit file."""
    return cards.read(files / "sample-card.json")


def taught_by(card: Card, source: str) -> dict[str, Any]:
    """The metadata where the teacher comes from `source`."""
    assert card.teacher
    teacher = dataclasses.replace(card.teacher, source=source)
    return metadata.metadata(words(dataclasses.replace(card, teacher=teacher)))


@pytest.mark.parametrize(
    "source",
    [
        "hub:google/vit-base-patch16-224",
        "hub:google/vit-base-patch16-224@3f49326eb077187dfe1c2a2bb15fbd74e6ab91e3",
        "hub:google/vit-base-patch16-224/onnx@main",
        "https://huggingface.co/google/vit-base-patch16-224",
        "https://huggingface.co/google/vit-base-patch16-224/tree/main",
    ],
)
def test_a_teacher_of_the_hub_is_the_base_model(card: Card, source: str) -> None:
    told = taught_by(card, source)
    assert told["base_model"] == "google/vit-base-patch16-224"
    assert told["base_model_relation"] == "quantized"


@pytest.mark.parametrize(
    "source",
    [
        "PyPI: lingua-language-detector 2.1.1",
        "ShuffleNet v2 1x trained on scikit-learn's digits",
        "https://huggingface.co/datasets/cifar10/cifar10",
        "https://example.org/google/vit",
        "google/vit-base-patch16-224",
        "hub:vit",
    ],
)
def test_a_teacher_that_has_no_hub_id_is_in_the_text_alone(card: Card, source: str) -> None:
    told = taught_by(card, source)
    assert {"base_model", "base_model_relation"}.isdisjoint(told)


def test_without_a_teacher_or_an_8_bit_file_nothing_is_claimed(card: Card) -> None:
    alone = dataclasses.replace(card, teacher=None)
    assert "base_model" not in metadata.metadata(words(alone))
    fp32 = dataclasses.replace(card, variants={"fp32": card.variants["fp32"]})
    assert taught_by(fp32, "hub:google/vit")["base_model_relation"] == "finetune"


def test_a_data_set_of_the_hub_is_named_with_its_folder_left_out(card: Card) -> None:
    for source in ("hub:uoft-cs/cifar10@0123", "hub:uoft-cs/cifar10/plain_text@0123"):
        data = dataclasses.replace(card.data, source=source)
        told = metadata.metadata(words(dataclasses.replace(card, data=data)))
        assert told["datasets"] == ["uoft-cs/cifar10"]


@pytest.mark.parametrize("page", STUDENTS, ids=lambda page: page.parent.name)
def test_the_hubs_own_client_reads_every_published_page(page: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    card = cards.read(page.parent)
    data = hub.ModelCard(page.read_text(encoding="utf-8")).data
    told = metadata.metadata(words(card))
    for key in ("license", "tags", "pipeline_tag", "library_name", "metrics"):
        assert getattr(data, key) == told[key], key
    assert data.model_name == card.name
    scores = {(result.dataset_name, result.metric_name): result for result in data.eval_results}
    for precision, variant in card.variants.items():
        score = variant.accuracy
        name = f"{score.metric.removesuffix(' accuracy')}, {precision}"
        assert scores[score.dataset, name].metric_value == pytest.approx(score.value, abs=1e-6)
    if card.task == "text-classification":
        assert data.language == list(card.labels)
