"""The page of a text student's card: what it says, and what it does not."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from text_cards import digest, line, page, peer, sample, score, section, timed

from zoo.card import latency as card_latency
from zoo.card.markdown import duration
from zoo.card.metadata import metadata
from zoo.card.words import words
from zoo.publish import shelf
from zoo.records import card as cards
from zoo.records.card import Card, Teaching
from zoo.records.entry import Headline
from zoo.records.peers import Ratio


@pytest.fixture
def card() -> Card:
    return sample()


def test_one_line_to_decide_by(card: Card) -> None:
    assert line(page(card), "**97.49 %**") == (
        "**97.49 %** macro-averaged accuracy on FLORES-200 devtest, 6 languages · "
        "**551.2 kB** in one int8 file · **12.3 µs** a word of 8 characters, "
        "**40.4 µs** a sentence of 100 characters on one thread of Sample CPU"
    )


def test_nothing_is_said_of_pictures(card: Card) -> None:
    assert not re.search("picture|photo|image|RGB|None x", page(card))


def test_the_headline_latency_is_that_of_the_sentence(card: Card) -> None:
    assert shelf.headline(card) == Headline(
        accuracy=0.9749,
        accuracy_dataset="FLORES-200 devtest",
        int8_size_bytes=551_234,
        int8_latency_ms=0.0404,
    )
    row = card_latency.single_latency(card.latency[2:4], "int8")
    assert row == card.latency[3]
    assert card_latency.single_latency((), "int8") is None


def test_the_snippets_are_programs_and_one_has_no_code_of_ours(card: Card) -> None:
    ours, plain = re.findall(r"```python\n(.*?)```", page(card), re.DOTALL)
    compile(ours, "README.md", "exec")
    compile(plain, "README.md", "exec")
    assert "zoo" not in plain.replace("studentzoo.labels", "")
    assert f'zoo run {card.name} --text "' in page(card)


def test_the_snippet_without_our_code_answers(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(files / "tiny-text")  # tells scripts apart
    plain = re.findall(r"```python\n(.*?)```", page(cards.read(Path())), re.DOTALL)[1]
    exec(compile(plain, "README.md", "exec"), {})
    assert capsys.readouterr().out == "en\n"


def test_latencies_are_told_by_the_length_of_the_text(card: Card) -> None:
    found = section(page(card), "Latency")
    assert "| File | Batch | Threads | Characters | p50 | p95 | p50 a text | n |" in found
    assert "| int8 | 1 | 1 | 8 | 12.3 µs | 14.8 µs | 12.3 µs | 2,000 |" in found
    assert "| int8 | 256 | 1 | 100 | 2.36 ms | 2.83 ms | 9.22 µs | 2,000 |" in found
    assert "plain" not in found


def test_the_yardstick_is_explained_where_it_was_timed(card: Card) -> None:
    later = cards.add_measurements(card, [timed("plain-fp32", 1, 100, 0.05)])
    assert "untouched torch export" in page(later)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0.00123, "1.23 µs"), (0.9994, "999 µs"), (0.15, "150 µs"), (1.0, "1 ms"), (150.4, "150 ms")],
)
def test_a_duration_below_a_millisecond_is_in_microseconds(milliseconds: float, text: str) -> None:
    assert duration(milliseconds) == text


def test_every_test_set_stands_in_the_accuracy_section(card: Card) -> None:
    found = section(page(card), "Accuracy")
    assert "| `model.int8.onnx` (int8) | 97.49 | 97.29 to 97.69 | 6,072 |" in found
    assert (
        "| `model.int8.onnx` (int8) | UDHR | Macro-averaged accuracy | 96.49 | 96.29 to 96.69 | 360"
        in found
    )
    assert "Macro-averaged: the mean over the 6 languages" in found
    assert "fraction of texts with the same first answer" in found


def test_an_accuracy_over_all_texts_is_not_called_macro_averaged(card: Card) -> None:
    plain = dataclasses.replace(score(0.97), metric="top-1 accuracy")
    variants = {
        k: dataclasses.replace(v, accuracy=plain, also=()) for k, v in card.variants.items()
    }
    found = section(page(dataclasses.replace(card, variants=variants)), "Accuracy")
    assert "acro-averaged" not in found
    assert "On other texts" not in found


def test_the_threshold_of_unknown_is_told_in_words(card: Card) -> None:
    found = section(page(card), "Accuracy")
    assert "Where none reaches 0.4, `zoo` answers `unknown`" in found
    assert "to 2.10 % of the texts" in found
    assert "would have been right for 35.00 % of those" in found
    assert "It always answers" in page(dataclasses.replace(card, unknown=None))


def test_languages_are_listed_from_the_worst_down_the_columns(card: Card) -> None:
    found = section(page(card), "By language")
    assert "| Bosnian (bs) | 71.00 | Norwegian (no) | 95.00 | German (de) | 99.90 |" in found
    assert "| Croatian (hr) | 72.00 | French (fr) | 99.80 | English (en) | 100.00 |" in found
    assert "![Accuracy by label](classes.svg)" in found
    assert "By language" not in page(dataclasses.replace(card, per_class=None))


@given(st.integers(1, 90))
def test_no_class_is_lost_in_the_columns(count: int) -> None:
    labels = tuple(f"label-{i}" for i in range(count))
    made = dataclasses.replace(
        sample(), labels=labels, per_class={name: i / 90 for i, name in enumerate(labels)}
    )
    found = section(page(made), "By label")
    assert sorted(re.findall(r"label-\d+", found)) == sorted(labels)
    rows = [one for one in found.splitlines() if one.startswith("|")]
    assert len({one.count("|") for one in rows}) == 1


def test_the_file_names_its_code_and_what_the_others_would_have_cost(card: Card) -> None:
    found = section(page(card), "Quantization")
    assert "The file uses `linear`." in found
    assert (
        "What the others would have cost: `dynamic-2015`: 0.03 points less than fp32, 551.2 kB, "
        "1.02 times its latency; `dynamic-bnb`: not measured." in found
    )
    assert all(f"| {a.name} | codec {a.name} |" in found for a in card.attempts)


def test_where_no_code_passed_there_is_no_8_bit_file(card: Card) -> None:
    refused = dataclasses.replace(card.attempts[0], verdict="fail", reason="too much is lost")
    fp32 = {"fp32": card.variants["fp32"]}
    found = page(dataclasses.replace(card, attempts=(refused,), variants=fp32))
    assert "None passed: there is no int8 file." in found
    assert "The int8 file is" not in found


def test_peers_stand_beside_it_the_best_first(card: Card) -> None:
    found = section(page(card), "Beside other tools")
    assert "`docs/compare_langid.py` on FLORES-200 devtest, 6,072 texts, 2026-01-31:" in found
    rows = [one for one in found.splitlines() if one.startswith("| ")][2:]
    assert rows == [
        "| **langid6-ngram-tiny.sample int8** | MIT | 6 | 97.49 | 96.00 | 53.2 µs | one by one "
        "| 938.0 kB |",
        "| cld3-py 1.0 | MIT | 5 | 80.00 | 96.00 | 53.2 µs | one by one | 938.0 kB |",
        "| lid.176.ftz 1.0 | MIT | 5 | 80.00 | 96.00 | - | many at once | - |",
    ]
    assert "does not know counts as wrong" in found
    assert "are left out" in found
    assert "Beside other tools" not in page(dataclasses.replace(card, peers=()))


def test_speed_beside_cld3_stands_in_a_table_of_its_own(card: Card) -> None:
    assert "| A word |" not in page(card)
    fast: dict[str, Ratio] = {"word_ratio": (0.31, 0.3, 0.324), "batch_ratio": (0.1, 0.09, 0.11)}
    one = dataclasses.replace(card.peers[1], **fast, peak_memory_mb=61.4)
    found = section(
        page(dataclasses.replace(card, peers=(card.peers[0], one))), "Beside other tools"
    )
    rows = found.split("| A word |")[1].splitlines()
    assert rows[2:4] == [
        "| **langid6-ngram-tiny.sample int8** | 0.310 (0.300 to 0.324) | - "
        "| 0.100 (0.090 to 0.110) | 61 |",
        "| cld3-py 1.0 | - | - | - | - |",
    ]
    assert "ratio to that of CLD3, which takes one text at a time" in found


def test_peers_of_two_runs_are_not_put_into_one_table(card: Card) -> None:
    other = dataclasses.replace(card, peers=(*card.peers, peer("cld3-py", dataset="UDHR", n=360)))
    found = section(page(other), "Beside other tools")
    assert found.count("| Tool |") == 2
    assert "on UDHR, 360 texts" in found


def test_the_lineage_counts_texts_and_says_what_was_learned_from(card: Card) -> None:
    found = section(page(card), "Lineage")
    assert "| Texts | 318,000 train, 17,000 validation, 6,072 test |" in found
    assert (
        "| Learned from | 15 % of the single words, or strings of them, from the probabilities by "
        "sample-detector 2.1 in 3 views of each (temperature 1, weight 0.5) and the label (weight "
        "0.5); all other words and all running text, from the label alone; the schedule" in found
    )
    every = dataclasses.replace(card, teaching=Teaching("all", 1.0, 1, 0.1, 0.9, 4.0))
    assert (
        "| Learned from | all texts, from the probabilities by sample-detector 2.1 in one view of "
        "each (temperature 4, weight 0.9) and the label (weight 0.1); the schedule"
        in section(page(every), "Lineage")
    )
    untold = section(page(dataclasses.replace(card, teaching=None)), "Lineage")
    assert "| Learned from | labels, and probabilities by sample-detector 2.1; how is" in untold
    assert "| Data | texts.tar.xz; CC-BY-2.0-FR, CC0-1.0 |" in found
    alone = section(page(dataclasses.replace(card, teacher=None)), "Lineage")
    assert "| Learned from | the label of each text's source, alone |" in alone


def test_the_lineage_tells_the_origin_of_words_and_what_no_test_counts(card: Card) -> None:
    found = section(page(card), "Lineage")
    assert (
        "| Drawn words | 60,000 of train, from the n-gram counts of `detector-1.4.whl`; "
        f"Apache-2.0; sha256 `{digest('wheel')}` |" in found
    )
    assert "| Listed words | 412 of train, of a list |" in found
    assert "| Left out of the tests | 12 of UDHR: they stand in train's source |" in found
    plain = dataclasses.replace(card.data, drawn=0, listed=0, counts=None, dropped=None)
    bare = section(page(dataclasses.replace(card, data=plain)), "Lineage")
    assert not re.search("Drawn words|Listed words|Left out", bare)


def test_peak_memory_is_said_to_be_of_a_bare_session(card: Card) -> None:
    assert "a bare onnxruntime session, without this package and its golden check" in page(card)


def test_the_limits_name_the_weakest_languages_and_the_origin_of_the_words(card: Card) -> None:
    found = section(page(card), "Limits")
    assert "Bosnian (bs) 71.00 %, Croatian (hr) 72.00 %" in found
    assert "FLORES-200 devtest and UDHR only" in found
    assert "60,000 of the texts that it learned from are single words drawn" in found
    undrawn = dataclasses.replace(card, data=dataclasses.replace(card.data, drawn=0))
    assert "web text" not in page(undrawn)


def test_labels_that_are_no_languages_are_called_labels(card: Card) -> None:
    feelings = dataclasses.replace(card, labels=("bad", "good"), per_class={"bad": 0.9})
    found = page(feelings)
    assert "2 labels" in found
    assert "languages" not in section(found, "Limits")
    assert "language" not in metadata(words(feelings))
