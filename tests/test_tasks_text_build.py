"""The whole chain on texts of three made-up languages: built, published, pulled, asked; refused."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import zoo
from distill.errors import DistillError
from zoo.card import writing
from zoo.chain import distil
from zoo.chain.build import build
from zoo.errors import CardError, GateError, RecipeError
from zoo.measure import remeasure
from zoo.records import card, reader, recipe, run
from zoo.records.card import Card
from zoo.records.text import Document, load_json
from zoo.registry import local
from zoo.tasks.text_classification.recipe import TextRecipe
from zoo.tasks.text_classification.student import TextStudent

pytestmark = pytest.mark.train

SYLLABLES = {"aa": ("ka", "lo", "mi"), "bb": ("şu", "ğe", "zö"), "cc": ("да", "ни", "во")}
NAME = "tongues-ngram-small.kd"
RECIPE = f"""\
name: {NAME}
summary: Tells three languages apart that nobody speaks
task: text-classification
licence: Apache-2.0
data:
  source: corpus
  tests: {{Homily: homily, Almanac: almanac}}
  words: words
  licence: CC0-1.0
  validation: 0.25
teacher: {{callable: "linguist:answer", source: the letters of each, licence: CC0-1.0}}
student:
  architecture: ngram
  options: {{rows: 128, orders: 13, dim: 4, hidden: 8}}
labels: {{views: 2, top_k: 2, audit: 0.1, of: words}}
loss: {{name: kd, temperature: 1.0, ce: 0.5, kd: 0.5}}
train:
  {{epochs: 30, batch_size: 16, optimizer: adam, learning_rate: 0.02, weight_decay: 0,
    seeds: [0, 1]}}
unknown_below: 0.4
compress: {{}}
gates: {{max_drop_points: 100, min_agreement: 0.0, max_speed_ratio: 1000, max_size_bytes: 0}}
"""
LINGUIST = """\
import numpy as np

def answer(texts):
    own = ("kalomi", "şuğezö", "данивo")
    return np.array([[sum(text.count(c) for c in letters) for letters in own] for text in texts])
"""


def make_lab(folder: Path, text: str = RECIPE) -> Path:
    """A folder with data, teacher and recipe, as a stranger would lay it out."""
    chance = random.Random(0)
    for place, count, words in (
        ("corpus", 24, 5),
        ("words", 12, 1),
        ("homily", 8, 4),
        ("almanac", 5, 2),
    ):
        (folder / place).mkdir(parents=True)
        for label, syllables in SYLLABLES.items():
            lines = [
                " ".join("".join(chance.choices(syllables, k=4)) for _ in range(words))
                for _ in range(count)
            ]
            (folder / place / f"{label}.txt").write_text("\n".join(lines), encoding="utf-8")
    (folder / "linguist.py").write_text(LINGUIST, encoding="utf-8")
    (folder / "student.yaml").write_text(text, encoding="utf-8")
    return folder


def enter(patch: pytest.MonkeyPatch, lab: Path) -> None:
    """The lab as working directory; whatever is published stays in it."""
    patch.chdir(lab)
    patch.syspath_prepend(str(lab))
    patch.delitem(sys.modules, "linguist", raising=False)
    patch.setenv("ZOO_REGISTRY", str(lab / "registry.yaml"))
    patch.setenv("ZOO_STORE", str(lab / "store"))
    patch.setenv("ZOO_CACHE", str(lab / "cache"))
    patch.delenv("ZOO_DATA", raising=False)
    patch.setattr(distil, "device", lambda: ("cpu", "as it is"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published folder, made once; its lab is two folders up."""
    with pytest.MonkeyPatch.context() as patch:
        lab = make_lab(tmp_path_factory.mktemp("text") / "lab")
        enter(patch, lab)
        return build("student.yaml", work=Path("runs"), store=Path("store")).resolve()


@pytest.fixture(scope="module")
def made(built: Path) -> Card:
    return card.read(built)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    enter(monkeypatch, make_lab(tmp_path / "lab"))
    return tmp_path / "lab"


def test_what_was_built_answers(built: Path) -> None:
    student = zoo.load(built)
    assert isinstance(student, TextStudent)
    assert [answer[0][0] for answer in student(["kalomika", "ŞUĞEZÖ", "данивода"])] == [*SYLLABLES]
    assert student.unknown_below == 0.4
    assert student.label("12 34") == "unknown"


def test_the_card_tells_every_test_set_and_class(made: Card) -> None:
    int8 = made.variants["int8"]
    assert (int8.accuracy.dataset, int8.accuracy.n) == ("Homily", 24)
    assert [(score.dataset, score.n) for score in int8.also] == [("Almanac", 15)]
    assert int8.accuracy.metric == "macro-averaged accuracy"
    assert made.per_class is not None and set(made.per_class) == set(SYLLABLES)
    assert made.unknown is not None and made.unknown.below == 0.4
    assert made.seeds is not None and len(made.seeds.values) == 2
    assert made.data.listed == made.data.train - 54 > 30  # some words were drawn twice
    assert (made.data.drawn, made.data.counts, made.data.dropped) == (0, None, None)
    assert made.teaching == card.Teaching("words", 1.0, 2, 0.5, 0.5, 1.0)


def test_every_codec_was_measured_and_the_first_that_passes_is_the_file(made: Card) -> None:
    assert [a.name for a in made.attempts] == ["linear", "dynamic-2015", "dynamic-bnb"]
    assert all(a.accuracy is not None and a.speed_ratio is not None for a in made.attempts)
    assert made.variants["int8"].size_bytes == made.attempts[0].size_bytes


def test_latency_is_that_of_words_and_sentences(made: Card) -> None:
    setups = {(row.batch, row.text_length) for row in made.latency}
    assert setups == {(1, 8), (1, 100), (256, 100)}
    assert all(row.image_size is None for row in made.latency)


def test_nothing_has_drifted_and_the_registry_has_its_row(built: Path) -> None:
    assert writing.drift(built) == []
    row = local.load(built.parent.parent / "registry.yaml")[NAME]
    assert row.task == "text-classification"


def test_the_run_tells_the_temperature_and_what_was_kept(built: Path) -> None:
    document = load_json(built / run.FILE, CardError)
    happened = reader.read(run.Run, document, CardError)
    training = happened.seeds["0"]
    assert training.temperature is not None and training.temperature > 0
    assert training.labels is not None and training.labels.audit_agreement == 1.0
    assert set(happened.data) == {"train", "validation", "test", "Almanac"}
    assert happened.words == {"listed": card.read(built).data.listed}
    kept = recipe.bind(Document(happened.recipe, "run.json"))
    assert isinstance(kept, TextRecipe)


def test_the_accuracy_is_measured_again_from_the_folder_alone(built: Path) -> None:
    again = remeasure.accuracy(built, built.parent.parent)
    assert set(again) == {"fp32", "int8", "fp32, Almanac", "int8, Almanac"}
    assert all(score.ok for score in again.values())


def test_a_second_build_does_nothing_again(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = built.parent.parent
    enter(monkeypatch, lab)
    kept = {path: path.stat().st_mtime_ns for path in (lab / "runs").rglob("*.onnx")}
    weights = {path: path.stat().st_mtime_ns for path in (lab / "runs").rglob("student.pt")}
    build("student.yaml", work=Path("runs"), store=Path("store"))
    again = {path: path.stat().st_mtime_ns for path in (*kept, *weights)}
    stages = {path: when for path, when in again.items() if path.parent.name != "card"}
    assert stages == {p: t for p, t in (kept | weights).items() if p.parent.name != "card"}


def test_a_gate_that_no_codec_passes_publishes_nothing(lab: Path) -> None:
    tight = RECIPE.replace("max_size_bytes: 0", "max_size_bytes: 100").replace(
        "seeds: [0, 1]", "seeds: [0]"
    )
    (lab / "student.yaml").write_text(tight, encoding="utf-8")
    with pytest.raises(GateError, match=r"linear: .*size"):
        build("student.yaml", work=Path("runs"), store=Path("store"))
    assert not (lab / "store" / NAME).exists()


def test_a_teacher_of_pictures_is_refused(lab: Path) -> None:
    wrong = RECIPE.replace(
        '{callable: "linguist:answer", source: the letters of each, licence: CC0-1.0}',
        "{pretrained: efficientnet-lite0}",
    )
    (lab / "student.yaml").write_text(wrong, encoding="utf-8")
    with pytest.raises(DistillError, match="efficientnet-lite0 is not a teacher of texts"):
        build("student.yaml", work=Path("runs"), store=Path("store"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("unknown_below: 0.4", "unknown_below: 1.4", r"unknown_below must lie in \[0, 1\)"),
        ("  source: corpus\n", "  source: corpus\n  image_size: 32\n", "image_size"),
        ("task: text-classification", "task: text-generation", "no task is called"),
        ("of: words", "of: sentences", "of"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_one_error(
    lab: Path, old: str, new: str, said: str
) -> None:
    (lab / "student.yaml").write_text(RECIPE.replace(old, new), encoding="utf-8")
    with pytest.raises(RecipeError, match=said):
        build("student.yaml", work=Path("runs"), store=Path("store"))
