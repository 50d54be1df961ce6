"""The whole chain on three colours of 16 pixels: built, published, pulled; refused; killed."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from colours_lab import COLOURS, NAME, RECIPE, enter, killed, make, make_lab

import zoo
from distill.errors import DistillError
from zoo.card import writing
from zoo.chain import distil
from zoo.chain.build import STAGES, build, chain
from zoo.chain.trial import examine
from zoo.cli.arguments import Stage
from zoo.errors import CardError, GateError, NotFound, RecipeError, StoreError
from zoo.files import sha256
from zoo.records import card, reader, recipe, run
from zoo.records.names import FILES
from zoo.records.text import Document, load_json
from zoo.registry import local, registries
from zoo.stores.folders import Folders


@pytest.fixture(autouse=True)
def _on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits are promised on a CPU."""
    monkeypatch.setattr(distil, "device", lambda: ("cpu", "as it is"))


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lab as working directory; whatever is published stays in it."""
    enter(monkeypatch, make_lab(tmp_path / "lab"))
    return tmp_path / "lab"


def left() -> list[Path]:
    """What a build wrote, but for its lock."""
    found = [path for place in ("runs", "store") for path in Path(place).rglob("*")]
    return [path for path in found if path.is_file() and path.name != ".lock"]


def told(folder: Path) -> run.Run:
    document = load_json(folder / run.FILE, CardError)
    return reader.read(run.Run, document, CardError)


def weights_sha256(folder: Path) -> str:
    return told(folder).seeds["0"].weights_sha256


# --- refused before any work ---------------------------------------------------------------------


def test_data_that_is_not_there_is_one_error_that_says_what_to_do(lab: Path) -> None:
    shutil.rmtree("colours")
    with pytest.raises(DistillError, match="the data colours was not found") as caught:
        make()
    assert "--data" in caught.value.hint
    assert left() == []


def test_a_recipe_that_is_not_there_is_one_error(lab: Path) -> None:
    with pytest.raises(NotFound, match=r"missing\.yaml"):
        make("missing.yaml")


def rewrite(old: str, new: str, source: str = "student.yaml", target: str = "student.yaml") -> None:
    text = Path(source).read_text()
    assert old in text
    Path(target).write_text(text.replace(old, new))


CALLABLE = 'callable: "oracle:answer"'


@pytest.mark.parametrize("between", [[], ["other.yaml"]])
def test_a_recipe_that_learns_from_itself_is_one_error(lab: Path, between: list[str]) -> None:
    chain = ["student.yaml", *between]
    for name, teacher in zip(chain[::-1], ["student.yaml", *chain[::-1]], strict=False):
        Path(name).write_text(RECIPE.replace(CALLABLE, f"recipe: {teacher}").replace(NAME, name))
    with pytest.raises(RecipeError, match="learns from"):
        make()
    assert left() == []


def test_a_missing_recipe_of_the_teacher_is_found_before_the_data_is_read(lab: Path) -> None:
    rewrite(CALLABLE, "recipe: nobody-at-all")
    shutil.rmtree("colours")
    with pytest.raises(NotFound, match="nobody-at-all"):
        make()


def test_missing_data_is_found_before_the_teacher_is_trained(lab: Path) -> None:
    teacher = RECIPE.partition("compress:")[0].replace(NAME, "colours-teacher.ce")
    teacher = re.sub(r"teacher: .*\n", "", teacher).replace("source: colours", "source: elsewhere")
    Path("teacher.yaml").write_text(re.sub(r"loss: .*", "loss: {name: ce}", teacher))
    shutil.copytree("colours", "elsewhere")
    shutil.rmtree("colours")
    rewrite(CALLABLE, "recipe: teacher.yaml")
    with pytest.raises(DistillError, match="the data colours was not found"):
        make()
    assert left() == []


def test_a_stage_that_the_recipe_has_not_is_one_error(lab: Path) -> None:
    Path("student.yaml").write_text(RECIPE.partition("compress:")[0])
    with pytest.raises(RecipeError, match="has no compress section: there is no measure"):
        build("student.yaml", work=Path("runs"), store=Path("store"), until="measure")
    assert left() == []


def test_a_teacher_that_knows_too_few_classes_is_one_error(lab: Path) -> None:
    rewrite("[:, ::-1]", "[:, :2]", "oracle.py", "oracle.py")
    with pytest.raises(DistillError, match=r"answers \(\d+, 2\)"):
        make()
    assert left() == []


def test_a_teacher_that_names_its_classes_is_matched_by_name(lab: Path, files: Path) -> None:
    """The tiny student says red, green, blue; the data is in the order of the alphabet."""
    shutil.copyfile(files / "tiny" / "model.fp32.onnx", "teacher.onnx")
    rewrite(CALLABLE, "onnx: teacher.onnx")
    assert examine("student.yaml").trial.accuracy == 1.0


def test_a_teacher_that_names_other_classes_is_one_error(lab: Path, files: Path) -> None:
    shutil.copyfile(files / "tiny" / "model.fp32.onnx", "teacher.onnx")
    rewrite(CALLABLE, "onnx: teacher.onnx")
    for split in ("train", "test"):
        Path("colours", split, "blue").rename(Path("colours", split, "Blue"))
    with pytest.raises(DistillError, match="no class 'Blue'") as caught:
        make()
    assert "'blue'" in caught.value.hint


def test_a_second_build_in_the_same_place_is_refused(lab: Path) -> None:
    Path("runs").mkdir()
    with FileLock(Path("runs") / ".lock"), pytest.raises(StoreError, match="another build"):
        make()
    assert left() == []


def test_the_stages_that_a_command_takes_are_those_of_the_chain() -> None:
    assert [stage.name for stage in STAGES] == [stage.value for stage in Stage]


# --- a whole build -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A lab in which the student was built without interruption."""
    lab = make_lab(tmp_path_factory.mktemp("lab"))
    with pytest.MonkeyPatch.context() as patch:
        enter(patch, lab)
        patch.setattr(distil, "device", lambda: ("cpu", "as it is"))
        make()
    yield lab
    sys.modules.pop("oracle", None)


@pytest.fixture
def inside(built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    enter(monkeypatch, built)
    return built


@pytest.mark.train
@pytest.mark.usefixtures("inside")
def test_a_stranger_pulls_and_runs_what_was_built() -> None:
    student = zoo.load(NAME)
    assert student.labels == tuple(COLOURS)
    for label, colour in COLOURS.items():
        answer = student(Image.new("RGB", (50, 30), colour))
        assert answer[0][0] == label
    assert [entry.name for entry in zoo.models()] == [NAME]


@pytest.mark.train
@pytest.mark.usefixtures("inside")
def test_card_page_run_and_registry_are_of_one_piece() -> None:
    folder = Path("store") / NAME
    assert writing.drift(folder) == []
    facts, happened = card.read(folder), told(folder)
    wanted = recipe.find("student.yaml")
    assert facts.recipe_sha256 == happened.recipe_sha256 == recipe.digest(wanted)
    assert recipe.bind(Document(happened.recipe, "run.json")) == wanted
    assert (facts.data.train, facts.data.validation, facts.data.test) == (36, 12, 12)
    assert facts.data.sha256 == happened.data["train"]
    assert facts.teacher and happened.teacher
    assert facts.teacher.sha256 == happened.teacher.sha256
    assert facts.teacher.accuracy.value == 1.0
    assert facts.variants["fp32"].accuracy.n == 12
    assert [attempt.verdict for attempt in facts.attempts] == ["pass"]
    kept = happened.seeds["0"].labels
    assert kept and (kept.views, kept.top_k, kept.audit_agreement) == (2, 2, 1.0)
    assert len(happened.seeds["0"].curves) == 12
    assert registries.find(NAME).revision == Folders("store").revision(NAME)


@pytest.mark.train
@pytest.mark.usefixtures("inside")
def test_a_second_build_does_nothing_new() -> None:
    marks = sorted(Path("runs").rglob("done.json"))
    before = {path: path.stat().st_mtime_ns for path in marks}
    revision = Folders("store").revision(NAME)
    make()
    after = sorted(Path("runs").rglob("done.json"))
    assert {path: path.stat().st_mtime_ns for path in after} == before
    assert Folders("store").revision(NAME) == revision


@pytest.mark.train
def test_a_build_that_ends_with_labels_has_asked_the_teacher(lab: Path) -> None:
    folder = build("student.yaml", work=Path("runs"), until="label")
    assert folder == Path("runs/labels")
    assert len(list(folder.rglob("*.npz"))) == 2  # views
    assert not list(Path("runs").rglob("student.pt"))
    marks = [path.stat().st_mtime_ns for path in Path("runs").rglob("done.json")]
    assert build("student.yaml", work=Path("runs"), until="label") == folder
    assert [path.stat().st_mtime_ns for path in Path("runs").rglob("done.json")] == marks


@pytest.mark.train
@pytest.mark.usefixtures("inside")
def test_gates_that_cannot_be_met_publish_nothing_and_give_every_reason() -> None:
    rewrite("max_size_bytes: 0", "max_size_bytes: 1", target="strict.yaml")
    with pytest.raises(GateError) as caught:
        build("strict.yaml", work=Path("runs"), store=Path("strict-store"))
    assert re.search(r"minmax: size \d+ bytes > 1; most: size \d+ bytes > 1", str(caught.value))
    assert "gates" in caught.value.hint
    assert not Path("strict-store").exists()
    trained = [path.parent for path in Path("runs").glob("*/train-*/done.json")]
    assert len(trained) == 1  # what both recipes say alike was not trained again


@pytest.mark.train
@pytest.mark.usefixtures("inside")
def test_a_refused_build_leaves_what_was_published_before() -> None:
    revision = Folders("store").revision(NAME)
    rewrite("max_size_bytes: 0", "max_size_bytes: 2", target="strict.yaml")
    with pytest.raises(GateError):
        make("strict.yaml")
    assert Folders("store").revision(NAME) == revision
    assert registries.find(NAME).revision == revision


# --- killed --------------------------------------------------------------------------------------


@pytest.mark.train
def test_killed_in_labelling_and_in_training_it_ends_with_the_same_weights(
    lab: Path, built: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    killed("^label: .* view 1 of 2")
    assert [path.parent.name for path in Path("runs").rglob("*.npz")] == ["view-000"]
    killed("^train: .* epoch 3 ")
    (checkpoint,) = Path("runs").rglob("checkpoint.pt")
    assert not (checkpoint.parent / "done.json").exists()
    assert not Path("store").exists() and not Path("registry.yaml").exists()
    folder = make()
    assert re.search("train: goes on in epoch [34] of 12", capfd.readouterr().err)
    assert weights_sha256(folder) == weights_sha256(built / "store" / NAME)
    assert not checkpoint.exists()
    hashes = [local.load(place / "registry.yaml")[NAME].files for place in (lab, built)]
    assert hashes[0]["model.int8.onnx"] == hashes[1]["model.int8.onnx"]


# --- a teacher's own recipe ----------------------------------------------------------------------


@pytest.mark.train
def test_a_teacher_is_built_by_its_own_recipe_and_not_published(lab: Path) -> None:
    text = RECIPE.partition("compress:")[0].replace(NAME, "colours-teacher.ce")
    text = re.sub(r"teacher: .*\n", "", text)
    text = re.sub(r"loss: .*", "loss: {name: ce}", text).replace("epochs: 12", "epochs: 1")
    Path("teacher.yaml").write_text(text)
    said: list[str] = []
    folder = build("teacher.yaml", work=Path("runs"), store=Path("store"), say=said.append)
    assert (folder / FILES["fp32"]).is_file() and "nothing is published" in said[-1]
    assert not Path("store").exists()
    rewrite(CALLABLE, "recipe: teacher.yaml")
    exported = chain(recipe.written("student.yaml"), None, Path("runs"), until="export")
    learned = exported.distilled.labelled
    assert learned.teacher and learned.teacher.name == "colours-teacher.ce"
    (trained,) = Path("runs/colours-teacher.ce").glob("train-*/done.json")
    about = learned.teacher_run
    assert about and about.training and about.sha256 in trained.read_text()
    assert about.training.weights_sha256 == about.sha256
    assert learned.teacher.sha256 == sha256(folder / FILES["fp32"])  # too few to judge 8 bits on
