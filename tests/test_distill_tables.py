"""The tables of pieces: an entry is loaded when it is asked for, and one line adds another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import distill
from distill.config import Data, Loss
from distill.config import Teacher as Settings
from distill.data import load
from distill.data.record import Example, Listing, Picture
from distill.data.sources import SOURCES
from distill.errors import DistillError
from distill.losses import LOSSES, total
from distill.students import ARCHITECTURES, create
from distill.table import Table
from distill.teachers import TEACHERS, Asked, Kind, Teacher, open_teacher, open_text_teacher

TABLES = [ARCHITECTURES, LOSSES, TEACHERS, SOURCES]
HEAVY = {"torch", "onnx", "onnxruntime", "lingua", "sklearn", "pyarrow", "huggingface_hub"}


@pytest.mark.parametrize(
    ("table", "wrong", "right"),
    [
        (ARCHITECTURES, "shuflenet-v2", "shufflenet-v2"),
        (LOSSES, "kdd", "dkd"),
        (TEACHERS, "efficientnet-lite3", "efficientnet-lite2"),
        (SOURCES, ".tar.gzip", ".tar.gz"),
    ],
)
def test_an_unknown_name_is_one_error_with_the_near_ones(
    table: Table, wrong: str, right: str
) -> None:
    with pytest.raises(DistillError, match=f"no {table.what} '{wrong}'") as told:
        table.load(wrong)
    meant, _, known = told.value.hint.partition("? ")
    assert meant.startswith("did you mean ") and right in meant
    assert all(name in known for name in table)


def test_a_name_like_no_other_is_told_all() -> None:
    with pytest.raises(DistillError) as told:
        LOSSES.load("huber-17")
    assert told.value.hint == "there are ce, kd, dkd, dist"


def test_a_near_architecture_and_a_near_teacher_are_offered_where_they_are_asked_for() -> None:
    with pytest.raises(DistillError, match="no architecture 'seperable'") as told:
        create("seperable", 10, 32, {})
    assert "did you mean separable?" in told.value.hint
    with pytest.raises(DistillError, match="no teacher 'lingwa'") as told:
        open_text_teacher(Settings(pretrained="lingwa"), ("de", "en"))
    assert "did you mean lingua?" in told.value.hint


def test_reading_the_tables_loads_nothing_heavy() -> None:
    code = (
        "from distill import config, data, losses, students, teachers\n"
        "from distill.data.sources import SOURCES\n"
        "for table in (students.ARCHITECTURES, losses.LOSSES, teachers.TEACHERS, SOURCES):\n"
        "    assert len(table) > 3 and 'nothing' not in table\n"
        "config.Loss('dkd')\n"
        "import sys\nprint(*sys.modules)"
    )
    root = Path(distill.__file__ or "").parents[1]
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert set(told.stdout.split()) & HEAVY == set()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.what)
def test_every_name_stands_for_something(table: Table) -> None:
    pytest.importorskip("torch")
    assert all(isinstance(entry, str) for entry in table.values())
    assert all(table.load(name) for name in table)


# --- what a third party adds in one line ---------------------------------------------------------


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module `their_pieces` to be written, gone from Python afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "their_pieces.py"
    sys.modules.pop("their_pieces", None)


def test_an_architecture_can_be_added(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    theirs.write_text(
        "from torch import nn\n"
        "class Flat(nn.Module):\n"
        "    def __init__(self, classes, image_size, bias=True):\n"
        "        super().__init__()\n"
        "        self.last = nn.Linear(image_size**2 * 3, classes, bias=bias)\n"
        "    def forward(self, image):\n"
        "        return self.last(image.flatten(1).float())\n"
    )
    monkeypatch.setitem(ARCHITECTURES, "flat", "their_pieces:Flat")
    assert "their_pieces" not in sys.modules
    net = create("flat", 7, 4, {"bias": False})
    assert net(torch.zeros(2, 4, 4, 3, dtype=torch.uint8)).shape == (2, 7)
    with pytest.raises(DistillError, match="flat cannot be made"):
        create("flat", 7, 4, {"biass": False})


def test_a_loss_can_be_added(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    theirs.write_text(
        "from distill.losses import Kind, cross_entropy\n"
        "def square(student, teacher, gamma):\n"
        "    return gamma * (student - teacher).square().mean()\n"
        "KIND = Kind(\n"
        "    lambda loss, s, t, target: square(s, t, loss.gamma),\n"
        "    {'ce': 0.5, 'kd': 2.0, 'gamma': 3.0, 'warmup_epochs': 4},\n"
        ")\n"
    )
    monkeypatch.setitem(LOSSES, "square", "their_pieces:KIND")
    loss = Loss("square")
    assert (loss.ce, loss.kd, loss.gamma, loss.alpha) == (0.5, 2.0, 3.0, 1.0)
    with pytest.raises(ValueError, match="alpha means nothing to the loss square"):
        Loss("square", alpha=2.0)
    student, teacher = torch.zeros(2, 4), torch.full((2, 4), 2.0)
    hard, soft = np.log(4), 3.0 * 4.0
    for epoch, part in ((0.0, 0.0), (1.0, 0.25), (9.0, 1.0)):
        found = total(loss, student, teacher, torch.eye(4)[:2], epoch).item()
        assert found == pytest.approx(0.5 * hard + 2.0 * part * soft)


def test_a_teacher_can_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(settings: Settings, asked: Asked) -> Teacher:
        def answer(texts: Sequence[str]) -> np.ndarray:
            return np.array([[len(text), len(asked.names[0])] for text in texts])

        return Teacher(settings.pretrained, "here", "0" * 64, "MIT", asked.classes, answer)

    monkeypatch.setitem(TEACHERS, "counter", Kind(opened, ("texts",)))
    settings = Settings(pretrained="counter")
    assert open_text_teacher(settings, ("de", "en"))(["abc", ""]).tolist() == [[3, 2], [0, 2]]
    with pytest.raises(DistillError, match="counter is not a teacher of pictures"):
        open_teacher(settings, 2, 8)


def test_a_teacher_of_texts_is_none_of_pictures() -> None:
    with pytest.raises(DistillError, match="lingua is not a teacher of pictures") as told:
        open_teacher(Settings(pretrained="lingua"), 2, 8)
    assert "callable: module:function" in told.value.hint


class Grey:
    """Four pictures of one shade each; the address, or the file, says how they are called."""

    def __init__(self, address: str | Path) -> None:
        self.where = str(address)

    def listing(self) -> Listing:
        names = [("train", "dark"), ("train", "light"), ("test", "dark"), ("test", "light")]
        twice = [(s, c, i) for s, c in names for i in range(2)]
        return Listing([Example(s, c, f"{i}", c) for s, c, i in twice])  # type: ignore[arg-type]

    def read(self, wanted: Sequence[Example]) -> Iterator[Picture]:
        for place, example in enumerate(wanted):
            shade = np.full((8, 8), 255 * (example.label == "light"), np.uint8)
            yield Picture(place, self.where, shade)


@pytest.mark.parametrize("form", ["grey", "grey-of:", ".grey"])
def test_a_source_of_data_can_be_added(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address: Any = {"grey": "grey", "grey-of:": "grey-of:all", ".grey": "some.tar.GREY"}[form]
    (tmp_path / "some.tar.GREY").touch()
    with pytest.raises(DistillError):
        load(Data(address, "MIT", image_size=8), "train", tmp_path)
    monkeypatch.setitem(SOURCES, form, Grey)
    data = load(Data(address, "MIT", image_size=8, validation=0.5), "train", tmp_path)
    assert data.classes == ("dark", "light") and data.labels.tolist() == [0, 1]
    assert data.images.mean((1, 2, 3)).tolist() == [0, 255]


def test_a_file_whose_name_starts_like_a_form_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (".zip", "digits:1", "hub"):
        (tmp_path / name).mkdir()
        with pytest.raises(DistillError, match=f"{name} has no train split"):
            load(Data(name, "MIT"), "train", tmp_path)


@pytest.mark.parametrize("name", ["onnx", "recipe", "callable"])
def test_a_way_to_name_a_teacher_is_no_pretrained_one(name: str) -> None:
    from distill.config import Teacher
    from distill.teachers import open_teacher

    with pytest.raises(DistillError, match=f"no pretrained teacher is called '{name}'"):
        open_teacher(Teacher(pretrained=name), 10, 32)
