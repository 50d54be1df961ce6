"""Codes, accuracy, ratios and records of the script that compares identifiers of languages."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parent.parent / "docs"
TEXTS = {"de": ["guten Tag", "wie geht es"], "nb": ["god dag"], "lg": ["wasuze otya"]}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(DOCS))
    return importlib.import_module("compare_langid")


@pytest.fixture
def tools(script: ModuleType) -> list:
    """A stand-in for CLD3 that knows two languages, and one that answers in batches too."""

    def guess(text: str) -> str:
        return "no" if text.startswith("god") else "de"

    def all_german(texts: list[str]) -> list[str]:
        return ["de"] * len(texts)

    made = script.Tool
    weigh = (Path(__file__),)
    two, one = frozenset({"de", "nb"}), frozenset({"de"})
    return [
        made(script.REFERENCE, "1", "MIT", two, guess, None, weigh, "pass"),
        made("german", "2", "MIT", one, lambda _: "de", all_german, weigh, "import json"),
    ]


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("no", "nb"),
        ("nn", "nn"),
        ("iw", "he"),
        ("fil", "tl"),
        ("NB", "nb"),
        ("zh-Latn", "zh"),
        ("ru_Cyrl", "ru"),
        ("sh", "sh"),
        ("yue", "yue"),
        ("", ""),
    ],
)
def test_a_tools_code_becomes_ours(script: ModuleType, code: str, wanted: str) -> None:
    assert script.ours(code) == wanted


def test_cld3_knows_71_of_our_75_languages(script: ModuleType) -> None:
    import langid_tools

    assert len(langid_tools.CLD3_CODES.split()) == 109  # outputs of its softmax
    known = set(map(script.ours, langid_tools.CLD3_CODES.split()))
    assert {"nb", "he", "tl", "zh", "sr", "hr", "bs"} <= known
    assert not {"lg", "nn", "tn", "ts"} & known


def test_every_class_weighs_alike_however_many_texts_it_has(script: ModuleType) -> None:
    counts = script.tally(["de", "de", "de", "he"], ["de", "de", "de", "iw-Hebr"])
    assert counts == {"de": (3, 3), "he": (1, 1)}
    value, low, high = script.macro([(9, 10), (1, 2)])
    assert value == pytest.approx(0.7)
    half = 1.959964 * math.sqrt(0.9 * 0.1 / 10 + 0.5 * 0.5 / 2) / 2
    assert (low, high) == pytest.approx((0.7 - half, min(1, 0.7 + half)))


def test_no_class_has_no_accuracy(script: ModuleType) -> None:
    assert all(map(math.isnan, script.macro([])))


def test_a_ratio_is_the_median_of_rounds_and_needs_both(script: ModuleType) -> None:
    blocks = {"a": [[2.0] * 9, [4.0] * 9, [9.0] * 9], "b": [[1.0] * 9] * 3, "none": []}
    value, low, high = script.ratio(blocks, "a", "b")
    assert value == 4
    assert 2 <= low <= value <= high <= 9
    assert script.ratio(blocks, "a", "none") is None
    assert script.ratio(blocks, "a", "unheard of") is None


def test_pieces_have_the_length_asked_for_of_any_texts(script: ModuleType) -> None:
    found = script.pieces(TEXTS, 20, 100)
    assert [len(piece) for piece in found] == [100] * 20
    assert found == script.pieces(TEXTS, 20, 100)
    assert len(set(found)) > 2


def test_a_folder_is_read_by_our_codes_without_blank_lines(
    script: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "no.txt").write_text("en\n\n  to \ntre\u2028fire\n", encoding="utf-8")
    (tmp_path / "xx.txt").write_text("\n")
    (tmp_path / "README.md").write_text("not a text")
    assert script.read(tmp_path, None) == {"nb": ["en", "to", "tre\u2028fire"]}
    assert len(script.read(tmp_path, 2)["nb"]) == 2
    assert script.read(tmp_path, 2) == script.read(tmp_path, 2)


def test_an_unknown_class_is_wrong_in_all_and_absent_from_own(
    script: ModuleType, tools: list
) -> None:
    answered = script.over_folder(tools, TEXTS)
    found = script.record(tools[0], answered, {}, {"dataset": "d", "date": "2026-01-01"})
    assert found["peer"]["accuracy"] == pytest.approx(2 / 3)
    assert found["peer"]["own_accuracy"] == 1
    assert found["peer"]["classes"] == 2
    assert found["peer"]["n"] == 4
    assert found["unknown_classes"] == ["lg"]
    assert found["per_class"] == {"de": 1, "lg": 0, "nb": 1}


def test_only_tools_with_batches_are_timed_in_batches(script: ModuleType, tools: list) -> None:
    answered = script.over_folder(tools, TEXTS)
    rows = [script.record(tool, answered, {}, {}) for tool in tools]
    assert [row["peer"]["batched"] for row in rows] == [False, True]
    assert "folder_batch" not in rows[0]["speed"]
    assert rows[1]["speed"]["folder_batch"]["ratio"][0] > 0
    assert rows[0]["speed"]["folder_one"]["ratio"] == (1, 1, 1)


def test_a_record_holds_what_a_card_says_of_a_peer(script: ModuleType, tools: list) -> None:
    from dataclasses import fields

    from zoo.card import Peer

    answered = script.over_folder(tools, TEXTS)
    found = script.record(tools[1], answered, {}, {"dataset": "d", "date": "2026-01-01"})
    assert set(found["peer"]) == {field.name for field in fields(Peer)}
    assert Peer(**found["peer"]).name == "german"


def test_rounds_give_every_call_a_block_a_round(script: ModuleType) -> None:
    blocks = script.in_rounds({"a": lambda: None, "b": lambda: sum(range(1000))}, 3)
    assert {name: len(found) for name, found in blocks.items()} == {"a": 3, "b": 3}
    assert script.microseconds(blocks["b"]) > script.microseconds(blocks["a"]) > 0


def test_peak_memory_is_of_a_process_of_its_own(script: ModuleType, tools: list) -> None:
    peak = script.peak_memory_mb(tools[0])
    assert peak is None or 3 < peak < 60


def test_the_tables_name_every_tool(script: ModuleType, tools: list) -> None:
    answered = script.over_folder(tools, TEXTS)
    timed = {"word": {tool.name: [[1500.0] * 4] * 3 for tool in tools}}
    shared = {"dataset": "d", "date": "2026-01-01"}
    rows = [script.record(tool, answered, timed, shared) for tool in tools]
    assert "| CLD3 | 1 | 2 | 66.67 [" in script.accuracy_table(rows, 3)
    assert "1.5 (1 [1, 1])" in script.speed_table(rows)
    assert "no batches" in script.speed_table(rows)
