"""docs/ngrams.md against a plain program that knows no more than what the page says."""

from __future__ import annotations

import importlib
import re
import unicodedata
from functools import cache
from pathlib import Path

import pytest

from zoo.inputs import text as zoo_text

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "ngrams.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    found = re.search(rf"<!-- {name}: generated -->\n(.*?)<!-- {name}: end -->", PAGE, re.DOTALL)
    assert found
    return found[1]


def cells(table: str) -> list[list[str]]:
    """The rows of a table of the page, without its head."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@cache
def scripts() -> set[int]:
    """The code points of the page's table."""
    found = set()
    for _, spans in cells(block("scripts")):
        for span in spans.split(", "):
            first, last = (int(end, 16) for end in span.split("-"))
            found |= set(range(first, last + 1))
    return found


def multipliers() -> list[list[tuple[int, int]]]:
    pairs = re.compile(r"\( *(\d+) +(\d+)\)")
    lines = block("multipliers").splitlines()
    return [[(int(a), int(b)) for a, b in pairs.findall(line)] for line in lines]


def size() -> int:
    found = re.search(r"^V = (\d+) and all five orders here", PAGE, re.MULTILINE)
    assert found
    return int(found[1])


def clothes() -> list[str]:
    """The tags of the mappings that section 2 names."""
    return re.findall(r"`(<\w+>)`", PAGE)


def fold(code: int) -> int:
    code = min(max(code, 0), 0x1F1FF)
    tag, _, bare = unicodedata.decomposition(chr(code)).partition(" ")
    if tag in clothes() and " " not in bare:
        code = int(bare, 16)
    if code not in scripts() or unicodedata.category(chr(code))[0] not in "LM":
        return 0
    lower = chr(code).lower()
    return ord(lower) if len(lower) == 1 else 0x69


def total(window: list[int]) -> int:
    pairs = zip(multipliers()[len(window) - 1], window, strict=True)
    return sum(high * (w // 256) + low * (w % 256) for (high, low), w in pairs)


def row(window: list[int]) -> int:
    return total(window) % size()


def counts(window: list[int]) -> bool:
    return all({1: window, 2: window[1:]}.get(len(window), window[1:-1]))


def groups(codes: list[int]) -> list[list[int]]:
    """Rows of a text, order by order."""
    sequence = [0, *map(fold, codes), 0, 0, 0, 0]
    found = []
    for order in range(1, 6):
        windows = [sequence[i : i + order] for i in range(len(codes) + 1)]
        found.append([row(window) for window in windows if counts(window)])
    return found


@pytest.mark.parametrize("vector", cells(block("windows")), ids=lambda vector: vector[0])
def test_a_window_has_the_sum_and_the_row_of_the_page(vector: list[str]) -> None:
    shown, codes, said, where = vector
    window = [int(code, 16) for code in codes.split()]
    assert [0 if c == "_" else ord(c) for c in shown.strip("`")] == window
    assert counts(window)
    assert (total(window), row(window)) == (int(said), int(where))


TEXT = re.compile(r"^`(.*)`: ([0-9A-F ]+); letters ([0-9A-F ]+)\n\n((?:\|.*\n)+)", re.MULTILINE)


@pytest.mark.parametrize("text", TEXT.findall(block("texts")), ids=lambda found: found[0])
def test_a_text_has_the_letters_and_the_rows_of_the_page(text: tuple[str, ...]) -> None:
    shown, points, letters, table = text
    codes = [int(code, 16) for code in points.split()]
    assert codes == [ord(character) for character in shown]
    assert [fold(code) for code in codes] == [int(letter, 16) for letter in letters.split()]
    assert [[int(r) for r in line[1].split()] for line in cells(table)] == groups(codes)


@pytest.mark.parametrize("length", [1, 512, 513, 1024, 1025, 4096, 4097, 99_999])
def test_a_long_text_is_cut_as_the_page_says_before_it_is_composed(length: int) -> None:
    marked = ("e\u0301" * length)[:length]
    count = min(8, -(-length // 512))
    starts = [i * (length - 512) // (count - 1) for i in range(count)] if count > 1 else [0]
    assert zoo_text.pieces(marked) == [marked[start : start + 512] for start in starts]


def test_clothes_with_marks_are_composed_as_the_page_says() -> None:
    assert zoo_text.prepare("ｿﾊﾞ ｍｅ̀ｒｅ Ⓔ́") == "ｿバ ｍèｒｅ É"


def test_what_is_not_to_be_seen_is_left_out_before_the_text_is_composed() -> None:
    assert zoo_text.prepare("cafe\u00ad\u0301 \u200bau\ufe0f la\U000e0100it") == "café au lait"


def test_the_page_has_twenty_windows_of_all_orders_and_two_texts() -> None:
    lengths = [len(codes.split()) for _, codes, *_ in cells(block("windows"))]
    assert len(lengths) >= 20
    assert set(lengths) == {1, 2, 3, 4, 5}
    assert len(TEXT.findall(block("texts"))) == 2


def test_every_sum_fits_a_float() -> None:
    assert max(255 * sum(map(sum, line)) for line in multipliers()) < 2**24


def test_what_the_page_says_counts_does() -> None:
    def window(shown: str) -> list[int]:
        return [0 if c == "_" else ord(c) for c in shown]

    assert all(counts(window(w)) for w in ("_a", "ab", "_a_", "_ab", "ab_"))
    assert not any(counts(window(w)) for w in ("a_", "a_b", "_", "__"))


def test_the_page_is_what_the_student_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(DOCS))
    assert importlib.import_module("ngram_vectors").fill(PAGE) == PAGE
