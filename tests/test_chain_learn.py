"""A build whose ladder trains: on the card, resumed after a kill, keyed by its settings."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from colours_lab import NAME, RECIPE, enter, killed, make_lab

from zoo.chain import distil
from zoo.chain.build import build
from zoo.files import sha256
from zoo.records import card

LADDER = "[{name: minmax}, {name: entropy, calibration: entropy}]"
LEARNS = "[{name: learns, epochs: 5, learning_rate: 0.0002}]"
TEXT = RECIPE.replace(LADDER, LEARNS).replace("epochs: 12", "epochs: 2")


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One was built at a stretch; the other was killed in its last training, and built on."""
    root = tmp_path_factory.mktemp("labs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distil, "device", lambda: ("cpu", "as it is"))
        for name in ("whole", "killed"):
            lab = make_lab(root / name, TEXT)
            enter(patch, lab)
            if name == "killed":
                killed("^train: .* epoch 4 ")
                (checkpoint,) = lab.rglob("checkpoint.pt")
                assert checkpoint.parent.name == "learns"
            said: list[str] = []
            build("student.yaml", work=Path("runs"), store=Path("store"), say=said.append)
            (lab / "said").write_text("\n".join(said))
    return root


@pytest.mark.train
def test_killed_while_an_attempt_learns_it_ends_with_the_same_file(labs: Path) -> None:
    files = [labs / name / "store" / NAME / "model.int8.onnx" for name in ("whole", "killed")]
    assert sha256(files[0]) == sha256(files[1])
    assert not list(labs.rglob("checkpoint.pt"))


@pytest.mark.train
def test_the_card_says_how_long_it_learned_and_how_it_went(labs: Path) -> None:
    (attempt,) = card.read(labs / "whole" / "store" / NAME).attempts
    assert (attempt.name, attempt.verdict) == ("learns", "pass")
    settings = attempt.settings
    assert (settings["epochs"], settings["learning_rate"]) == (5, 0.0002)
    assert len(settings["loss"]) == len(settings["validation_accuracy"]) == 5
    assert "  learns: training as 8 bits round, epochs: 5" in (labs / "whole" / "said").read_text()


@pytest.mark.train
def test_what_decides_the_training_decides_whether_it_is_done_again(
    labs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(labs / "whole", tmp_path / "lab")
    enter(monkeypatch, tmp_path / "lab")
    monkeypatch.setattr(distil, "device", lambda: ("cpu", "as it is"))
    done = set(Path("runs").rglob("compress-*/done.json"))
    build("student.yaml", work=Path("runs"), until="compress")
    assert set(Path("runs").rglob("compress-*/done.json")) == done
    Path("other.yaml").write_text(TEXT.replace("rate: 0.0002", "rate: 0.0001"))
    build("other.yaml", work=Path("runs"), until="compress")
    assert len(set(Path("runs").rglob("compress-*/done.json"))) == len(done) + 1
