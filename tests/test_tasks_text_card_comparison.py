"""A comparison with other tools, added to the card of a text student."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from text_cards import digest, peer, sample

from zoo.errors import CardError
from zoo.records import card as cards
from zoo.records import plain as records_plain
from zoo.records.card import Card
from zoo.records.peers import Comparison, Peer


@pytest.fixture
def card() -> Card:
    return sample()


def comparison(*peers: Peer, **files: str) -> Comparison:
    return Comparison(1, peers, {"machine": {"cpu": "AMD EPYC"}}, files)


def test_a_comparison_replaces_what_the_card_had_of_its_data_set(card: Card) -> None:
    other = dataclasses.replace(card.peers[0], dataset="UDHR")
    old = dataclasses.replace(card, peers=(*card.peers, other))
    again = (peer(f"{card.name} int8"), peer("cld3-py", accuracy=0.9))
    files = {f"{card.name} int8": digest("int8")}
    assert cards.merge(old, comparison(*again, **files)).peers == (other, *again)


@pytest.mark.parametrize("name", ["cld3-py", "{}", "{}-small int8", "x{} int8", "{} int4"])
def test_a_comparison_without_the_student_is_refused(card: Card, name: str) -> None:
    with pytest.raises(CardError, match="was not measured in this comparison") as caught:
        cards.merge(card, comparison(peer(name.format(card.name))))
    assert card.name in caught.value.hint


@pytest.mark.parametrize(
    ("precision", "measured", "message"),
    [
        ("int8", {}, "does not say of which file it is"),
        ("int8", {"int8": "fp32"}, "int8 in the comparison is of"),
        ("fp32", {"int8": "int8"}, "fp32 in the comparison does not say"),
    ],
)
def test_a_comparison_of_other_bytes_is_refused(
    card: Card, precision: str, measured: dict[str, str], message: str
) -> None:
    files = {f"{card.name} {key}": digest(content) for key, content in measured.items()}
    with pytest.raises(CardError, match=message) as caught:
        cards.merge(card, comparison(peer(f"{card.name} {precision}"), **files))
    assert "compare again" in caught.value.hint


def test_a_precision_that_the_card_lacks_is_refused(card: Card) -> None:
    bare = dataclasses.replace(card, variants={"fp32": card.variants["fp32"]})
    name = f"{card.name} int8"
    with pytest.raises(CardError, match="the card has no such file"):
        cards.merge(bare, comparison(peer(name), **{name: digest("int8")}))


def test_a_comparison_is_told_from_a_bench_by_its_peers(card: Card, tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    wanted = comparison(peer(card.name), **{card.name: digest("int8")})
    path.write_text(json.dumps(records_plain.to_dict(wanted)))
    assert cards.read_bench(path) == wanted
    path.write_text(json.dumps({"format": 1, "peers": [], "detail": {}}))
    with pytest.raises(CardError, match="peers must not be empty"):
        cards.read_bench(path)
    path.write_text(json.dumps(records_plain.to_dict(wanted) | {"files": {"a": "0"}}))
    with pytest.raises(CardError, match=r"files\.a must be 64"):
        cards.read_bench(path)
