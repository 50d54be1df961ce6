"""What a stage's result depends on is in its key; what is found done is compared all the same."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from colours_lab import RECIPE, enter, make_lab

from distill import config
from distill.errors import DistillError
from distill.teachers import open_teacher
from zoo.chain import distil, measure
from zoo.chain.build import build, chain
from zoo.errors import GateError, RecipeError
from zoo.records import card, recipe
from zoo.records.plain import canonical

WEIGHED = """\
from pathlib import Path
import numpy as np

def answer(images):
    scale = float((Path(__file__).parent / "w.txt").read_text())
    return images.astype(np.float64).mean((1, 2))[:, ::-1] * scale
"""
DEPENDS = RECIPE.replace(
    "licence: CC0-1.0}\nstudent", "licence: CC0-1.0, depends: [w.txt]}\nstudent"
)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lab whose teacher reads a file, and says so; the recipe lies in a folder of its own."""
    monkeypatch.setattr(distil, "device", lambda: ("cpu", "as it is"))
    enter(monkeypatch, make_lab(tmp_path / "lab", DEPENDS))
    Path("oracle.py").write_text(WEIGHED)
    Path("w.txt").write_text("0.05")
    return tmp_path / "lab"


def labelled(file: str = "student.yaml") -> tuple[Any, list[str]]:
    """What the label stage made, and what was said; the teacher is imported anew."""
    said: list[str] = []
    sys.modules.pop("oracle", None)
    wanted = recipe.written(file)
    return chain(wanted, None, Path("runs"), until="label", say=said.append), said


def marks() -> list[Path]:
    return sorted(Path("runs").glob("*/label-*/done.json"))


@pytest.mark.usefixtures("lab")
def test_a_teacher_whose_file_changed_is_asked_anew() -> None:
    first, _ = labelled()
    again, said = labelled()
    assert again.teacher.sha256 == first.teacher.sha256 and len(marks()) == 1
    assert "  was done before" in said and "100.00% alike" in said[-1]
    Path("w.txt").write_text("0.07")
    other, _ = labelled()
    assert other.teacher.sha256 != first.teacher.sha256
    assert len(marks()) == 2
    assert other.fresh.key != first.fresh.key


@pytest.mark.usefixtures("lab")
def test_a_teacher_that_changed_without_a_word_is_found_by_the_audit() -> None:
    Path("student.yaml").write_text(RECIPE)
    labelled()
    Path("w.txt").write_text("0.2")
    with pytest.raises(DistillError, match="differ from the live teacher") as caught:
        labelled()
    assert "teacher.depends" in caught.value.hint
    shutil.rmtree("runs/labels")  # to have the room: there is nothing to compare
    assert labelled()[0].fresh is None


@pytest.mark.usefixtures("lab")
def test_what_a_teacher_depends_on_lies_beside_the_recipe() -> None:
    first, _ = labelled()
    Path("far").mkdir()
    shutil.copyfile("student.yaml", "far/student.yaml")
    with pytest.raises(RecipeError, match=r"far/student\.yaml:5: teacher\.depends\[0\]: .*w\.txt"):
        labelled("far/student.yaml")
    shutil.copyfile("w.txt", "far/w.txt")
    assert labelled("far/student.yaml")[0].teacher.sha256 == first.teacher.sha256


def test_what_comes_with_its_own_file_depends_on_nothing_else() -> None:
    with pytest.raises(ValueError, match="depends means nothing to a teacher that is onnx"):
        config.Teacher(onnx="t.onnx", licence="MIT", depends=("w.pt",))
    config.Teacher(module="net:build", licence="MIT", depends=("w.pt",))
    without = canonical(config.Teacher(callable="a:b", licence="MIT"))
    assert "depends" not in without


def test_a_function_in_a_package_is_known_by_the_files_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "their_teacher"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "big.py").write_text("from their_teacher.help import answer\n")
    (package / "help.py").write_text("def answer(images): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def known() -> str:
        for name in [name for name in sys.modules if name.startswith("their_teacher")]:
            del sys.modules[name]
        given = config.Teacher(callable="their_teacher.big:answer", licence="MIT")
        return open_teacher(given, 3, 16).sha256

    first = known()
    assert known() == first
    (package / "help.py").write_text("def answer(images): return 1\n")
    assert known() != first
    for name in [name for name in sys.modules if name.startswith("their_teacher")]:
        del sys.modules[name]


@pytest.mark.train
@pytest.mark.usefixtures("lab")
def test_a_test_split_that_lost_pictures_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole build: what is measured stands at its end."""
    monkeypatch.setattr(measure, "ROUNDS", 2)
    folder = build("student.yaml", work=Path("runs"), store=Path("store"))
    assert card.read(folder).data.test == 12
    for path in sorted(Path("colours/test").rglob("*.png"))[::2]:
        path.unlink()
    asked: list[str] = []
    with pytest.raises(GateError, match="tested on other data"):
        build("student.yaml", work=Path("runs"), store=Path("store"))
    yes = {"store": Path("store"), "agree": lambda about: not asked.append(about)}
    made = card.read(build("student.yaml", work=Path("runs"), **yes))
    assert len(asked) == 1 and made.data.test == made.variants["int8"].accuracy.n == 6
    assert len(list(Path("runs").glob("*/train-*/done.json"))) == 1
