"""Processes that share a training: as one would, to the same bits; one that ends is an error."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.distributed as dist  # noqa: E402
from small_training import (  # noqa: E402
    AUGMENT,
    HELD,
    PLAN,
    SETTINGS,
    Colours,
    dataset,
    linear,
    network,
    read,
    same,
    teacher,
    weights,
)
from torch import Tensor  # noqa: E402

from distill import ranks, train  # noqa: E402
from distill.config import Loss, Train  # noqa: E402
from distill.errors import DistillError  # noqa: E402
from distill.train import Plan, fit  # noqa: E402

TWO = replace(PLAN, train=replace(SETTINGS, processes=2))
ONE_EPOCH = replace(TWO.train, epochs=1)


@pytest.fixture(autouse=True)
def cores() -> Iterator[None]:
    was = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2
    torch.set_num_threads(was)


class Ending(Colours):
    """A teacher that ends the process of a rank in place of its answer number `after`."""

    def __init__(self, rank: int, after: int) -> None:
        self.rank, self.left = rank, after

    def __call__(self, view: int, rows: Tensor, pictures: Tensor) -> Tensor:
        if (int(sys.argv[2]) if sys.argv[0] == "-c" and sys.argv[2:] else 0) == self.rank:
            if self.left == 0 and self.rank == 0:
                raise KeyboardInterrupt
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1
        return super().__call__(view, rows, pictures)


class Silent(Colours):
    """A teacher that was not asked about every third row."""

    def __call__(self, view: int, rows: Tensor, pictures: Tensor) -> Tensor:
        logits = super().__call__(view, rows, pictures)
        return logits.masked_fill((rows % 3 == 0)[:, None], -torch.inf)


@pytest.mark.parametrize("answering", [teacher, Silent()], ids=["all", "some"])
def test_two_processes_take_the_steps_of_one(tmp_path: Path, answering: Colours) -> None:
    """Without batch norm, whose statistics are those of a share; of some rows with labels alone."""
    one, two = linear(), linear()
    alone = fit(one, dataset(), HELD, PLAN, tmp_path / "one", answering)
    both = fit(two, dataset(), HELD, TWO, tmp_path / "two", answering)
    for name, value in weights(one).items():
        assert torch.allclose(value, weights(two)[name], atol=1e-6), name
    for a, b in zip(alone, both, strict=True):
        for key in ("loss", "train_accuracy", "validation_accuracy"):
            assert a[key] == pytest.approx(b[key], abs=1e-5)


def test_a_cut_run_of_two_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With batch norm and dropout: running statistics and chance are each process's own."""
    whole, other = network(), network(seed=99)
    curves = fit(whole, dataset(), HELD, TWO, tmp_path / "whole", teacher)
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        fit(network(), dataset(), HELD, TWO, tmp_path / "cut", Ending(0, 5))
    assert read(tmp_path / "cut" / "checkpoint.pt")["step"] == 5
    found = fit(other, dataset(), HELD, TWO, tmp_path / "cut", teacher)
    assert same(weights(whole), weights(other))
    assert [row["loss"] for row in found] == [row["loss"] for row in curves]


def test_a_killed_process_is_one_error_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(DistillError, match="was killed by signal 9") as caught:
        fit(network(), dataset(), HELD, TWO, tmp_path, Ending(1, 4))
    assert "goes on from the last checkpoint" in caught.value.hint
    net = network(seed=99)
    assert len(fit(net, dataset(), HELD, TWO, tmp_path, teacher)) == SETTINGS.epochs


def test_an_error_in_both_is_raised_once(tmp_path: Path) -> None:
    wild = replace(TWO, train=replace(TWO.train, learning_rate=1e30, warmup=0.0))
    with pytest.raises(DistillError, match="the loss is"):
        fit(linear(), dataset(), HELD, wild, tmp_path, teacher)


def test_a_checkpoint_of_another_number_of_processes_is_refused(tmp_path: Path) -> None:
    fit(network(), dataset(), HELD, PLAN, tmp_path, teacher)
    with pytest.raises(DistillError, match=r"train\.processes 1 there, 2 here"):
        fit(network(), dataset(), HELD, TWO, tmp_path, teacher)


def test_what_cannot_be_copied_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    with pytest.raises(DistillError, match="not to be handed to another process") as caught:
        fit(network(), dataset(), HELD, TWO, tmp_path, lambda view, rows, x: teacher(view, rows, x))
    assert "train.processes: 1" in caught.value.hint


@pytest.mark.parametrize(
    ("batch_size", "found"), [(128, 2), (127, 1), (64, 1), (4096, 2), (4097, 1)]
)
def test_processes_are_one_a_core_with_enough_to_do_and_equal_shares(
    batch_size: int, found: int
) -> None:
    assert ranks.count_for(Train(epochs=1, batch_size=batch_size)) == found


@pytest.mark.parametrize(
    ("settings", "loss", "data", "device", "found"),
    [
        ({}, "kd", dataset(), "cpu", 2),
        ({}, "dist", dataset(), "cpu", 1),  # compares the pictures of a batch
        ({}, "kd", object(), "cpu", 1),  # texts
        ({"processes": 2}, "kd", object(), "cpu", 2),
        ({"processes": 1}, "kd", dataset(), "cpu", 1),
        ({"processes": 2}, "kd", dataset(), "cuda", 1),
    ],
)
def test_who_trains_alone(
    settings: dict[str, int], loss: str, data: Any, device: str, found: int
) -> None:
    how = Train(epochs=1, batch_size=128, **settings)
    assert train.process_count(how, Loss(name=loss), data, device) == found


def test_a_loss_of_whole_batches_is_not_shared() -> None:
    with pytest.raises(DistillError, match="dist compares the examples of a whole batch"):
        train.process_count(TWO.train, Loss(name="dist"), dataset(), "cpu")


def test_more_processes_than_cores_are_refused(tmp_path: Path) -> None:
    many = replace(PLAN, train=replace(SETTINGS, processes=4))
    with pytest.raises(DistillError, match=r"train\.processes is 4, and there are 2 cores"):
        fit(network(), dataset(), HELD, many, tmp_path, teacher)


BIG = Plan(Loss(), AUGMENT, Train(epochs=1, batch_size=128, learning_rate=0.05), 0)


def test_a_live_teacher_is_asked_by_one_process(tmp_path: Path) -> None:
    fit(network(), dataset(130), HELD, BIG, tmp_path, lambda view, rows, x: teacher(view, rows, x))
    assert read(tmp_path / "checkpoint.pt")["made_by"]["train.processes"] == 1


SCRIPT = """
import sys
from pathlib import Path
import torch
from small_training import HELD, dataset, network
from distill.config import Augment, Loss, Train
from distill.train import Plan, fit

class Mine(torch.nn.Sequential):
    pass

torch.set_num_threads(2)
train = Train(epochs=1, batch_size=128, learning_rate=0.05, processes=int(sys.argv[2]))
plan = Plan(Loss(name="ce"), Augment(), train, 0)
fit(Mine(*network()), dataset(130), HELD, plan, Path(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [(0, 0, "130"), (2, 1, "a process of the training ended: AttributeError")],
)
def test_a_network_of_a_script_trains_in_one_process_and_is_refused_in_two(
    files: Path, tmp_path: Path, asked: int, code: int, said: str
) -> None:
    """No guard of `__main__` is needed, and nothing waits for a process that has ended."""
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-", str(tmp_path), str(asked)],
        input=SCRIPT.replace("128", "64") if asked else SCRIPT,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{files}"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    assert said in done.stderr or code == 0


def test_what_lies_in_the_working_directory_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('a file of the user')")
    monkeypatch.chdir(tmp_path)
    fit(network(), dataset(), HELD, replace(TWO, train=ONE_EPOCH), tmp_path / "out", teacher)


def test_a_process_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    content = pickle.dumps(sys.path) + pickle.dumps((print, ()))
    command = [sys.executable, "-P", "-c", ranks.CHILD, str(tmp_path), "1", "2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(content)
        child.stdin.flush()
        assert child.stdout.readline() == ranks.READY
        assert child.poll() is None  # it waits for the first
        child.stdin.close()
        assert child.wait(timeout=60) == 1


def test_a_process_group_of_the_callers_own_stays(tmp_path: Path) -> None:
    store = dist.FileStore(str(tmp_path / "theirs"), 1)
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        fit(network(), dataset(), HELD, replace(TWO, train=ONE_EPOCH), tmp_path / "out", teacher)
        assert dist.get_world_size() == 1
    finally:
        dist.destroy_process_group()


def test_a_weight_that_nobody_uses_stays_as_it_was(tmp_path: Path) -> None:
    net = linear()
    net.register_parameter("unused", torch.nn.Parameter(torch.ones(3, 3)))
    fit(net, dataset(), HELD, replace(TWO, train=replace(ONE_EPOCH, ema=0.0)), tmp_path, teacher)
    assert torch.equal(net.unused, torch.ones(3, 3))  # type: ignore[arg-type]


def test_one_example_is_held_out(tmp_path: Path) -> None:
    one = dataset(1, "validation")
    fit(linear(), dataset(), one, replace(TWO, train=ONE_EPOCH), tmp_path, teacher)


def test_what_cannot_be_pickled_trains_alone_where_nothing_is_asked_for(tmp_path: Path) -> None:
    net = linear()
    torch.nn.utils.parametrizations.weight_norm(net[2])  # type: ignore[index]
    fit(net, dataset(130), HELD, BIG, tmp_path, teacher)
    assert read(tmp_path / "checkpoint.pt")["made_by"]["train.processes"] == 1


def test_an_error_of_the_students_own_is_raised_as_it_is(tmp_path: Path) -> None:
    net = network()
    net[6] = torch.nn.Linear(55, 3)  # type: ignore[index]
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        fit(net, dataset(), HELD, TWO, tmp_path, teacher)


def test_a_batch_that_cannot_be_shared_is_refused_by_the_config() -> None:
    with pytest.raises(ValueError, match="batch_size 10 cannot be shared by 3 processes"):
        Train(epochs=1, batch_size=10, processes=3)
    with pytest.raises(ValueError, match="batch_size 2 cannot be shared by 2 processes"):
        Train(epochs=1, batch_size=2, processes=2)


def test_the_default_shares_a_large_batch(tmp_path: Path) -> None:
    fit(network(), dataset(130), HELD, BIG, tmp_path, teacher)
    kept = read(tmp_path / "checkpoint.pt")
    assert kept["made_by"]["train.processes"] == 2 == len(kept["own"])
