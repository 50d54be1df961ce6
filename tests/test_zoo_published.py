"""Every published student that is here: its hashes, its page, its answers.

A checkout has all of them, and so have the two distributions together; the wheel has two.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from zoo.card import writing
from zoo.publish import shelf
from zoo.records import card
from zoo.records.entry import Entry
from zoo.registry import local
from zoo.stores import folders
from zoo.students import load
from zoo.students.golden import golden
from zoo.tasks.text_classification.student import TextStudent

IN_THE_WHEEL = {"cifar10-separable-small.kd", "langid75-ngram-small.lingua"}
ENTRIES = local.load(local.own_path())
STORES = {name: folders.holder(name) for name in ENTRIES}
HERE = {name: store.folder(name) for name, store in STORES.items() if store.has(name)}
STUDENTS = [pytest.param(ENTRIES[name], id=name) for name in HERE]
TEXT_STUDENTS = [
    pytest.param(ENTRIES[name], id=name)
    for name in HERE
    if ENTRIES[name].task == "text-classification"
]


@pytest.mark.parametrize("entry", STUDENTS)
def test_the_row_is_what_the_folder_says(entry: Entry) -> None:
    folder = HERE[entry.name]
    revision = folders.tree_id(folder)  # none of them is on a hub yet
    assert shelf.entry(card.read(folder), folder, revision, entry.repo) == entry


@pytest.mark.parametrize("entry", STUDENTS)
def test_page_and_figures_follow_from_the_card(entry: Entry) -> None:
    assert writing.drift(HERE[entry.name]) == []


@pytest.mark.parametrize("entry", STUDENTS)
def test_the_fp32_file_answers_as_it_was_published(entry: Entry) -> None:
    verdict = golden(HERE[entry.name], "fp32")
    assert verdict.ok, verdict


@pytest.mark.parametrize("entry", STUDENTS)
def test_the_8_bit_file_answers_as_it_was_published(entry: Entry) -> None:
    folder = HERE[entry.name]
    if "int8" not in card.read(folder).variants:
        pytest.skip("fp32 only")
    verdict = golden(folder, "int8")
    if not verdict.ok:  # other 8-bit kernels than the build's; `zoo.load` takes fp32 here
        pytest.skip(f"int8 differs on this processor: {verdict}")


@pytest.mark.parametrize("entry", STUDENTS)
def test_an_8_bit_file_was_published_because_an_attempt_passed_every_gate(entry: Entry) -> None:
    published = card.read(HERE[entry.name])
    passed = [attempt.name for attempt in published.attempts if attempt.verdict == "pass"]
    assert bool(passed) == ("int8" in published.variants)
    assert (
        published.task == "text-classification" or len(passed) <= 1
    )  # of texts every code is tried to the end


# --- texts ---------------------------------------------------------------------------------------

WITHOUT_LETTERS = ["", " \t\n", "12:30", "?!...", "\U0001f642\U0001f643", "\0", "\u200f"]
SHORT = ["a", "e", "o", "in", "de", "la", "se", "si", "no", "on"]  # words of several languages
SENTENCES = {
    "ar": "وصلنا إلى المحطة في وقت متأخر من الليل ولم نجد سيارة أجرة.",
    "de": "Gestern Abend sind wir zu spät am Bahnhof angekommen und haben den Zug verpasst.",
    "el": "Χθες το βράδυ φτάσαμε πολύ αργά στον σταθμό και χάσαμε το τρένο.",
    "en": "Yesterday evening we arrived too late at the station and missed the last train.",
    "fi": "Eilen illalla saavuimme asemalle liian myöhään ja myöhästyimme viimeisestä junasta.",
    "fr": "Hier soir, nous sommes arrivés trop tard à la gare et nous avons manqué le train.",
    "ja": "昨日の夜、駅に着くのが遅すぎて、最後の電車に乗れませんでした。",
    "ko": "어제 저녁에 우리는 역에 너무 늦게 도착해서 마지막 기차를 놓쳤습니다.",
    "pl": "Wczoraj wieczorem przyjechaliśmy na dworzec za późno i nie zdążyliśmy na pociąg.",
    "tr": "Dün akşam istasyona çok geç vardık ve son treni kaçırdık, sonra eve yürüdük.",
}


def of_texts(entry: Entry) -> Iterable[TextStudent]:
    """The student of each of its files."""
    folder = HERE[entry.name]
    for variant in card.read(folder).variants.values():
        student = load.load(folder / variant.file)
        assert isinstance(student, TextStudent)
        yield student


@pytest.mark.parametrize("entry", TEXT_STUDENTS)
def test_a_text_without_letters_is_unknown_and_every_label_as_likely(entry: Entry) -> None:
    for student in of_texts(entry):
        even = 1 / len(student.labels)
        assert student.label(WITHOUT_LETTERS) == ["unknown"] * len(WITHOUT_LETTERS)
        for answer in student(WITHOUT_LETTERS, top=len(student.labels)):
            assert [probability for _, probability in answer] == pytest.approx([even] * len(answer))


@pytest.mark.parametrize("entry", TEXT_STUDENTS)
def test_one_and_two_letters_are_answered_with_doubt(entry: Entry) -> None:
    for student in of_texts(entry):
        sure = [answer[0][1] for answer in student([*SHORT, "zz"], top=1)]
        assert np.mean(sure) < 0.7
        pairs = zip(student.label(SHORT), sure, strict=False)
        doubted = [label == "unknown" or probability < 0.5 for label, probability in pairs]
        assert sum(doubted) >= len(SHORT) / 2


@pytest.mark.parametrize("entry", TEXT_STUDENTS)
def test_long_sentences_are_told_apart(entry: Entry) -> None:
    for student in of_texts(entry):
        known = {label: text for label, text in SENTENCES.items() if label in student.labels}
        assert student.label(known.values()) == list(known)


@pytest.mark.parametrize("store", folders.here(), ids=lambda store: store.root.name)
def test_what_a_store_has_is_in_the_registry_and_whole(store: folders.Folders) -> None:
    revisions = {name: store.revision(name) for name in store.names()}
    assert revisions == {name: ENTRIES[name].revision for name in revisions}


def test_the_wheel_has_two_students_and_everything_else_has_all() -> None:
    alone = local.WHEEL.is_file() and len(folders.here()) == 1
    assert set(HERE) == (IN_THE_WHEEL if alone else set(ENTRIES))


def test_the_two_distributions_are_of_one_release() -> None:
    root = Path(__file__).parent.parent
    code, data = (
        tomllib.loads((root / path / "pyproject.toml").read_text())["project"]
        for path in ("", "zoo/embedded")
    )
    assert code["version"] == data["version"]
    assert code["optional-dependencies"]["students"] == [f"{data['name']}=={data['version']}"]
