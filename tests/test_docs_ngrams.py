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
def scripts() -> dict[int, int]:
    """Code point -> row, by the page's table."""
    found = {}
    for row, _, spans in cells(block("scripts")):
        for span in spans.split(", "):
            first, last = (int(end, 16) for end in span.split("-"))
            found |= dict.fromkeys(range(first, last + 1), int(row))
    return found


def multipliers() -> list[list[int]]:
    return [[int(a) for a in line.split()] for line in block("multipliers").splitlines()]


def sizes() -> list[int]:
    found = re.search(r"^V = ([\d, ]+) here", PAGE, re.MULTILINE)
    assert found
    return [int(v) for v in found[1].split(",")]


def fold(code: int) -> int:
    code = min(max(code, 0), 0xFFFF)
    if code not in scripts() or unicodedata.category(chr(code))[0] not in "LM":
        return 0
    lower = chr(code).lower()
    return ord(lower) if len(lower) == 1 else 0x69


def total(window: list[int]) -> int:
    return sum(a * w for a, w in zip(multipliers()[len(window) - 1], window, strict=False))


def row(window: list[int]) -> int:
    order = len(window)
    offset = 1 + len(cells(block("scripts"))) + sum(sizes()[: order - 1])
    return offset + total(window) % sizes()[order - 1]


def counts(window: list[int]) -> bool:
    if len(window) == 1:
        return window[0] != 0
    return all(window[1:-1]) and (len(window) > 2 or any(window))


def groups(codes: list[int]) -> list[list[int]]:
    """Rows of a text, group by group."""
    letters = [fold(code) for code in codes]
    sequence = [0, *letters, 0, 0, 0, 0]
    found = [[scripts()[code] for code, c in zip(codes, letters, strict=True) if c]]
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


@pytest.mark.parametrize("length", [4096, 4097, 9999])
def test_a_long_text_is_cut_as_the_page_says_before_it_is_composed(length: int) -> None:
    marked = ("e\u0301" * length)[:length]
    starts = [i * (length - 255) // 15 for i in range(16)]
    pieces = [marked] if length <= 4096 else [marked[start : start + 255] for start in starts]
    cut = "\0".join(pieces)
    assert len(cut) == (length if length <= 4096 else 4095)
    assert zoo_text.prepare(marked) == unicodedata.normalize("NFC", cut)


def test_the_page_has_twenty_windows_of_all_orders_and_two_texts() -> None:
    lengths = [len(codes.split()) for _, codes, *_ in cells(block("windows"))]
    assert len(lengths) >= 20
    assert set(lengths) == {1, 2, 3, 4, 5}
    assert len(TEXT.findall(block("texts"))) == 2


def test_every_sum_fits_a_double() -> None:
    assert max(sum(line) for line in multipliers()) * 0x10000 < 2**53


def test_what_the_page_says_counts_does() -> None:
    def window(shown: str) -> list[int]:
        return [0 if c == "_" else ord(c) for c in shown]

    assert all(counts(window(w)) for w in ("_a", "a_", "_a_", "_ab", "ab_"))
    assert not any(counts(window(w)) for w in ("a_b", "_", "__"))


def test_the_page_is_what_the_student_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(DOCS))
    assert importlib.import_module("ngram_vectors").fill(PAGE) == PAGE
