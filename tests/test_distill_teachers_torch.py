"""Torch networks as teachers: by the function that makes them, or a program in a .pt2 file."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from distill import state  # noqa: E402
from distill.config import Teacher as Settings  # noqa: E402
from distill.errors import DistillError  # noqa: E402
from distill.teachers import Teacher, open_teacher  # noqa: E402

SIZE, CLASSES = 8, 3
HEAD = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(3, classes)

    def forward(self, image):
        return self.last(self.drop(self.norm(image.float().mean((1, 2)) / 255)))

def build(classes, image_size):
    torch.manual_seed(0)
    net = Net(classes)
    try:
        net.load_state_dict(torch.load("w.pt", weights_only=True))
    except FileNotFoundError:
        pass
    return net

ready = Net(3)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with `big_torch.py`, which is gone from Python afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "big_torch", raising=False)
    (tmp_path / "big_torch.py").write_text(HEAD)
    return tmp_path


def pictures(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, SIZE, SIZE, 3), np.uint8)


def opened(module: str = "big_torch:build", classes: int = CLASSES) -> Teacher:
    sys.modules.pop("big_torch", None)
    return open_teacher(Settings(module=module, licence="MIT"), classes, SIZE)


@pytest.mark.parametrize("address", ["big_torch:build", "big_torch:Net", "big_torch:ready"])
def test_a_network_answers_in_evaluation_mode(here: Path, address: str) -> None:
    teacher = opened(address)
    assert (teacher.name, teacher.source, teacher.licence) == (address, address, "MIT")
    logits = teacher(pictures(130))
    assert logits.shape == (130, CLASSES) and logits.dtype == np.float32
    np.testing.assert_allclose(logits[:3], teacher(pictures(130)[:3]), atol=1e-6)


def test_it_is_known_by_its_weights_and_its_source(here: Path) -> None:
    first = opened().sha256
    assert opened().sha256 == first
    (here / "notes.txt").write_text("nothing")
    assert opened().sha256 == first
    weights = sys.modules["big_torch"].build(3, 8).state_dict()
    torch.save({k: v + 1 for k, v in weights.items()}, here / "w.pt")
    retrained = opened().sha256
    (here / "big_torch.py").write_text(HEAD.replace("/ 255", "/ 256"))
    assert len({first, retrained, opened().sha256}) == 3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("super().__init__()", "super().__init__(", r"SyntaxError: .*big_torch\.py, line \d+"),
        ("return net\n", "return 7\n", "gives int, no nn.Module"),
        ("image.float()", "image.flat()", r"AttributeError: .*big_torch\.py, line 12\)"),
        ("except FileNotFoundError", "except KeyError", r"No such file.*big_torch\.py, line 18\)"),
        ("(classes)", "(classes + 1)", r"answers \(2, 4\) to 2 examples"),
        ("def build(classes,", "def build(classes, depth,", "missing a required argument: 'depth'"),
        ("/ 255)))", "/ 255))), 1", "answers with tuple, no tensor"),
        (".mean((1, 2))", ".permute(0, 2, 3, 1).conv()", r"big_torch\.py, line 12"),
    ],
)
def test_what_does_not_work_is_one_line(here: Path, old: str, new: str, said: str) -> None:
    (here / "big_torch.py").write_text(HEAD.replace(old, new))
    with pytest.raises(DistillError) as caught:
        opened()
    assert re.search(said, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(3, CLASSES)

    def forward(self, image):  # type: ignore[no-untyped-def]
        return self.last(image.float().mean((1, 2)) / 255)


def saved(path: Path, rows: int, dynamic: object) -> Plain:
    torch.manual_seed(1)
    net = Plain().eval()
    example = torch.zeros(rows, SIZE, SIZE, 3, dtype=torch.uint8)
    shapes = ({0: dynamic},) if dynamic else None
    torch.export.save(torch.export.export(net, (example,), dynamic_shapes=shapes), path)
    return net


@pytest.mark.parametrize("rows", ["free", "two or more", "one", "five"])
def test_a_program_answers_whatever_its_batch(tmp_path: Path, rows: str) -> None:
    """Exporting takes a second or two."""
    dim = torch.export.Dim
    kinds = {"free": (2, dim("n")), "two or more": (4, dim("n", min=2, max=64))}
    path = tmp_path / "big.pt2"
    net = saved(path, *kinds.get(rows, ({"one": 1, "five": 5}.get(rows), None)))  # type: ignore[arg-type]
    teacher = open_teacher(Settings(module=str(path), licence="MIT"), CLASSES, SIZE)
    assert teacher.name == "big" and len(teacher.sha256) == 64
    for n in (1, 4, 131):
        wanted = net(torch.from_numpy(pictures(n))).detach().numpy()
        np.testing.assert_allclose(teacher(pictures(n)), wanted, atol=1e-5)


def test_a_file_that_is_no_program_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.pt2").write_bytes(b"hello")
    for name, said in (("bad.pt2", "bad.pt2 fails"), ("none.pt2", "cannot be read")):
        with pytest.raises(DistillError, match=said) as caught:
            open_teacher(Settings(module=str(tmp_path / name), licence="MIT"), CLASSES, SIZE)
        assert caught.value.hint and "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_program_on_planes_is_refused_with_what_it_takes(tmp_path: Path) -> None:
    program = torch.export.export(nn.Flatten(), (torch.zeros(2, 3, SIZE, SIZE),))
    torch.export.save(program, tmp_path / "planes.pt2")
    settings = Settings(module=str(tmp_path / "planes.pt2"), licence="MIT")
    with pytest.raises(DistillError, match=r"takes float32 \(2, 3, 8, 8\)"):
        open_teacher(settings, CLASSES, SIZE)


def test_the_hash_of_a_state_sees_every_number_and_kind() -> None:
    net = nn.Linear(2, 2)
    first = state.sha256(net)
    with torch.no_grad():
        net.weight[1, 1] += 1e-6
    second = state.sha256(net)
    assert len({first, second, state.sha256(net.bfloat16())}) == 3
    assert state.sha256(nn.BatchNorm1d(2)) != state.sha256(nn.BatchNorm1d(3))
