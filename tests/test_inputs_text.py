"""Texts become code points, and code points become batches of little padding."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.inputs.text import (
    BATCH,
    LIMIT,
    SLACK,
    SPREAD,
    buckets,
    codepoints,
    cut,
    matrix,
    pad,
    prepare,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates too


def test_code_points_are_those_of_the_text() -> None:
    assert codepoints("aß\U0001f642").tolist() == [0x61, 0xDF, 0x1F642]
    assert codepoints("a").dtype == np.int32
    assert codepoints("").shape == (0,)


def test_marks_are_composed_and_what_is_composed_stays() -> None:
    assert codepoints("e\u0301").tolist() == [0xE9]
    assert codepoints("é").tolist() == [0xE9]
    assert prepare("é") == "é"


def test_lone_surrogates_and_nul_are_code_points() -> None:
    assert codepoints("\ud800\0\udfff").tolist() == [0xD800, 0, 0xDFFF]


@given(ANY_TEXT)
def test_any_text_is_read_as_its_nfc(text: str) -> None:
    wanted = [ord(c) for c in unicodedata.normalize("NFC", text)]
    assert codepoints(text).tolist() == wanted


def test_a_text_up_to_the_limit_is_read_whole() -> None:
    text = "ab" * (LIMIT // 2)
    assert prepare(text) is text


def test_of_a_longer_text_evenly_spaced_pieces_are_read() -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 20_000)))
    found = prepare(text)
    assert len(found) <= LIMIT
    pieces = found.split("\0")
    starts = [text.index(piece) for piece in pieces]
    assert starts[0] == 0
    assert pieces[-1][-1] == text[-1]
    steps = np.diff(starts)
    assert steps.max() - steps.min() <= 1
    assert prepare(text) == found


@given(st.integers(LIMIT + 1, 3 * LIMIT), st.integers(0, 9))
def test_a_long_text_costs_no_more_than_the_limit(length: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert len(prepare("".join(map(chr, rng.integers(97, 123, length))))) <= LIMIT


def test_a_long_run_of_marks_takes_no_square_of_its_length() -> None:
    assert len(codepoints("\u0301\u0316" * 500_000)) <= LIMIT  # composing it whole takes minutes


def test_padding_is_zeros_and_at_least_one_wide() -> None:
    rows = [codepoints(text) for text in ("abc", "", "d")]
    assert pad(rows).tolist() == [[97, 98, 99], [0, 0, 0], [100, 0, 0]]
    assert pad([codepoints("")]).tolist() == [[0]]
    assert pad([]).shape == (0, 1)
    assert pad(rows).dtype == np.int32


@given(st.lists(ANY_TEXT, min_size=1, max_size=20))
def test_a_matrix_of_texts_is_their_code_points_padded(texts: list[str]) -> None:
    ready = [prepare(text) for text in texts]
    assert np.array_equal(matrix(ready), pad([codepoints(text) for text in texts]))


@given(st.lists(st.integers(0, 2 * BATCH), max_size=300))
def test_buckets_hold_each_row_once_and_little_padding(lengths: list[int]) -> None:
    parts = buckets(lengths)
    assert sorted(row for part in parts for row in part) == list(range(len(lengths)))
    for part in parts:
        inside = [max(1, lengths[row]) for row in part]
        assert len(part) == 1 or len(part) * max(inside) <= BATCH
        assert max(inside) <= SPREAD * min(inside) + SLACK


def test_sentences_of_one_length_fill_whole_buckets() -> None:
    assert [len(part) for part in buckets([100] * 256)] == [BATCH // 100] * 6 + [16]


@pytest.mark.parametrize("shape", [(1, 1), (7, 0), (0, 7), (256, 100), (3, BATCH + 1), (20_000, 1)])
def test_an_array_is_cut_into_its_rows_without_the_zeros_behind(shape: tuple[int, int]) -> None:
    batch = np.random.default_rng(0).integers(0, 3, shape, np.int32)
    batch[::2, shape[1] // 2 :] = 0
    parts = list(cut(batch))
    assert all(part.size <= BATCH or len(part) == 1 for part in parts)
    assert all(part.shape[1] == 1 or part[:, -1].any() for part in parts)
    assert all(part.dtype == np.int32 and part.flags.c_contiguous for part in parts)
    rows = [row for part in parts for row in part.tolist()]
    assert [pad_to(row, shape[1]) for row in rows] == [pad_to(row, 1) for row in batch.tolist()]


def pad_to(row: list[int], length: int) -> list[int]:
    """The row with zeros behind, at least so long."""
    return row + [0] * (length - len(row))
