"""Texts become code points, and code points become batches of little padding."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.inputs.text import (
    BATCH,
    PIECE,
    PIECES,
    SLACK,
    SPREAD,
    buckets,
    codepoints,
    cut,
    logits_of,
    matrix,
    pad,
    pieces,
    prepare,
    prepared,
    visible,
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


@given(ANY_TEXT.filter(lambda text: unicodedata.normalize("NFKC", text) == text))
def test_any_text_is_read_as_the_nfc_of_what_is_seen_of_it(text: str) -> None:
    seen = "".join(c for c in text if not ignorable(ord(c)))
    assert codepoints(text).tolist() == [ord(c) for c in unicodedata.normalize("NFC", seen)]


IGNORABLE = """00AD 034F 061C 115F-1160 17B4-17B5 180B-180F 200B-200F 202A-202E 2060-206F 3164
FE00-FE0F FEFF FFA0 FFF0-FFF8 1BCA0-1BCA3 1D173-1D17A E0000-E0FFF"""  # DerivedCoreProperties.txt


SPANS = [[int(end, 16) for end in span.split("-")] for span in IGNORABLE.split()]


def ignorable(code: int) -> bool:
    return any(span[0] <= code <= span[-1] for span in SPANS)


@pytest.mark.parametrize("span", IGNORABLE.split())
def test_what_is_not_to_be_seen_is_left_out(span: str) -> None:
    first, _, last = span.partition("-")
    for code in {int(first, 16), int(last or first, 16)}:
        assert prepare(f"ca{chr(code)}fé") == "café"
        assert prepare(f"e{chr(code)}\u0301") == "é"
        assert prepare(chr(code)) == ""


@given(
    st.lists(
        ANY_TEXT | st.sampled_from(["e\u0301", "a\u00adb", "abc", "é", "", "ｿﾊﾞ", "Ａ\u0300"]),
        max_size=9,
    )
)
def test_texts_made_ready_together_are_what_each_is_alone(texts: list[str]) -> None:
    assert prepared(texts) == [prepare(text) for text in texts]


def test_what_is_not_seen_is_what_unicode_says() -> None:
    hidden = [c for c in range(0x110000) if not visible(chr(c))]
    assert hidden == [c for c in range(0x110000) if ignorable(c)]


def test_blanks_that_are_seen_stay() -> None:
    text = "a\u00a0b\u2003c\u3000d\u2028e\te"
    assert prepare(text) == text


def test_a_text_up_to_a_piece_is_read_whole() -> None:
    text = "ab" * (PIECE // 2)
    assert pieces(text) == [text]
    assert prepare(text) is text


@pytest.mark.parametrize("length", [PIECE + 1, 2 * PIECE, 3000, PIECE * PIECES, 20_000, 10**6])
def test_of_a_longer_text_evenly_spaced_pieces_are_read(length: int) -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + min(length, 20_000)))).ljust(length, "z")
    found = pieces(text)
    assert len(found) == min(PIECES, -(-length // PIECE))
    assert {len(piece) for piece in found} == {PIECE}
    assert (found[0], found[-1]) == (text[:PIECE], text[-PIECE:])
    assert all(piece in text for piece in found)
    if length <= PIECE * PIECES:
        assert set("".join(found)) == set(text)


def test_a_long_run_of_marks_takes_no_square_of_its_length() -> None:
    found = pieces("\u0301\u0316" * 500_000)  # composing it whole takes minutes
    assert sum(len(prepare(piece)) for piece in found) <= PIECE * PIECES


@pytest.mark.parametrize("sign", ["\u00ad", "\u200b", "\ufe0f"])
@pytest.mark.parametrize("length", [300, 512, 600, 2000, 5000])
def test_what_is_not_seen_moves_no_cut(sign: str, length: int) -> None:
    text = ("zażółć gęślą jaźń " * length)[:length]
    dressed = "".join(c + sign * (i % 3 == 2) for i, c in enumerate(text)) + sign * 700
    assert [prepare(piece) for piece in pieces(dressed)] == pieces(text)


@pytest.mark.parametrize("mark", ["\u0301", "\u3099", "\uff9e"])
def test_composing_takes_no_square_of_a_long_run(mark: str) -> None:
    assert len(codepoints(mark * 200_000)) == 200_000


@pytest.mark.parametrize(
    ("dressed", "plain"),
    [
        ("ｍｅ̀ｒｅ", "ｍèｒｅ"),
        ("ｿﾊﾞﾎﾟ", "ｿバポ"),
        ("𝐞́", "é"),
        ("ⓐ̈", "ä"),
        ("e\u00ad\u0301", "é"),
        ("Ａ b", "Ａ b"),
    ],
)
def test_a_letter_in_other_clothes_composes_with_its_marks(dressed: str, plain: str) -> None:
    assert prepare(dressed) == plain
    assert prepared(["x", dressed]) == ["x", plain]


def shares(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def two_letters(batch: np.ndarray) -> np.ndarray:
    """Logits of how many a and how many b there are."""
    return np.stack([(batch == ord(c)).sum(1) for c in "ab"], 1).astype(np.float32)


@pytest.mark.parametrize("nothing", ["\n" * 2000, " " * 4000, "\u200b" * 4000, "1234 " * 900, "."])
def test_pieces_without_letters_have_no_voice(nothing: str) -> None:
    text = "ab" * 100 + "b" * 50
    wanted = shares(logits_of(two_letters, [text]))
    assert shares(logits_of(two_letters, [text + nothing])) == pytest.approx(wanted, abs=1e-4)


def test_a_long_text_without_letters_is_answered_as_a_short_one() -> None:
    assert logits_of(two_letters, ["1 " * 2000]).tolist() == [[0, 0]]


def test_a_long_text_is_answered_by_the_mean_of_its_pieces() -> None:
    half = "a" * (4 * PIECE) + "b" * (4 * PIECE)
    found = logits_of(two_letters, ["ab", half, "aab", half[: 5 * PIECE]])
    assert np.array_equal(found[[0, 2]], two_letters(matrix(["ab", "aab"])))
    assert shares(found)[1] == pytest.approx([0.5, 0.5])
    assert shares(found)[3] == pytest.approx([0.8, 0.2])
    assert found.dtype == np.float32


@given(st.lists(st.integers(0, 3 * PIECE), min_size=1, max_size=20))
def test_texts_of_any_lengths_get_their_own_answers(lengths: list[int]) -> None:
    texts = [("ab"[i % 2] * n) for i, n in enumerate(lengths)]
    done: list[int] = []
    found = logits_of(two_letters, texts, progress=done.append)
    alone = np.concatenate([logits_of(two_letters, [text]) for text in texts])
    assert np.allclose(found, alone)
    assert done == sorted(done)
    assert done[-1] == len(texts)


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
