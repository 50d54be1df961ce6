"""A training that was cut goes on to the same bits, and a broken checkpoint is one error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from small_training import (  # noqa: E402
    HELD,
    PLAN,
    SETTINGS,
    Watching,
    dataset,
    dying,
    linear,
    network,
    read,
    same,
    teacher,
    weights,
)
from torch import Tensor  # noqa: E402

from distill import train  # noqa: E402
from distill.errors import DistillError  # noqa: E402
from distill.train import fit  # noqa: E402

ROOT = Path(__file__).parent.parent


def timeless(curves: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in curves]


# --- cut and started again -----------------------------------------------------------------------


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], list[Any]]:
    """Weights and curves of three epochs of three steps."""
    net = network()
    curves = fit(net, dataset(), HELD, PLAN, tmp_path_factory.mktemp("whole"), teacher)
    return weights(net), timeless(curves)


@pytest.mark.parametrize(
    ("pause", "died_at", "goes_on_at"),
    [(3600.0, 3, 3), (3600.0, 5, 3), (-1.0, 4, 4), (-1.0, 8, 8), (3600.0, 1, 0)],
    ids=["epoch-end", "back-to-epoch-end", "middle", "last-step", "before-any-checkpoint"],
)
def test_a_cut_run_ends_with_the_same_bits(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    uninterrupted: tuple[dict[str, Tensor], list[Any]],
    pause: float,
    died_at: int,
    goes_on_at: int,
) -> None:
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", pause)
    with pytest.raises(KeyboardInterrupt):
        fit(network(), dataset(), HELD, PLAN, tmp_path, dying(died_at, _interrupt))
    assert not (tmp_path / "student.pt").exists()
    other = network(seed=0 if goes_on_at == 0 else 99)  # all comes from the checkpoint
    watching = Watching()
    curves = fit(other, dataset(), HELD, PLAN, tmp_path, watching)
    assert len(watching.shown) == 9 - goes_on_at
    assert same(weights(other), uninterrupted[0])
    assert timeless(curves) == uninterrupted[1]


def test_a_process_killed_in_an_epoch_goes_on_to_the_same_bits(
    files: Path, tmp_path: Path, uninterrupted: tuple[dict[str, Tensor], list[Any]]
) -> None:
    threads = str(torch.get_num_threads())
    died = subprocess.run(
        [sys.executable, str(files / "small_training.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": threads},
        check=False,
        capture_output=True,
        text=True,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert read(tmp_path / "checkpoint.pt")["step"] == 5
    net = network(seed=99)
    curves = fit(net, dataset(), HELD, PLAN, tmp_path, teacher)
    assert same(weights(net), uninterrupted[0])
    assert timeless(curves) == uninterrupted[1]


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first, second, watching = network(), network(seed=99), Watching()
    curves = fit(first, dataset(), HELD, PLAN, tmp_path, teacher)
    assert fit(second, dataset(), HELD, PLAN, tmp_path, watching) == curves
    assert watching.shown == []
    assert same(weights(first), weights(second))


# --- refused -------------------------------------------------------------------------------------


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-300])


def _without_step(path: Path) -> None:
    kept = read(path)
    del kept["step"]
    torch.save(kept, path)


def _of_another_network(path: Path) -> None:
    torch.save({**read(path), "student": linear().state_dict()}, path)


BROKEN: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(b"PK\x03\x04" + bytes(range(256)) * 9),
    "text": lambda path: path.write_text("checkpoint"),
    "cut": _cut,
    "a list": lambda path: torch.save([1, 2], path),
    "without a key": _without_step,
    "of another network": _of_another_network,
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_checkpoint_is_one_error(tmp_path: Path, kind: str) -> None:
    short = replace(PLAN, train=replace(SETTINGS, epochs=1))
    fit(network(), dataset(), HELD, short, tmp_path, teacher)
    path = tmp_path / "checkpoint.pt"
    BROKEN[kind](path)
    with pytest.raises(DistillError, match=r"checkpoint\.pt cannot be read") as told:
        fit(network(), dataset(), HELD, short, tmp_path, teacher)
    assert "delete it" in told.value.hint


def test_a_full_disk_is_one_error_and_what_was_there_stays(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    fit(network(), dataset(), HELD, PLAN, tmp_path, teacher)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # a file may have so many bytes
    try:
        with pytest.raises(DistillError, match=r"student\.pt cannot be written: File too large"):
            fit(network(), dataset(), HELD, PLAN, tmp_path, teacher)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_layers_of_another_setting_are_another_run(tmp_path: Path) -> None:
    """With the same tensors: a shuffle that is left out, another dropout."""
    fit(network(), dataset(), HELD, PLAN, tmp_path, teacher)
    with pytest.raises(DistillError, match="is of another run: student"):
        fit(network(dropout=0.1), dataset(), HELD, PLAN, tmp_path, teacher)
