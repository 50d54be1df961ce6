"""Codes, accuracy, ratios and records of the script that compares identifiers of languages."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
TINY = Path(__file__).parent / "files" / "tiny-text"
TEXTS = {"de": ["guten Tag", "wie geht es"], "nb": ["god dag"], "lg": ["wasuze otya"]}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("compare_langid")


@pytest.fixture
def clock(script: ModuleType) -> ModuleType:
    return importlib.import_module("langid_speed")


@pytest.fixture
def alone(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No peer is looked for, and what `main` sets of the environment is undone."""
    monkeypatch.setattr(importlib.import_module("langid_tools"), "PEERS", {})
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    return monkeypatch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A text of each class of the tiny student."""
    made = tmp_path / "texts"
    made.mkdir()
    for code, text in {"el": "καλημέρα", "en": "good morning", "ru": "доброе утро"}.items():
        (made / f"{code}.txt").write_text(text, encoding="utf-8")
    return made


def call(script: ModuleType, alone: pytest.MonkeyPatch, *arguments: object) -> int:
    """The script's exit code."""
    alone.setattr("sys.argv", ["compare_langid.py", *map(str, arguments)])
    return script.main()


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


def test_pieces_have_the_length_asked_for_of_any_texts(clock: ModuleType) -> None:
    found = clock.pieces(TEXTS, 20, 100)
    assert [len(piece) for piece in found] == [100] * 20
    assert found == clock.pieces(TEXTS, 20, 100)
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


def test_files_that_mean_one_class_are_joined(script: ModuleType, tmp_path: Path) -> None:
    for name, text in {"nb": "en", "no": "to", "zh-Hant": "三", "zh": "四"}.items():
        (tmp_path / f"{name}.txt").write_text(f"{text}\n", encoding="utf-8")
    assert script.read(tmp_path, None) == {"nb": ["en", "to"], "zh": ["三", "四"]}
    assert [len(texts) for texts in script.read(tmp_path, 1).values()] == [1, 1]


def test_bytes_that_are_not_utf8_are_one_error_that_names_the_line(
    script: ModuleType,
    alone: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "de.txt").write_bytes(b"guten Tag\nsch\xf6n\n")
    assert call(script, alone, tmp_path) == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: {tmp_path / 'de.txt'}, line 2: not UTF-8")
    assert hint.startswith("hint: ")


def test_a_folder_without_texts_is_an_error(
    script: ModuleType,
    alone: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "de.txt").write_text("\n")
    assert call(script, alone, tmp_path, "--student", TINY) == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert error == f"error: {tmp_path}: no <iso>.txt with a text in it"
    assert hint.startswith("hint: ")


@pytest.mark.parametrize(
    ("students", "wanted"),
    [
        ((), "nothing to measure"),
        ((TINY.parent / "tiny",), f"{TINY.parent / 'tiny'} classifies pictures"),
        ((TINY, TINY / "model.int8.onnx"), "scripts-tiny.test int8 is given twice"),
    ],
)
def test_no_tool_one_of_pictures_and_one_given_twice_are_errors(
    script: ModuleType,
    alone: pytest.MonkeyPatch,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    students: tuple[Path, ...],
    wanted: str,
) -> None:
    given = [word for path in students for word in ("--student", path)]
    assert call(script, alone, folder, *given) == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert error == f"error: {wanted}"
    assert hint.startswith("hint: ")


def test_what_is_written_is_what_a_card_takes_in(
    script: ModuleType, alone: pytest.MonkeyPatch, folder: Path, tmp_path: Path
) -> None:
    from zoo.files import sha256
    from zoo.records.card import Comparison, read_bench

    names = {f"scripts-tiny.test {p}": TINY / f"model.{p}.onnx" for p in ("int8", "fp32")}
    given = [word for path in names.values() for word in ("--student", path)]
    said = tmp_path / "said.json"
    assert call(script, alone, folder, *given, "--rounds", 1, "--json", said) == 0
    found = read_bench(said)
    assert isinstance(found, Comparison)
    assert found.files == {name: sha256(path) for name, path in names.items()}
    assert [(peer.name, peer.accuracy, peer.n) for peer in found.peers] == [
        (name, 1, 3) for name in names
    ]
    assert found.peers[0].word_ratio is None  # CLD3 was not there


def test_ratios_and_memory_are_on_the_record_of_a_peer(script: ModuleType, tools: list) -> None:
    answered = script.over_folder(tools, TEXTS)
    timed = {
        kind: {script.REFERENCE: [[2000.0] * 4] * 3, "german": [[factor * 2000.0] * 4] * 3}
        for kind, factor in (("word", 2), ("sentence", 3), ("pieces", 0.5))
    }
    peer = script.record(tools[1], answered, timed, {})["peer"]
    assert peer["word_ratio"] == (2, 2, 2)
    assert peer["sentence_ratio"] == (3, 3, 3)
    assert peer["batch_ratio"] == (0.5, 0.5, 0.5)
    assert peer["peak_memory_mb"] is None or peer["peak_memory_mb"] > 3
    assert script.record(tools[1], answered, {}, {})["peer"]["word_ratio"] is None


def test_langdetect_is_repeatable_and_has_no_answer_without_letters(script: ModuleType) -> None:
    pytest.importorskip("langdetect")
    tool = importlib.import_module("langid_tools").langdetect()
    assert {"zh", "nb", "he", "de"} <= tool.codes
    assert len(tool.codes) == 54  # zh-cn and zh-tw are one
    assert script.ours(tool.one("你好，我是学生。今天天气很好。")) == "zh"
    assert [tool.one(text) for text in ("12345", "")] == ["", ""]
    assert tool.many is None


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

    from zoo.records.card import Peer

    answered = script.over_folder(tools, TEXTS)
    found = script.record(tools[1], answered, {}, {"dataset": "d", "date": "2026-01-01"})
    assert set(found["peer"]) == {field.name for field in fields(Peer)}
    assert Peer(**found["peer"]).name == "german"


def test_rounds_give_every_call_a_block_a_round(clock: ModuleType) -> None:
    blocks = clock.in_rounds({"a": lambda: None, "b": lambda: sum(range(1000))}, 3)
    assert {name: len(found) for name, found in blocks.items()} == {"a": 3, "b": 3}
    assert clock.microseconds(blocks["b"]) > clock.microseconds(blocks["a"]) > 0


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
