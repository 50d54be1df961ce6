"""A build whose ladder trains: on the card, resumed after a kill, keyed by its settings."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import torch
from colours_lab import NAME, RECIPE, enter, killed, make_lab

from distill.errors import DistillError
from zoo.chain import distil
from zoo.chain.build import build, chain
from zoo.chain.job import Job
from zoo.files import sha256
from zoo.records import card, recipe

LADDER = "[{name: minmax}, {name: most, calibration: percentile}]"
LEARNS = "[{name: learns, epochs: 5, learning_rate: 0.0002}]"
assert LADDER in RECIPE
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


class _Deadly(io.StringIO):
    """A stderr that ends this process's children at a certain line."""

    def write(self, text: str) -> int:
        if re.search("^train: .* epoch 4 ", text):
            for children in Path("/proc/self/task").glob("*/children"):
                for child in children.read_text().split():
                    os.kill(int(child), signal.SIGKILL)
        return len(text)


@pytest.mark.train
@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="finds its children by Linux's /proc"
)
def test_a_process_that_is_killed_as_an_attempt_learns_is_no_verdict_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two processes; the attempt is there to be made again, from its checkpoint."""
    from distill import progress

    enter(
        monkeypatch,
        make_lab(tmp_path, TEXT.replace("batch_size: 8", "batch_size: 8, processes: 2")),
    )
    monkeypatch.setattr(distil, "device", lambda: ("cpu", "as it is"))
    was = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with (
            monkeypatch.context() as patch,
            pytest.raises(DistillError, match="killed by signal 9"),
        ):
            patch.setattr(progress, "_LINE_SECONDS", 0.0)
            patch.setattr(sys, "stderr", _Deadly())
            build("student.yaml", work=Path("runs"), until="compress")
        assert not list(Path("runs").rglob("compress-*/done.json"))
        (checkpoint,) = Path("runs").rglob("learns/checkpoint.pt")
        folder = build("student.yaml", work=Path("runs"), until="compress")
    finally:
        torch.set_num_threads(was)
    assert (folder / "learns.onnx").exists() and not checkpoint.exists()


@pytest.mark.train
def test_a_run_keeps_the_number_of_processes_that_it_began_with(
    labs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One done in four elsewhere is found where one would be chosen, and is not done again."""
    shutil.copytree(labs / "whole", tmp_path / "lab")
    enter(monkeypatch, tmp_path / "lab")
    monkeypatch.setattr(distil, "device", lambda: ("cpu", "as it is"))
    made = chain(recipe.written("student.yaml"), None, Path("runs"), until="distil")
    job = Job(recipe.find("student.yaml"), None, Path("runs"), None, lambda line: None)
    four = replace(job.recipe.train, processes=4)
    assert distil.settled(made.labelled, job).processes == 1
    made.folder.rename(distil._folder(made.labelled, job, four))
    assert distil.settled(made.labelled, job) == four
    said: list[str] = []
    build("student.yaml", work=Path("runs"), until="distil", say=said.append)
    assert len(list(Path("runs").rglob("train-seed0-*"))) == 1
    assert said[-1] == "  was done before"
