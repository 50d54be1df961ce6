"""A student that learns from its teacher alone: built, and never called accurate."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from colours_lab import NAME, RECIPE, enter, make, make_lab

import zoo
from distill.errors import DistillError
from zoo.card import writing
from zoo.chain import distil
from zoo.chain.build import chain
from zoo.chain.made import Labelled
from zoo.errors import CardError, RecipeError
from zoo.measure import remeasure
from zoo.records import card, recipe
from zoo.registry import registries

CLASSES = "classes: [blue, green, red]"
UNLABELLED = RECIPE.replace("validation: 0.25", "validation: 0.25, labelled: false")
UNLABELLED = UNLABELLED.replace(
    "licence: CC0-1.0}\nstudent", f"licence: CC0-1.0, {CLASSES}}}\nstudent"
)
UNLABELLED = UNLABELLED.replace("ce: 0.5, kd: 0.5", "ce: 0, kd: 1")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sixty pictures in one flat folder."""
    make_lab(tmp_path / "lab", UNLABELLED)
    flat = tmp_path / "lab" / "colours"
    for path in sorted(flat.rglob("*.png")):
        path.rename(flat / "-".join(path.relative_to(flat).parts))
    for folder in ("train", "test"):
        shutil.rmtree(flat / folder)
    enter(monkeypatch, tmp_path / "lab")
    monkeypatch.setattr(distil, "device", lambda: ("cpu", "as it is"))
    return tmp_path / "lab"


def label() -> tuple[Labelled, list[str]]:
    told: list[str] = []
    made = chain(recipe.written("student.yaml"), None, Path("runs"), until="label", say=told.append)
    return made, told


def rewrite(old: str, new: str, file: str = "student.yaml") -> None:
    text = Path(file).read_text()
    assert old in text
    Path(file).write_text(text.replace(old, new))


@pytest.mark.usefixtures("lab")
def test_the_teachers_first_answers_stand_for_labels() -> None:
    made, told = label()
    data = made.data
    assert data.labels == data.train.classes == ("blue", "green", "red")
    for split in (data.train, data.validation):
        said = [data.labels[place] for place in split.labels]
        assert said == [name.split("-")[1] for name in split.names]  # of colours it is always right
    assert any("answers 48 examples without labels" in line for line in told)
    assert "was done before" in "".join(label()[1])


@pytest.mark.usefixtures("lab")
def test_an_own_student_is_tried_before_the_teacher_is_asked() -> None:
    student = "import torch\n\ndef four():\n"
    layers = "torch.nn.AvgPool2d(16), torch.nn.Flatten(), torch.nn.Linear(3, 4)"
    Path("four_net.py").write_text(f"{student}    return torch.nn.Sequential({layers})\n")
    rewrite("{architecture: separable, options: {size: small}}", '{architecture: "four_net:four"}')
    with pytest.raises(DistillError, match=r"student.yaml:\d+.*logits \(2, 3\) are needed"):
        label()
    assert not list(Path("runs").rglob("done.json"))  # nothing was answered


@pytest.mark.usefixtures("lab")
def test_an_onnx_teacher_names_the_classes_itself(files: Path) -> None:
    shutil.copyfile(files / "tiny" / "model.fp32.onnx", "teacher.onnx")
    rewrite('callable: "oracle:answer"', "onnx: teacher.onnx")
    rewrite(f", {CLASSES}", "")
    assert label()[0].data.labels == ("red", "green", "blue")


@pytest.mark.usefixtures("lab")
def test_classes_in_another_order_than_the_teachers_file_has_are_one_error(files: Path) -> None:
    shutil.copyfile(files / "tiny" / "model.fp32.onnx", "teacher.onnx")
    rewrite('callable: "oracle:answer"', "onnx: teacher.onnx")
    with pytest.raises(DistillError, match=r"names in teacher\.onnx in another order"):
        label()
    rewrite(CLASSES, "classes: [rot, blau]")
    with pytest.raises(DistillError, match="its own names are those of 2 classes"):
        label()


@pytest.mark.usefixtures("lab")
def test_a_teacher_that_names_no_classes_is_one_error() -> None:
    rewrite(f", {CLASSES}", "")
    with pytest.raises(DistillError, match="does not name its classes") as caught:
        label()
    assert "teacher.classes" in caught.value.hint


@pytest.mark.usefixtures("lab")
def test_a_teacher_that_says_one_thing_only_is_refused() -> None:
    rewrite("[:, ::-1] / 20", "* 0 + np.eye(3)[1]", "oracle.py")
    with pytest.raises(RecipeError, match='answers "green" to every picture'):
        label()
    assert not list(Path("runs").rglob("*.npz"))


@pytest.mark.usefixtures("lab")
def test_classes_that_the_teacher_never_says_are_told() -> None:
    rewrite("[:, ::-1] / 20", "[:, ::-1] / 20 - [99, 0, 0]", "oracle.py")
    assert any("1 classes are never" in line and ": blue" in line for line in label()[1])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ce: 0, kd: 1", "ce: 0.1, kd: 0.9", "the loss kd learns from labels"),
        ("{name: kd, temperature: 2.0, ce: 0, kd: 1}", "{name: dkd, ce: 0}", "the loss dkd learns"),
        ("{name: kd, temperature: 2.0, ce: 0, kd: 1}", "{name: dist}", "the loss dist learns from"),
    ],
)
@pytest.mark.usefixtures("lab")
def test_a_loss_that_learns_from_labels_is_refused(old: str, new: str, message: str) -> None:
    rewrite(old, new)
    with pytest.raises(RecipeError, match=message) as caught:
        label()
    assert "kd: 1" in str(caught.value)


@pytest.mark.usefixtures("lab")
def test_without_a_teacher_nobody_answers() -> None:
    text = re.sub(r"teacher: .*\n", "", Path("student.yaml").read_text())
    Path("student.yaml").write_text(re.sub(r"loss: .*", "loss: {name: ce}", text))
    with pytest.raises(RecipeError, match="a teacher must answer"):
        label()


@pytest.mark.train
def test_the_card_claims_agreement_and_no_accuracy(lab: Path) -> None:
    folder = make()
    facts = card.read(folder)
    score = facts.variants["fp32"].accuracy
    assert (score.metric, score.n) == ("agreement with its teacher", 12) and score.value > 0.9
    assert facts.teacher and facts.teacher.accuracy is None and not facts.data.labelled
    assert facts.variants["int8"].ece is None
    assert writing.drift(folder) == []
    page = (folder / card.PAGE).read_text()
    assert "## Agreement with its teacher" in page and "learned from its teacher alone" in page
    claims = [line for line in page.splitlines() if "ccuracy" in line]
    assert claims == []
    assert registries.find(NAME).headline.metric == "agreement with its teacher"
    assert zoo.load(NAME).labels == ("blue", "green", "red")
    with pytest.raises(CardError, match="measured against its teacher's answers"):
        remeasure.accuracy(folder, lab)


@pytest.mark.usefixtures("lab")
def test_a_picture_that_the_first_answer_to_is_no_number_is_named() -> None:
    white = Image.fromarray(np.full((16, 16, 3), 255, np.uint8))
    white.save("colours/train-red-03.png")
    rewrite("/ 20", "/ np.where(images.min((1, 2, 3)) == 255, 0, 20)[:, None]", "oracle.py")
    with np.errstate(divide="ignore"), pytest.raises(DistillError, match=r"to train-red-03\.png"):
        label()
