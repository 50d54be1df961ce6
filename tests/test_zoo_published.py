"""Every student that the repository publishes: its hashes, its page, its answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo import card, publish, registry
from zoo.registry import Entry
from zoo.store import Store
from zoo.verify import golden

ROOT = Path(__file__).parent.parent
STORE = Store(ROOT / "zoo" / "embedded")
STUDENTS = [
    pytest.param(entry, id=name) for name, entry in registry.load(ROOT / "registry.yaml").items()
]


@pytest.mark.parametrize("entry", STUDENTS)
def test_the_row_is_what_the_folder_says(entry: Entry) -> None:
    folder = STORE.folder(entry.name)
    revision = STORE.revision(entry.name)
    assert publish.entry(card.read(folder), folder, revision, entry.repo) == entry


@pytest.mark.parametrize("entry", STUDENTS)
def test_page_and_figures_follow_from_the_card(entry: Entry) -> None:
    assert card.drift(STORE.folder(entry.name)) == []


@pytest.mark.parametrize("entry", STUDENTS)
def test_the_fp32_file_answers_as_it_was_published(entry: Entry) -> None:
    verdict = golden(STORE.folder(entry.name), "fp32")
    assert verdict.ok, verdict


@pytest.mark.parametrize("entry", STUDENTS)
def test_the_8_bit_file_answers_as_it_was_published(entry: Entry) -> None:
    folder = STORE.folder(entry.name)
    if "int8" not in card.read(folder).variants:
        pytest.skip("fp32 only")
    verdict = golden(folder, "int8")
    if not verdict.ok:  # other 8-bit kernels than the build's; `zoo.load` takes fp32 here
        pytest.skip(f"int8 differs on this processor: {verdict}")


@pytest.mark.parametrize("entry", STUDENTS)
def test_an_8_bit_file_was_published_because_an_attempt_passed_every_gate(entry: Entry) -> None:
    published = card.read(STORE.folder(entry.name))
    passed = [attempt.name for attempt in published.attempts if attempt.verdict == "pass"]
    assert bool(passed) == ("int8" in published.variants)
    assert published.of_texts or len(passed) <= 1  # of texts every code is tried to the end


def test_nothing_is_in_the_store_that_is_not_in_the_registry() -> None:
    assert set(STORE.names()) == set(registry.load(ROOT / "registry.yaml"))
