"""The card of a text student: its record, its page, its figures, what the Hub is told."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.card import figures, writing
from zoo.card import latency as card_latency
from zoo.card import page as card_page
from zoo.card.markdown import duration
from zoo.card.metadata import metadata
from zoo.errors import CardError
from zoo.publish import shelf
from zoo.records import card as cards
from zoo.records import plain as records_plain
from zoo.records.card import Attempt, Bench, Card, Origin, Teaching, Unknown, Variant
from zoo.records.entry import Headline
from zoo.records.measures import Measurement, Score
from zoo.records.peers import Comparison, Peer, Ratio
from zoo.tasks.text_classification import languages

LABELS = ("bs", "de", "en", "fr", "hr", "no")
RATIOS = st.tuples(*[st.floats(0, 9)] * 3).map(sorted).map(lambda r: (r[1], r[0], r[2])) | st.none()
PER_CLASS = {"bs": 0.71, "de": 0.999, "en": 1.0, "fr": 0.998, "hr": 0.72, "no": 0.95}


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def score(value: float, dataset: str = "FLORES-200 devtest", n: int = 6072) -> Score:
    metric = "macro-averaged accuracy"
    return Score(metric, dataset, "test", n, value, value - 0.002, value + 0.002)


def timed(precision: str, batch: int, length: int, p50_ms: float, **values: Any) -> Measurement:
    row = Measurement(
        device="cpu",
        device_name="Sample CPU",
        precision=precision,
        batch=batch,
        threads=1,
        image_size=None,
        p50_ms=p50_ms,
        p95_ms=1.2 * p50_ms,
        n=2000,
        isa="avx2",
        runtime="onnxruntime",
        runtime_version="1.31.1",
        os="Linux 6.8 x86_64",
        date="2026-01-31",
        ratio_to_fp32=1.0 if precision == "fp32" else 1.04,
        ratio_low=0.98,
        ratio_high=1.06,
        control_ratio=1.0,
        control_low=0.99,
        control_high=1.01,
        text_length=length,
    )
    return dataclasses.replace(row, **values)


def attempt(name: str, drop: float | None, verdict: str) -> Attempt:
    size = None if drop is None else 551_234
    speed = None if drop is None else 1.02
    return Attempt(name, {"codec": name}, 0.93, 0.998, drop, size, speed, 1.0, 1.04, verdict, "")


def peer(name: str, **values: Any) -> Peer:
    facts: dict[str, Any] = {
        "version": "1.0",
        "licence": "MIT",
        "classes": 5,
        "accuracy": 0.8,
        "own_accuracy": 0.96,
        "n": 6072,
        "microseconds": 53.2,
        "batched": False,
        "size_bytes": 938_013,
        "dataset": "FLORES-200 devtest",
        "date": "2026-01-31",
    }
    return Peer(name, **(facts | values))


def variant(precision: str, size_bytes: int, value: float, **values: Any) -> Variant:
    return Variant(
        file=f"model.{precision}.onnx",
        sha256=digest(precision),
        size_bytes=size_bytes,
        accuracy=score(value),
        agreement_teacher=0.971,
        agreement_fp32=None if precision == "fp32" else 0.999,
        ece=0.012,
        peak_memory_mb=61.0,
        also=(score(value - 0.01, "UDHR", 360),),
        **values,
    )


def sample() -> Card:
    return Card(
        format=1,
        name="langid6-ngram-tiny.sample",
        task="text-classification",
        summary="A made-up card: no student stands behind these numbers.",
        licence="Apache-2.0",
        created="2026-01-31",
        code_commit="0" * 40,
        labels=LABELS,
        input=cards.Input("codepoints", "int32", "NL"),
        student=cards.StudentFacts("ngram", {"dim": 16, "hidden": 128}, 493_000, 40_000),
        teacher=cards.TeacherFacts(
            "sample-detector 2.1", "a package", digest("teacher"), "Apache-2.0", score(0.981)
        ),
        data=cards.DataFacts(
            source="texts.tar.xz",
            home="",
            licence="CC-BY-2.0-FR, CC0-1.0",
            sha256=digest("data"),
            train=318_000,
            validation=17_000,
            test=6072,
            drawn=60_000,
            listed=412,
            counts=Origin("detector-1.4.whl", digest("wheel"), "Apache-2.0"),
            dropped={"UDHR": 12},
        ),
        recipe_sha256=digest("recipe"),
        run_sha256=digest("run"),
        variants={
            "fp32": variant("fp32", 2_100_000, 0.9751),
            "int8": variant("int8", 551_234, 0.9749),
        },
        seeds=cards.Spread((0.9751, 0.9744, 0.9757), 0.975067, 0.00065),
        attempts=(
            attempt("linear", 0.01, "pass"),
            attempt("dynamic-2015", 0.03, "pass"),
            attempt("dynamic-bnb", None, "error"),
        ),
        gates={"max_drop_points": 0.1},
        latency=(
            timed("fp32", 1, 100, 0.0385),
            timed("int8", 1, 100, 0.0404),
            timed("fp32", 1, 8, 0.0118),
            timed("int8", 1, 8, 0.0123),
            timed("fp32", 256, 100, 2.31),
            timed("int8", 256, 100, 2.36),
        ),
        per_class=PER_CLASS,
        unknown=Unknown(below=0.4, share=0.021, right=0.35),
        peers=(
            peer("cld3-py"),
            peer("langid6-ngram-tiny.sample int8", version="", accuracy=0.9749, classes=6),
            peer("lid.176.ftz", microseconds=None, size_bytes=None, batched=True),
        ),
        teaching=Teaching("words", 0.15, 3, 0.5, 0.5, 1.0),
    )


@pytest.fixture
def card() -> Card:
    return sample()


def page(card: Card) -> str:
    return card_page.render(card, figures.names(card, {}))


def line(text: str, start: str) -> str:
    """The one line of `text` that starts so."""
    (found,) = [one for one in text.splitlines() if one.startswith(start)]
    return found


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


# --- the record ----------------------------------------------------------------------------------


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


# --- the page ------------------------------------------------------------------------------------


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
    assert "language" not in metadata(feelings)


# --- the Hub -------------------------------------------------------------------------------------


def test_the_hub_is_told_task_languages_and_every_test_set(card: Card) -> None:
    data = metadata(card)
    assert data["pipeline_tag"] == "text-classification"
    assert data["language"] == list(LABELS)
    assert {"language-identification", "ngram", "int8"} <= set(data["tags"])
    first, second = data["model-index"][0]["results"]
    assert first["dataset"]["type"] == "flores-200-devtest"
    assert second["dataset"]["type"] == "udhr"
    assert {m["name"]: m["value"] for m in first["metrics"]} == {
        "macro-averaged, int8": 0.9749,
        "macro-averaged, fp32": 0.9751,
    }


def test_the_hub_client_reads_norwegian_as_a_language_and_not_as_false(card: Card) -> None:
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(page(card)).data
    assert data.language == list(LABELS)
    assert {r.metric_value for r in data.eval_results} == {0.9749, 0.9751, 0.9649, 0.9651}


def test_training_data_of_the_hub_is_not_taken_for_the_test_set(card: Card) -> None:
    facts = dataclasses.replace(card.data, source="hub:org/texts@main")
    data = metadata(dataclasses.replace(card, data=facts))
    assert data["datasets"] == ["org/texts"]
    assert data["model-index"][0]["results"][0]["dataset"]["type"] == "flores-200-devtest"


# --- languages -----------------------------------------------------------------------------------


def test_every_two_letter_code_has_one_name() -> None:
    assert len(languages.NAMES) == 183
    assert len(set(languages.NAMES.values())) == 183
    assert all(re.fullmatch("[a-z]{2}", code) for code in languages.NAMES)
    assert languages.named("nb") == "Norwegian Bokmål (nb)"
    assert languages.named("spam") == "spam"


# --- figures and disk ----------------------------------------------------------------------------


def text_of(svg: bytes) -> str:
    return "\n".join(e.text or "" for e in ET.fromstring(svg).iter() if e.tag.endswith("text"))


def test_the_figures_show_microseconds_and_every_language(card: Card) -> None:
    pytest.importorskip("matplotlib")
    drawn = figures.draw(card, {})
    assert set(drawn) == {"latency.svg", "classes.svg"} == set(figures.names(card, {}))
    latency = text_of(drawn["latency.svg"])
    assert "µs a text" in latency
    assert "batch 1, 1 thread, 8 characters" in latency
    assert "int8  9.22" in latency  # 2.36 ms for 256 texts
    shown = text_of(drawn["classes.svg"])
    assert all(languages.named(label) in shown for label in LABELS)
    assert "accuracy of the int8 file, %" in shown
    assert figures.draw(card, {}) == drawn


@pytest.mark.parametrize("count", [1, 25, 26, 51, 75, 183])
def test_any_number_of_classes_is_drawn(card: Card, count: int) -> None:
    pytest.importorskip("matplotlib")
    labels = tuple(languages.NAMES)[:count]
    many = dataclasses.replace(card, labels=labels, per_class=dict.fromkeys(labels, 0.9))
    shown = text_of(figures.draw(many, {})["classes.svg"])
    assert shown.count("90.0") == count


def test_a_card_with_other_class_accuracies_needs_another_figure(
    card: Card, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    for precision, v in card.variants.items():
        (tmp_path / v.file).write_text(precision)  # whose sha256 the card holds
    writing.write(card, tmp_path)
    assert writing.drift(tmp_path) == []
    other = dataclasses.replace(card, per_class=PER_CLASS | {"bs": 0.5})
    (tmp_path / "card.json").write_text(cards.to_json(other))
    found = "\n".join(writing.drift(tmp_path))
    assert "classes.svg: drawn from other numbers" in found
    assert "README.md: not what card.json says" in found
    assert "latency.svg" not in found


# --- a comparison added to the card --------------------------------------------------------------


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
