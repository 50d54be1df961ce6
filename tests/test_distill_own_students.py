"""An own module as a student: taken as it is, tried before anything is learnt."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from distill.config import Augment, Loss, Train  # noqa: E402
from distill.data import Dataset  # noqa: E402
from distill.errors import DistillError  # noqa: E402
from distill.ranks import copyable  # noqa: E402
from distill.students import create, own_sha256  # noqa: E402
from distill.train import Plan, fit  # noqa: E402

SIZE, CLASSES = 16, 3
HEAD = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, width=8):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.last = nn.Linear(width, classes)

    def forward(self, x):
        return self.last(self.norm(self.conv(x)).relu().mean((2, 3)))

"""
BYTES = """\
class Bytes(Net):
    def __init__(self, classes):
        super().__init__(classes)
        self.input = Planes()

    def forward(self, x):
        return super().forward(self.input(x))

class Planes(nn.Module):
    def forward(self, image):
        return image.permute(0, 3, 1, 2).flip(1).float() / 255
"""
FLAT = """\
class Flat(nn.Module):
    def __init__(self, classes, image_size):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.last = nn.Linear(4 * image_size * image_size, classes)

    def forward(self, x):
        x = self.conv(x)
        return self.last(x.view(len(x), -1))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with `own_net.py`, which is gone from Python afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "own_net", raising=False)
    (tmp_path / "own_net.py").write_text(HEAD + BYTES + FLAT)
    return tmp_path


def made(name: str, **options: Any) -> Any:
    return create(f"own_net:{name}", CLASSES, SIZE, options)


def pictures(n: int, size: int = SIZE) -> Any:
    return torch.from_numpy(np.random.default_rng(n).integers(0, 256, (n, size, size, 3), "u1"))


@pytest.mark.parametrize("name", ["Net", "Bytes", "Flat"])
def test_an_own_network_answers_to_bytes(here: Path, name: str) -> None:
    net = made(name).eval()
    assert net(pictures(5)).shape == (5, CLASSES)


def test_planes_are_bytes_less_128_over_64_and_resized(here: Path) -> None:
    net = made("Net", width=4).eval()
    assert net.network.conv.out_channels == 4
    planes = (pictures(2).permute(0, 3, 1, 2).float() - 128) / 64
    torch.testing.assert_close(net(pictures(2)), net.network(planes))
    assert net(pictures(2, 40)).shape == (2, CLASSES)


def test_a_module_that_makes_its_own_planes_is_taken_as_it_is(here: Path) -> None:
    net = made("Bytes").eval()
    assert type(net).__name__ == "Bytes"


def test_image_size_of_the_options_is_the_network_s(here: Path) -> None:
    assert made("Flat", image_size=8).network.last.in_features == 4 * 64
    assert made("Net", image_size=24).input.size == 24


def test_the_trial_changes_neither_weights_nor_statistics_nor_chance(here: Path) -> None:
    torch.manual_seed(3)
    tried = made("Net")
    after = torch.rand(1)
    torch.manual_seed(3)
    plain = sys.modules["own_net"].Net(CLASSES)
    assert torch.equal(after, torch.rand(1))
    for name, value in plain.state_dict().items():
        assert torch.equal(tried.network.state_dict()[name], value)


BROKEN = {
    "answers": "class B(Net):\n  def forward(self, x): return super().forward(x)[:, :2]\n",
    "softmax": "class B(Net):\n  def forward(self, x): return super().forward(x).softmax(1)\n",
    "detached": "class B(Net):\n  def forward(self, x): return super().forward(x).detach()\n",
    "tuple": "class B(Net):\n  def forward(self, x): return super().forward(x), x\n",
    "nan": "class B(Net):\n  def forward(self, x): return super().forward(x) / 0\n",
    "neighbours": "class B(Net):\n  def forward(self, x):\n"
    "    y = super().forward(x)\n    return y - y.mean(0)\n",
    "raises": "class B(Net):\n  def forward(self, x): raise KeyError('no such layer')\n",
    "frozen": "def B(classes): return Net(classes).requires_grad_(False)\n",
    "no module": "def B(): return 7\n",
    "for bytes": "class B(Net):\n  def forward(self, x): "
    "return super().forward(x.permute(0, 3, 1, 2).float())\n",
}
SAID = {
    "answers": r"float32 \(2, 2\) to 2 pictures; logits \(2, 3\)",
    "softmax": "probabilities",
    "detached": "cannot learn",
    "tuple": "answers with tuple",
    "nan": "not finite",
    "neighbours": "alone than to the same among others",
    "raises": r"KeyError: 'no such layer' \(.*own_net\.py, line \d+\)",
    "frozen": "cannot learn",
    "no module": "gives int, no nn.Module",
    "for bytes": r"RuntimeError: .*own_net\.py, line \d+",
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_cannot_be_a_student_is_one_line(here: Path, how: str) -> None:
    (here / "own_net.py").write_text(HEAD + BROKEN[how])
    with pytest.raises(DistillError, match=SAID[how]) as caught:
        made("B")
    assert caught.value.hint and "\n" not in str(caught.value)


def test_an_own_student_reads_no_texts(here: Path) -> None:
    with pytest.raises(DistillError, match="cannot read texts"):
        create("own_net:Net", CLASSES, None, {})


def test_the_hash_is_that_of_the_source(here: Path) -> None:
    first = own_sha256("own_net:Net")
    assert first == own_sha256("own_net:Net") != own_sha256("own_net:Flat")
    del sys.modules["own_net"]
    (here / "own_net.py").write_text(HEAD + BYTES + FLAT + "# other\n")
    assert own_sha256("own_net:Net") != first


def colours() -> Dataset:
    labels = np.repeat(np.arange(CLASSES), 16)
    images = np.random.default_rng(0).integers(0, 80, (48, SIZE, SIZE, 3), np.uint8)
    images[np.arange(48), :, :, labels] += 150
    return Dataset(images, labels, ("red", "green", "blue"), "train", "0" * 64)


@pytest.mark.train  # a process is started, and imports torch
def test_it_learns_in_two_processes(here: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        net, train = made("Flat"), Train(epochs=6, batch_size=8, learning_rate=0.02, processes=2)
        assert copyable(net)
        plan = Plan(Loss("ce"), Augment(), train, 0)
        curves = fit(net, colours(), colours(), plan, tmp_path / "run")
    finally:
        torch.set_num_threads(threads)
    assert curves[-1]["validation_accuracy"] == 1


def test_a_network_for_one_size_is_not_shown_others(here: Path, tmp_path: Path) -> None:
    train = Train(epochs=2, batch_size=8, sizes=(8, 16), processes=1)
    plan = Plan(Loss("ce"), Augment(), train, 0)
    with pytest.raises(DistillError, match=r"of 8 pixels \(train\.sizes\).*own_net\.py, line"):
        fit(made("Flat"), colours(), colours(), plan, tmp_path / "run")
