"""An own network by a recipe: found beside it, kept by its source, exported like the others."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import torch
from colours_lab import RECIPE, enter, make, make_lab

import zoo
from distill.errors import DistillError
from distill.students.own import make as make_own
from export.files import Runner
from zoo.chain import distil
from zoo.chain.build import build

NET = """\
import torch
from torch import nn

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)

class Net(nn.Module):
    def __init__(self, classes: int, width: int = 8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.AvgPool2d(4), nn.Flatten(), nn.Linear(width * 16, classes))

    def forward(self, planes):
        pixels = (planes * 64 + 128) / 255
        return self.layers((pixels - MEAN) / 0.225)

def build(classes, width=8):
    net = Net(classes, width)
    net.hook = lambda: None  # cannot be pickled
    return net

def kept(classes):
    net = Net(classes)
    net.load_state_dict(torch.load("mine/init.pt"))
    return net

def chance(classes):
    import numpy as np

    net = Net(classes)
    net.layers[0].bias.data[0] = float(np.random.default_rng().random())
    return net

def three():
    return Net(3)

def four():
    return Net(4)
"""
OWN = RECIPE.replace("{architecture: separable, options: {size: small}}", "{architecture: ARCH}")
SAID: list[str] = []


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lab as working directory; recipe and network lie in a folder of their own."""
    monkeypatch.setattr(distil, "device", lambda: ("cpu", "as it is"))
    enter(monkeypatch, make_lab(tmp_path / "lab"))
    monkeypatch.delitem(sys.modules, "tiny_net", raising=False)
    (tmp_path / "lab" / "mine").mkdir()
    (tmp_path / "lab" / "mine" / "tiny_net.py").write_text(NET)
    return tmp_path / "lab"


def recipe(lab: Path, student: str, epochs: int = 12) -> str:
    text = OWN.replace("ARCH", student).replace("epochs: 12", f"epochs: {epochs}")
    (lab / "mine" / "own.yaml").write_text(text)
    return "mine/own.yaml"


def export(lab: Path, student: str, epochs: int = 12, until: str = "export") -> Path:
    SAID.clear()
    path = recipe(lab, student, epochs)
    return build(path, work=Path("runs"), store=Path("store"), until=until, say=SAID.append)


@pytest.mark.train
def test_it_goes_the_whole_way(lab: Path) -> None:
    before = list(sys.path)
    folder = make(recipe(lab, '"tiny_net:Net", options: {width: 12}'))
    assert sys.path == before
    student = zoo.load(folder)
    red = np.full((20, 30, 3), (210, 50, 40), np.uint8)
    assert student(red)[0][0] == "red"
    assert "tiny_net:Net" in (folder / "README.md").read_text()


@pytest.mark.train
def test_it_is_kept_by_its_source(lab: Path) -> None:
    first = export(lab, '"tiny_net:Net"', epochs=4)
    assert export(lab, '"tiny_net:Net"', epochs=4) == first
    assert SAID.count("  was done before") == 4
    del sys.modules["tiny_net"]
    (lab / "mine" / "tiny_net.py").write_text(NET.replace("planes * 64", "planes * 64.0"))
    again = export(lab, '"tiny_net:Net"', epochs=4)
    assert again != first and SAID.count("  was done before") == 2  # trying and labelling
    assert Runner(again / "model.fp32.onnx")(np.zeros((1, 9, 9, 3), np.uint8)).shape == (1, 3)


@pytest.mark.train
def test_it_is_kept_by_the_weights_that_its_code_loads(lab: Path) -> None:
    sys.path.insert(0, str(lab / "mine"))
    net = make_own("tiny_net:Net", 3, 16, {}).network
    torch.save(net.state_dict(), lab / "mine" / "init.pt")
    first = export(lab, '"tiny_net:kept"', epochs=4, until="distil")
    assert export(lab, '"tiny_net:kept"', epochs=4, until="distil") == first
    for weight in net.parameters():
        weight.data += 1
    torch.save(net.state_dict(), lab / "mine" / "init.pt")
    assert export(lab, '"tiny_net:kept"', epochs=4, until="distil") != first


@pytest.mark.train
def test_one_that_begins_by_its_own_chance_is_kept_all_the_same(lab: Path) -> None:
    first = export(lab, '"tiny_net:chance"', epochs=4, until="distil")
    assert export(lab, '"tiny_net:chance"', epochs=4, until="distil") == first


@pytest.mark.train
def test_what_cannot_be_copied_is_trained_by_one_process_and_it_is_said(lab: Path) -> None:
    export(lab, '"tiny_net:build"', epochs=4, until="distil")
    assert any("tiny_net:build cannot be copied: one process" in line for line in SAID)


@pytest.mark.parametrize(
    ("student", "said"),
    [
        ('"tiny_net:Nett"', "tiny_net .* has no function 'Nett'"),
        ('"tiny_nett:Net"', "No module named 'tiny_nett'"),
        ('"tiny_net:Net", options: {widht: 3}', "unexpected keyword argument 'widht'"),
        ('"tiny_net:four"', r"own\.yaml:\d+.*\(2, 4\) to 2 pictures; logits \(2, 3\)"),
    ],
)
def test_a_misspelt_one_is_one_line(lab: Path, student: str, said: str) -> None:
    with pytest.raises(DistillError, match=said):
        export(lab, student)
    assert not list(Path("runs").rglob("done.json"))  # nothing was labelled


@pytest.mark.train
def test_its_classes_may_be_fixed(lab: Path) -> None:
    assert list(export(lab, '"tiny_net:three"', epochs=4, until="distil").glob("student.pt"))
