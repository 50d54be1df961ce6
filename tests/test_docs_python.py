"""The page for Python is run as it stands, on three colours."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from colours_lab import COLOURS, RECIPE, enter, make_data  # noqa: E402
from PIL import Image  # noqa: E402
from torch import nn  # noqa: E402

import compress  # noqa: E402
import distill  # noqa: E402
import export  # noqa: E402
import zoo  # noqa: E402
from distill.errors import DistillError  # noqa: E402
from zoo.chain import distil  # noqa: E402

PAGE = Path(__file__).parent.parent / "docs" / "python.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
NAMES = list(COLOURS)
TEACHER = """\
import torch
from torch import nn

class Means(nn.Module):
    def forward(self, image):
        return image.float().mean((1, 2)).flip(1) / 20  # blue, green, red

build = Means
"""
NET = """\
from torch import nn

def build(classes):
    layers = nn.Conv2d(3, 16, 3, 2), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, classes))
"""


def coloured(n: int, size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Noise around blue, green and red."""
    chance = np.random.default_rng(n)
    labels = np.arange(n) % len(NAMES)
    means = np.array(list(COLOURS.values()))[labels, None, None]
    noise = chance.integers(-40, 41, (n, size, size, 3))
    return (means + noise).clip(0, 255).astype(np.uint8), labels


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the page says is given, in a folder of its own."""
    monkeypatch.setattr(distil, "device", lambda: ("cpu", "as it is"))
    enter(monkeypatch, tmp_path)
    for name, text in (("myteacher", TEACHER), ("mynet", NET)):
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / f"{name}.py").write_text(text)
    found: dict[str, Any] = {"names": NAMES}
    found["pictures"], found["labels"] = coloured(96)
    found["unseen"], found["their_labels"] = coloured(30)
    for key, name in (("teacher", "myteacher"), ("net", "mynet")):
        made: dict[str, Any] = {}
        exec((tmp_path / f"{name}.py").read_text(), made)
        found[key] = made["build"](3) if key == "net" else made["build"]()
    yield found


def run(number: int, given: dict[str, Any]) -> None:
    exec(compile(BLOCKS[number], PAGE.name, "exec"), given)


@pytest.mark.train
def test_the_three_steps_make_a_file_that_answers(
    given: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run(0, given)
    assert capsys.readouterr().out == "100.0% of 30\n"
    run(1, given)
    student = zoo.load("student.onnx")
    assert student(given["unseen"][0])[0][0] == NAMES[0]
    run(2, given)
    report = given["report"]
    assert report.attempts and capsys.readouterr().out
    assert all(tried.verdict != "error" for tried in report.attempts)  # how fast is the machine's


@pytest.mark.train
def test_the_three_steps_as_a_build(
    given: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    make_data(Path("photos") / "colours")
    Image.new("RGB", (30, 20), (40, 60, 200)).save("photo.jpg")
    text = RECIPE.replace("colours-separable-small.kd", "colours-mynet.kd")
    text = text.replace('callable: "oracle:answer"', 'module: "myteacher:build"')
    text = text.replace(
        "{architecture: separable, options: {size: small}}", '{architecture: "mynet:build"}'
    )
    Path("colours-mynet.kd.yaml").write_text(text)
    run(3, given)
    assert capsys.readouterr().out.startswith("[('blue', ")


def test_no_block_is_longer_than_ten_lines_of_code() -> None:
    assert len(BLOCKS) == 4
    for block in BLOCKS:
        assert len([line for line in block.splitlines() if line.strip()]) <= 11  # and one import


@pytest.mark.parametrize("package", [distill, export, compress, zoo])
def test_every_public_name_exists_and_is_said_to(package: Any) -> None:
    for name in package.__all__:
        thing = getattr(package, name)
        assert name.startswith("__") or thing.__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'no_such'"):
        package.no_such  # noqa: B018


def test_arrays_are_a_data_set() -> None:
    pictures, labels = coloured(9, 8)
    found = distill.dataset(pictures, labels)
    assert found.classes == ("0", "1", "2") and len(found.sha256) == 64
    assert distill.dataset(pictures, labels).sha256 == found.sha256
    assert distill.dataset(pictures[::-1], labels).sha256 != found.sha256


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p, y: (p.astype(np.float32), y), "pictures are float32"),
        (lambda p, y: (p.transpose(0, 3, 1, 2), y), r"pictures are uint8 \(9, 3, 8, 8\)"),
        (lambda p, y: (p[:, :, :4], y), "pictures are uint8"),
        (lambda p, y: (p[:0], y[:0]), "pictures are uint8"),
        (lambda p, y: (p, y[:4]), "labels are int64"),
        (lambda p, y: (p, y / 2), "labels are float64"),
        (lambda p, y: (p, y - 1), "labels go from -1 to 1"),
        (lambda p, y: (p, y + 1), "labels go from 1 to 3, and there are 3 classes"),
    ],
)
def test_arrays_of_another_kind_are_named(change: Any, said: str) -> None:
    with pytest.raises(DistillError, match=said) as caught:
        distill.dataset(*change(*coloured(9, 8)), classes=NAMES)
    assert caught.value.hint


def test_a_teacher_at_hand_is_asked_without_gradients_in_evaluation() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(48, 3))
    teacher = nn.Module()
    teacher.net = net
    teacher.forward = lambda image: net(image.float())  # type: ignore[method-assign]
    ask = distill.asking(teacher.train())
    pictures = torch.from_numpy(coloured(5, 4)[0])
    first = ask(0, torch.arange(5), pictures)
    assert first.shape == (5, 3) and not first.requires_grad
    assert torch.equal(first, ask(1, torch.arange(5), pictures))
