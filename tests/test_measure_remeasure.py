"""Numbers measured again: the files that were published, on data that is given."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from zoo.errors import CardError, ZooError
from zoo.measure import remeasure
from zoo.records import card as cards
from zoo.records.card import Input
from zoo.records.measures import Score

COLORS = {"red": (250, 5, 5), "green": (5, 250, 5), "blue": (5, 5, 250)}


@pytest.fixture
def student(tiny: Path, root: Path) -> Path:
    """The tiny student with a run.json that tells where its data is and the hash of it."""
    from distill.config import Data
    from distill.data import load

    test = load(Data("colours", "CC0-1.0", image_size=8), "test", root)
    recipe = {
        "name": "colours-tiny.test",
        "summary": "Tells colours apart.",
        "licence": "CC0-1.0",
        "data": {"source": "colours", "licence": "CC0-1.0", "image_size": 8},
        "student": {"architecture": "separable"},
        "train": {"epochs": 1},
        "loss": {"name": "ce"},
    }
    (tiny / "run.json").write_text(json.dumps({"recipe": recipe, "data": {"test": test.sha256}}))
    return tiny


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four test pictures, two of them blue."""
    for label, count in {"red": 1, "green": 1, "blue": 2}.items():
        for split in ("train", "test"):
            folder = tmp_path / "data" / "colours" / split / label
            folder.mkdir(parents=True)
            for i in range(count if split == "test" else 2):
                Image.new("RGB", (9, 9), COLORS[label]).save(folder / f"{i}.png")
    return tmp_path / "data"


def test_accuracy_is_measured_on_the_test_split_by_name_of_label(student: Path, root: Path) -> None:
    found = remeasure.accuracy(student, root)
    assert {p: (a.now.n, a.now.value, a.ok) for p, a in found.items()} == {
        "fp32": (4, 1.0, True),
        "int8": (4, 1.0, True),
    }


def test_a_wrong_answer_is_counted_and_another_picture_is_told(student: Path, root: Path) -> None:
    Image.new("RGB", (9, 9), COLORS["red"]).save(root / "colours/test/blue/0.png")
    again = remeasure.accuracy(student, root)["fp32"]
    assert again.now.value == 0.75
    assert again.card.low < 0.75  # the card's interval is wide, n is 4
    assert not again.same_data
    assert not again.ok


@pytest.mark.parametrize(("reader", "older"), [(None, True), (1, True), (2, False), ("2", True)])
def test_an_earlier_reader_of_pictures_is_told_where_the_data_differs(
    reader: object, older: bool, student: Path, root: Path
) -> None:
    run = json.loads((student / "run.json").read_text())
    run |= {} if reader is None else {"reader": reader}
    (student / "run.json").write_text(json.dumps(run))
    assert not any(again.older for again in remeasure.accuracy(student, root).values())
    run["data"]["test"] = "0" * 64
    (student / "run.json").write_text(json.dumps(run))
    assert all(again.older == older for again in remeasure.accuracy(student, root).values())


def test_a_run_without_the_hash_of_the_test_split_is_an_error(student: Path, root: Path) -> None:
    run = json.loads((student / "run.json").read_text())
    (student / "run.json").write_text(json.dumps(run | {"data": {"train": "0"}}))
    with pytest.raises(CardError, match=r"data\.test"):
        remeasure.accuracy(student, root)


def test_other_classes_are_an_error_that_names_the_data(student: Path, root: Path) -> None:
    for split in ("train", "test"):
        (root / "colours" / split / "red").rename(root / "colours" / split / "yellow")
    with pytest.raises(CardError, match="other classes"):
        remeasure.accuracy(student, root)


def test_a_student_without_a_run_cannot_say_where_its_data_is(tiny: Path, root: Path) -> None:
    with pytest.raises(CardError, match="does not hold the recipe"):
        remeasure.accuracy(tiny, root)


def test_missing_data_is_an_error(student: Path, root: Path) -> None:
    shutil.rmtree(root / "colours")
    with pytest.raises(Exception, match="colours") as caught:
        remeasure.accuracy(student, root)
    assert hasattr(caught.value, "hint")


def test_a_score_holds_inside_the_cards_interval_on_as_many_pictures() -> None:
    card = Score("top-1 accuracy", "made", "test", 100, 0.9, 0.85, 0.95)
    now = dataclasses.replace(card, value=0.86, low=0, high=1)
    assert remeasure.Again(card, now, True).ok
    assert not remeasure.Again(card, now, False).ok
    assert not remeasure.Again(card, dataclasses.replace(now, value=0.84), True).ok
    assert not remeasure.Again(card, dataclasses.replace(now, n=99), True).ok


def test_latency_names_the_very_files_that_were_timed(tiny: Path) -> None:
    bench = remeasure.latency(tiny, rounds=2, batch=3)
    for precision, digest in bench.files.items():
        content = (tiny / cards.read(tiny).variants[precision].file).read_bytes()
        assert digest == hashlib.sha256(content).hexdigest()
    assert {(row.precision, row.batch) for row in bench.rows} == {("fp32", 3), ("int8", 3)}


def test_a_folder_without_a_card_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match=r"card\.json"):
        remeasure.golden(tmp_path)


# --- texts ---------------------------------------------------------------------------------------

TEXTS = {"el": ["καλημέρα", "ευχαριστώ"], "en": ["good morning", "12"], "ru": ["доброе утро", "я"]}
TRAIN = {"el": ["νύχτα"], "en": ["day"], "ru": ["день"]}


@pytest.fixture
def text_student(tiny_text: Path, text_root: Path) -> Path:
    """The tiny text student with a run.json of its data; its card has a second test set."""
    from distill.config import TextData
    from distill.data.texts import load_tests

    data = {"source": "train", "licence": "CC0-1.0", "tests": {"A": "a", "B": "b"}}
    recipe = {
        "name": "scripts-tiny.test",
        "summary": "Tells scripts apart.",
        "licence": "CC0-1.0",
        "task": "text-classification",
        "data": data,
        "student": {"architecture": "ngram"},
        "train": {"epochs": 1},
        "loss": {"name": "ce"},
    }
    tests = load_tests(TextData(**data), text_root)  # type: ignore[arg-type]
    run = {"recipe": recipe, "data": {"test": tests["A"].sha256, "B": tests["B"].sha256}}
    (tiny_text / "run.json").write_text(json.dumps(run))
    card = json.loads((tiny_text / "card.json").read_text())
    for variant in card["variants"].values():
        also = variant["accuracy"] | {"dataset": "B", "n": 3, "low": 0.9}
        variant["accuracy"] |= {"low": 0.5}
        variant["also"] = [also]
    (tiny_text / "card.json").write_text(json.dumps(card))
    return tiny_text


@pytest.fixture
def text_root(tmp_path: Path) -> Path:
    """Six texts in `a`, one of them without letters, and three in `b`."""
    for place, texts in {
        "train": TRAIN,
        "a": TEXTS,
        "b": {k: v[:1] for k, v in TEXTS.items()},
    }.items():
        (tmp_path / "texts" / place).mkdir(parents=True)
        for label, found in texts.items():
            path = tmp_path / "texts" / place / f"{label}.txt"
            path.write_text("\n".join(found) + "\n", encoding="utf-8")
    return tmp_path / "texts"


def test_accuracy_of_texts_is_the_mean_of_the_classes_on_every_test_set(
    text_student: Path, text_root: Path
) -> None:
    told: list[tuple[int, int]] = []
    found = remeasure.accuracy(text_student, text_root, lambda *at: told.append(at))
    assert set(found) == {"fp32", "int8", "fp32, B", "int8, B"}
    assert found["int8"].now.metric == "macro-averaged accuracy"
    assert found["int8"].now.value == pytest.approx(5 / 6)
    assert found["int8, B"].now.value == 1
    assert all(again.ok for again in found.values())
    assert told[-1][0] == told[-1][1]


def test_other_test_texts_are_told(text_student: Path, text_root: Path) -> None:
    (text_root / "b" / "en.txt").write_text("good night\n")
    found = remeasure.accuracy(text_student, text_root)
    assert {name: again.same_data for name, again in found.items()} == {
        "fp32": True,
        "int8": True,
        "fp32, B": False,
        "int8, B": False,
    }


def test_words_and_sentences_are_as_long_as_those_that_a_build_times(text_root: Path) -> None:
    from distill.config import TextData
    from distill.data.texts import load_tests
    from zoo.tasks.text_classification.meter import TextMeter

    data = TextData(source="train", licence="CC0-1.0", tests={"A": "a"})
    built = TextMeter(None).loads(load_tests(data, text_root)["A"])  # type: ignore[arg-type]
    again = TextMeter.loads_of(Input("codepoints", "int32", "NL"), 1)
    lengths = [{load.facts()["text_length"] for load in loads} for loads in (built, again)]
    assert lengths[0] == lengths[1]


def test_latency_of_a_text_student_is_of_words_and_sentences(tiny_text: Path) -> None:
    told: list[tuple[int, int]] = []
    bench = remeasure.latency(tiny_text, rounds=2, progress=lambda *at: told.append(at))
    assert {row.text_length for row in bench.rows} == {8, 100}
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
