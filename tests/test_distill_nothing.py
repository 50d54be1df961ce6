"""Texts of no language: the same everywhere, of many kinds, none of those that are measured."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from distill import nothing
from zoo.tasks.text_classification import nothing as measured

WORDS = ("weather", "Haus am See", "niño")


def test_the_same_count_and_words_give_the_same_texts() -> None:
    assert nothing.texts(90, WORDS) == nothing.texts(90, WORDS)
    assert nothing.texts(90, WORDS)[:45] == nothing.texts(45, WORDS)
    assert nothing.texts(0, ()) == []


def test_every_text_has_something_to_read() -> None:
    texts = nothing.texts(4500, WORDS)
    assert len(texts) == 4500
    assert all(text.strip() and len(text) <= 600 for text in texts)
    assert len(set(texts)) > 4000


def test_addresses_are_made_of_the_words_given() -> None:
    found = [text for text in nothing.texts(900, WORDS) if re.search(r"@|https?:|www\.", text)]
    assert len(found) >= 70
    assert np.mean([bool(re.search("weather|haus|niño", text)) for text in found]) > 0.5
    assert all(re.search("weather|haus|niño|" + nothing.NAMES.replace(" ", "|"), t) for t in found)


def test_the_texts_that_are_measured_are_2000_and_stay_the_same() -> None:
    texts = measured.texts()
    assert len(texts) == 2000
    assert texts == measured.texts()
    assert all(text.strip() for text in texts)


def test_no_measured_text_is_trained_on() -> None:
    trained = {text.lower() for text in nothing.texts(250_000, WORDS)}
    both = [text for text in measured.texts() if text.lower() in trained]
    assert not both


def test_measured_kinds_are_made_of_other_parts() -> None:
    trained = {*nothing.TOKENS.split(), *nothing.NAMES.split(), *nothing.ROWS}
    used = {*measured.OPCODES.split(), *measured.SHOUTS.split(), *measured.LAYOUTS}
    assert not used & trained
    sets = {frozenset(letters) for letters, _ in nothing.ALPHABETS}
    sets |= {frozenset(nothing.HEX), frozenset(nothing.BASE36), *map(frozenset, nothing.ROWS)}
    assert not {frozenset(row) for row in measured.LAYOUTS} & sets
    for row in measured.LAYOUTS:
        assert not any(
            row[i : i + 4] in other for other in nothing.ROWS for i in range(len(row) - 3)
        )


def test_words_that_are_blank_make_addresses_all_the_same() -> None:
    assert len(nothing.texts(90, (" ", "\u2028", "a"))) == 90


def test_there_are_nine_kinds_of_which_each_has_its_share() -> None:
    texts = nothing.texts(9000, WORDS)
    longest = Counter(max(map(len, texts[kind::9])) for kind in range(9))
    assert sum(longest.values()) == 9
    assert np.mean([len(set(text.lower())) == 1 for text in texts[2::9]]) == 1  # one letter


@pytest.mark.train
def test_a_text_of_no_language_has_the_uniform_target_and_is_never_asked_about() -> None:
    torch = pytest.importorskip("torch")
    from distill.config import Pieces
    from distill.data.texts import Texts
    from distill.pieces import NO_CLASS, TextViews

    own = ("ein Haus am See", "a house at the lake", "Haus", "house")
    words = np.array([" " not in text for text in own])
    data = Texts(own, np.array([0, 1, 0, 1]), words, ("de", "en"), "train", "0" * 64)
    views = TextViews(data, Pieces(cuts=3, nothing=18))
    plain = TextViews(data, Pieces(cuts=3))
    assert (len(views), len(plain), views.labelled) == (26, 8, 8)
    assert views.key == plain.key
    assert np.array_equal(views.askable("all"), plain.askable("all"))
    assert np.array_equal(views.askable("words"), plain.askable("words"))
    rows = torch.arange(26)
    view, before = views.view(3), plain.view(3)
    assert view.examples(rows)[:8] == before.examples(rows[:8])
    assert view.examples(rows)[8:] == [text[:400] for text in nothing.texts(18, own)]
    assert (views.labels[8:] == NO_CLASS).all()
    assert torch.equal(view.targets(rows[8:]), torch.full((18, 2), 0.5))
    assert torch.equal(view.targets(rows[:8]), before.targets(rows[:8]))
    drawn = torch.cat(view.batches(np.random.default_rng(0), 2)).numpy()
    assert np.array_equal(np.sort(drawn[drawn >= 8]), np.arange(8, 26))
    assert views.steps(2) == 13
