"""`zoo teacher`, and what a build does first: each way to get a teacher wrong is right, or told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

pytest.importorskip("onnx")
pytest.importorskip("torch")

from onnx_teachers import MEAN, STD, onnx_file

from distill.errors import DistillError
from distill.trial import Trial
from zoo import cli
from zoo.chain.trial import examine
from zoo.errors import RecipeError

COLOURS = {  # in the order of names
    "blue": (40, 60, 200),
    "dark": (20, 20, 20),
    "light": (230, 230, 230),
    "red": (200, 60, 40),
}
RECIPE = """\
name: colours-separable-small.kd
summary: Tells colours apart
licence: Apache-2.0
data: {source: colours, licence: CC0-1.0, image_size: 16}
teacher:
  onnx: big.onnx
  licence: MIT
%s
student: {architecture: separable, options: {size: small}}
train: {epochs: 1}
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with pictures of four colours, in which one works."""
    chance = np.random.default_rng(0)
    for label, colour in COLOURS.items():
        for split, count in (("train", 40), ("test", 2)):
            folder = tmp_path / "colours" / split / label
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = np.array(colour) + chance.integers(-15, 16, (12, 12, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i:02d}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def nearest(names: list[str] = [*COLOURS], **changes: Any) -> Path:  # noqa: B006 (not changed)
    """A network that knows colours as ImageNet's preprocessing makes them, in this order."""
    centres = [(np.array(COLOURS[name]) / 255 - MEAN) / STD for name in names]
    weights = np.array(centres, np.float32).T
    usual = {"outputs": (("logits", len(names)),), "shape": (1, 3, 16, 16)}
    bias = -(weights**2).sum(0) / 2
    return onnx_file(Path("big.onnx"), weights=weights, bias=bias, **usual | changes)


def tried(said: str = "input: {preset: imagenet}") -> Trial:
    Path("mine.yaml").write_text(RECIPE % f"  {said}")
    return examine("mine.yaml").trial


def test_an_ordinary_export_of_batch_1_is_right(lab: Path) -> None:
    nearest()
    found = tried()
    found.check()
    assert (found.accuracy, found.gives, found.warnings) == (1.0, "logits", ())
    assert [(one.name, one.right) for one in found.classes] == [
        (name, one.n) for name, one in zip(COLOURS, found.classes, strict=True)
    ]


def test_a_softmax_is_taken_for_what_it_is(lab: Path) -> None:
    nearest(softmax=True)
    assert (tried().gives, tried().accuracy) == ("probabilities", 1.0)


def test_another_order_of_classes_is_told_and_put_right_by_names(lab: Path) -> None:
    names = ["red", "dark", "blue", "light"]
    nearest(names)
    refused = tried().refused
    assert refused is not None and "another order" in refused[0]
    assert "teacher.classes" in refused[1]
    named = tried(f"input: {{preset: imagenet}}\n  classes: [{', '.join(names)}]")
    named.check()
    assert named.accuracy == 1.0


def test_a_teacher_of_more_classes_is_taken_by_their_names(lab: Path) -> None:
    nearest([*COLOURS, "blue"])
    with pytest.raises(DistillError, match="the data has 4 classes"):
        tried()
    more = "input: {preset: imagenet}\n  classes: [blue, dark, light, red, sky]"
    assert tried(more).accuracy == 1.0
    with pytest.raises(DistillError, match="no class 'red'"):
        tried(more.replace("red", "Red"))


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("{preset: none}", "0 to 255 for 0 to 1"),
        ("{preset: imagenet, color: bgr}", "blue for red"),
    ],
)
def test_pictures_prepared_in_another_way_are_told_with_the_right_one(
    lab: Path, said: str, wrong: str
) -> None:
    nearest()
    found = tried(f"input: {said}")
    told = " ".join(found.refused or ())
    assert "in another way" in told and "100.0% with teacher.input: {preset: imagenet" in told
    assert found.accuracy < 0.6, wrong


def test_a_network_that_knows_blue_first_is_told_so(lab: Path) -> None:
    nearest(["red", "dark", "light", "blue"])  # by channels: the same in all but their order
    found = tried()
    assert found.refused is not None


def test_infinity_is_told_with_the_pictures_name(lab: Path) -> None:
    Image.new("RGB", (12, 12), "white").save("colours/train/red/07.png")
    large = np.full((3, 4), 4.6e35, np.float32)  # overflows for white alone
    onnx_file(Path("big.onnx"), weights=large, outputs=(("logits", 4),))
    with pytest.raises(DistillError, match=r"not finite to red/07\.png"):
        tried("input: {preset: none}")


def test_the_command_prints_a_table_and_refuses_with_it(lab: Path) -> None:
    nearest()
    assert tried().accuracy == 1.0
    shown = CliRunner().invoke(cli.app, ["teacher", "mine.yaml"])
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert rows[0] == ["CLASS", "RIGHT", "OF", "SHARE"] and ["all", "4"] in [r[:2] for r in rows]
    facts = json.loads(CliRunner().invoke(cli.app, ["teacher", "mine.yaml", "--json"]).stdout)
    assert facts["trial"]["accuracy"] == 1.0 and len(facts["sha256"]) == 64
    nearest(["red", "dark", "blue", "light"])
    refused = CliRunner().invoke(cli.app, ["teacher", "mine.yaml"])
    assert isinstance(refused.exception, DistillError) and "CLASS" in refused.stdout
    assert not Path("runs").exists()


def test_a_recipe_without_a_teacher_of_its_own_is_one_error(lab: Path) -> None:
    nearest()
    tried()
    text = Path("mine.yaml").read_text()
    Path("none.yaml").write_text(
        text.partition("teacher:")[0] + "student" + text.partition("student")[2]
        + "loss: {name: ce}\n"
    )  # fmt: skip
    with pytest.raises(RecipeError, match="its teacher is none"):
        examine("none.yaml")
    other = text.replace("onnx: big.onnx", "recipe: none.yaml").replace(
        "input: {preset: imagenet}", ""
    )
    Path("elder.yaml").write_text(other)
    with pytest.raises(RecipeError, match=r"student of none\.yaml"):
        examine("elder.yaml")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  licence: MIT", "  licence: MIT\n  classes: gone.txt", r"teacher\.classes: .*gone\.txt"),
        ("onnx: big", "onnx: gone", r"teacher\.onnx: there is no file gone\.onnx"),
        ("onnx: big.onnx", "callable: big", r"teacher\.callable: 'big' is not the address"),
        (
            "onnx: big.onnx",
            "callable: 'net:answer'\n  depends: [gone.pt]",
            r"teacher\.depends\[0\]",
        ),
        ("source: colours", "source: gone", r"data\.source: .*gone"),
    ],
)
def test_what_a_build_refuses_is_refused_with_its_line(
    lab: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    nearest()
    Path("net.py").write_text("def answer(pictures): raise SystemExit('asked')\n")
    monkeypatch.delitem(sys.modules, "net", raising=False)
    Path("mine.yaml").write_text((RECIPE % "").replace(old, new))
    with pytest.raises((DistillError, RecipeError), match=rf"^mine\.yaml:\d+: {said}"):
        examine("mine.yaml")


@pytest.mark.usefixtures("lab")
def test_data_without_labels_is_told_before_a_picture_is_read() -> None:
    nearest()
    text = (RECIPE % "  input: {preset: imagenet}").replace("image_size: 16", "labelled: false")
    Path("mine.yaml").write_text(text + "loss: {name: kd, ce: 0, kd: 1}\n")
    for path in Path("colours").rglob("*.png"):
        path.write_bytes(b"cut")
    with pytest.raises(RecipeError, match=r"^mine\.yaml:4: data\.labelled: its data has no labels"):
        examine("mine.yaml")
