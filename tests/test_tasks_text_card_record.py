"""The record of a text student's card: read back as it was written, and strictly."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from text_cards import LABELS, page, peer, sample, timed

from zoo.errors import CardError
from zoo.records import card as cards
from zoo.records.card import Bench, Card, Teaching, Unknown
from zoo.records.peers import Peer

RATIOS = st.tuples(*[st.floats(0, 9)] * 3).map(sorted).map(lambda r: (r[1], r[0], r[2])) | st.none()


@pytest.fixture
def card() -> Card:
    return sample()


def test_a_text_card_survives_writing_and_reading(card: Card, tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_text(cards.to_json(card))
    assert cards.read(path) == card
    assert cards.to_json(cards.read(path)) == path.read_text()


def test_fields_at_their_default_are_not_written(card: Card) -> None:
    written = json.loads(cards.to_json(dataclasses.replace(card, unknown=None, peers=())))
    assert written["input"] == {"name": "codepoints", "dtype": "int32", "layout": "NL"}
    assert not {"unknown", "peers"} & set(written)
    assert written["latency"][0]["image_size"] is None  # it has no default


@given(
    st.dictionaries(st.sampled_from(LABELS), st.floats(0, 1)) | st.none(),
    st.builds(Unknown, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)) | st.none(),
    st.lists(
        st.builds(
            Peer,
            name=st.text(),
            version=st.text(),
            licence=st.text(),
            classes=st.integers(1, 10**6),
            accuracy=st.floats(0, 1),
            own_accuracy=st.floats(0, 1),
            n=st.integers(0, 10**9),
            microseconds=st.floats(0, 1e9) | st.none(),
            batched=st.booleans(),
            size_bytes=st.integers(0, 10**12) | st.none(),
            dataset=st.text(),
            date=st.text(),
            word_ratio=RATIOS,
            peak_memory_mb=st.floats(0, 1e6) | st.none(),
        ),
        max_size=4,
    ),
)
def test_whatever_a_text_card_says_is_read_back_and_rendered(
    tmp_path_factory: pytest.TempPathFactory,
    per_class: dict[str, float] | None,
    unknown: Unknown | None,
    peers: list[Peer],
) -> None:
    said = dataclasses.replace(sample(), per_class=per_class, unknown=unknown, peers=tuple(peers))
    path = tmp_path_factory.mktemp("card") / "card.json"
    path.write_text(cards.to_json(said), encoding="utf-8")
    assert cards.read(path) == said
    tables = [one for one in page(said).splitlines() if one.startswith("| ")]
    assert len(tables) >= len(peers)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("per_class", {"xx": 0.5}, "per_class names 'xx'"),
        ("per_class", {"de": 99.9}, "per_class of de is a fraction"),
        ("unknown", {"below": 40.0, "share": 0.1, "right": 0.1}, "below is a fraction"),
        ("unknown", {"below": 0.4, "share": 0.1}, '"right" is missing'),
        ("peers", [{"name": "a"}], '"version" is missing'),
        (
            "peers",
            [vars(peer("a")) | {"word_ratio": [1, 1.2, 0.9]}],
            "the two ends of its interval",
        ),
        ("peers", [vars(peer("a")) | {"word_ratio": [1, 1.2]}], "must have 3 items"),
        ("teaching", vars(Teaching("words", 1, 1, 1, 1, 1)) | {"share": 15}, "is a fraction"),
        ("input", {"name": "x", "dtype": "y", "layout": "z", "size": 3}, "belong together"),
    ],
)
def test_a_wrong_value_is_one_error(
    card: Card, tmp_path: Path, field: str, value: object, message: str
) -> None:
    path = tmp_path / "card.json"
    path.write_text(json.dumps(json.loads(cards.to_json(card)) | {field: value}))
    with pytest.raises(CardError, match=message):
        cards.read(path)


def test_rows_of_another_text_length_stand_beside_the_old_ones(card: Card) -> None:
    files = {precision: v.sha256 for precision, v in card.variants.items()}
    faster, longer = timed("int8", 1, 100, 0.03), timed("int8", 1, 1000, 0.3)
    merged = cards.merge(card, Bench(1, card.name, files, (faster, longer)))
    assert merged.latency == (card.latency[0], faster, *card.latency[2:], longer)
