"""Which licences of teacher and data let a student be published."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from zoo.card import licences
from zoo.records import card as cards
from zoo.records.card import Card, Origin


@pytest.fixture
def card(files: Path) -> Card:
    """A student of pictures with a teacher."""
    return cards.read(files / "sample-card.json")


def of(card: Card, student: str, teacher: str = "Apache-2.0", data: str = "CC0-1.0") -> list[str]:
    """What is said against a card with these licences."""
    taught = dataclasses.replace(card.teacher, licence=teacher) if card.teacher else None
    learned = dataclasses.replace(card.data, licence=data)
    changed = dataclasses.replace(card, licence=student, teacher=taught, data=learned)
    return licences.refusals(changed)


@pytest.mark.parametrize(
    "data",
    [
        "CC0-1.0",
        "CC-BY-4.0",
        "MIT",
        "Unlicense",
        "none stated; free for research (Krizhevsky 2009)",
        "CC BY 2.0 FR; NCHLT and Autshumato unstated",
        "Public domain in the USA and Sandland",
    ],
)
def test_what_asks_for_nothing_may_go_into_any_student(card: Card, data: str) -> None:
    assert of(card, "Apache-2.0", teacher="BSD-3-Clause", data=data) == []


@pytest.mark.parametrize(
    ("licence", "term", "keeps"),
    [
        ("CC-BY-NC-4.0", "NonCommercial", "CC-BY-NC-4.0"),
        ("cc_by_nc_4.0", "NonCommercial", "CC BY-NC 4.0"),
        ("Llama non-commercial licence", "NonCommercial", "CC-BY-NC-4.0"),
        ("for research only", "NonCommercial", "CC-BY-NC-4.0"),
        ("CC-BY-SA-4.0", "ShareAlike", "CC-BY-SA-4.0"),
        ("Creative Commons Attribution ShareAlike 3.0", "ShareAlike", "CC-BY-SA-3.0"),
        ("AGPL-3.0-only", "GPL", "AGPL-3.0-only"),
        ("GPLv2", "GPL", "GPL-3.0-or-later"),
    ],
)
def test_what_a_source_asks_for_the_student_must_keep(
    card: Card, licence: str, term: str, keeps: str
) -> None:
    (reason,) = of(card, "Apache-2.0", data=licence)
    assert term in reason and licence in reason and "Apache-2.0 does not keep" in reason
    assert card.data.source in reason
    assert card.teacher and card.teacher.name in of(card, "MIT", teacher=licence)[0]
    assert of(card, keeps, teacher=licence, data=licence) == []


@pytest.mark.parametrize("licence", ["CC-BY-ND-4.0", "CC BY-NC-ND 4.0", "no derivatives"])
def test_of_what_allows_no_derivatives_nothing_is_published(card: Card, licence: str) -> None:
    for reasons in (of(card, licence, data=licence), of(card, licence, teacher=licence)):
        assert any("allows no derivatives" in reason for reason in reasons)


@pytest.mark.parametrize(
    "licence", ["proprietary", "All rights reserved.", "UNLICENSED", "not to be redistributed"]
)
def test_what_may_not_be_passed_on_is_not_published(card: Card, licence: str) -> None:
    for reasons in (of(card, "MIT", data=licence), of(card, "MIT", licence), of(card, licence)):
        assert len(reasons) == 1
        assert f'forbids to pass it on ("{licence}")' in reasons[0]


@pytest.mark.parametrize("licence", ["", " ", "other", "Unknown", "N/A", "none"])
def test_what_nobody_knows_is_not_published(card: Card, licence: str) -> None:
    for reasons in (of(card, "MIT", data=licence), of(card, "MIT", licence), of(card, licence)):
        assert len(reasons) == 1
        assert "is not known" in reasons[0]


def test_every_objection_is_said_at_once(card: Card) -> None:
    counts = Origin("counts.whl", "0" * 64, "CC-BY-NC-SA-4.0")
    data = dataclasses.replace(card.data, licence="proprietary", counts=counts)
    found = licences.refusals(dataclasses.replace(card, licence="other", teacher=None, data=data))
    assert [reason.split(" (")[0] for reason in found] == [
        "its own licence is not known",
        f"the licence of the data {data.source} forbids to pass it on",
        "the licence of the counts in counts.whl asks for NonCommercial",
        "the licence of the counts in counts.whl asks for ShareAlike",
    ]
