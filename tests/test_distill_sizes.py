"""Pictures that grow while a student learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from small_training import PLAN, linear, network, same, teacher, weights  # noqa: E402
from torch import nn  # noqa: E402

from distill.config import Augment, Loss, Train  # noqa: E402
from distill.data import Dataset  # noqa: E402
from distill.errors import DistillError  # noqa: E402
from distill.students import create  # noqa: E402
from distill.train import Plan, fit, predict  # noqa: E402

SIZE, N = 24, 12
GROWING = Train(
    epochs=4, batch_size=6, learning_rate=0.02, sizes=(8, 16, 24), shares=(0.5, 0.25, 0.25)
)


def dataset(n: int = N) -> Dataset:
    images = np.random.default_rng(3).integers(0, 160, (n, SIZE, SIZE, 3), np.uint8)
    labels = np.arange(n) % 3
    images[np.arange(n), :, :, labels] += 90
    return Dataset(images, labels, ("red", "green", "blue"), "train", "d" * 64)


def student() -> nn.Module:
    torch.manual_seed(0)
    return create("separable", 3, SIZE, {"size": "small"})


class Sides(nn.Module):
    """Remembers the sides of what went through it in training."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, x: Any) -> Any:
        if self.training:
            self.seen.append(x.shape[-1])
        return x


def plan(train: Train) -> Plan:
    return Plan(Loss(name="ce"), Augment(flip=True), train, 0)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_each_size_has_its_share_of_the_epochs_and_the_last_is_the_students(
    tmp_path: Path, ema: float
) -> None:
    net, sides = student(), Sides()
    net.layers = nn.Sequential(sides, *net.layers)  # type: ignore[misc]
    fit(net, dataset(), dataset(), plan(replace(GROWING, ema=ema)), tmp_path)
    assert sides.seen == [8, 8, 8, 8, 16, 16, 24, 24]  # two steps an epoch
    assert net.input.size == SIZE  # type: ignore[union-attr]
    assert predict(net, dataset().images).shape == (N, 3)


def test_a_cut_run_goes_on_at_the_size_of_its_epoch(tmp_path: Path) -> None:
    whole, other = student(), student()
    fit(whole, dataset(), dataset(), plan(GROWING), tmp_path / "whole")
    half = tmp_path / "half"

    def cut(view: int, rows: Any, pictures: Any) -> Any:
        if view == 2:
            raise KeyboardInterrupt
        return torch.zeros(len(rows), 3)

    with pytest.raises(KeyboardInterrupt):
        fit(student(), dataset(), dataset(), plan(GROWING), half, cut)
    state = torch.load(half / "checkpoint.pt", weights_only=True)
    assert state["step"] == 4
    state["made_by"]["teacher"] = "none"  # ce hears no teacher
    torch.save(state, half / "checkpoint.pt")
    fit(other, dataset(), dataset(), plan(GROWING), half)
    assert same(weights(whole), weights(other))


def test_a_cut_epoch_leaves_the_student_at_its_own_size(tmp_path: Path) -> None:
    def cut(view: int, rows: Any, pictures: Any) -> Any:
        raise KeyboardInterrupt

    net = student()
    with pytest.raises(KeyboardInterrupt):
        fit(net, dataset(), dataset(), plan(GROWING), tmp_path, cut)
    assert net.input.size == SIZE  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("epochs", "sizes", "shares", "found"),
    [
        (4, (), (), [0, 0, 0, 0]),
        (3, (16, 24, 32), (), [16, 24, 32]),
        (4, (16, 32), (0.75, 0.25), [16, 16, 16, 32]),
        (5, (16, 24, 32), (0.5, 0.3, 0.2), [16, 16, 24, 24, 32]),
        (1, (16, 32), (), [32]),
        (2, (16, 24, 32), (), [16, 32]),
        (2, (16, 24, 32), (0.5, 0.3, 0.2), [16, 32]),  # the last is always the student's
        (1, (16, 32), (0.8, 0.2), [32]),
    ],
)
def test_the_size_of_an_epoch(
    epochs: int, sizes: tuple[int, ...], shares: tuple[float, ...], found: list[int]
) -> None:
    train = Train(epochs=epochs, sizes=sizes, shares=shares)
    assert [train.size(epoch) for epoch in range(epochs)] == found


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sizes": (20, 32)}, "multiples of 8 pixels, not 20"),
        ({"sizes": (0, 32)}, "multiples of 8 pixels, not 0"),
        ({"sizes": (32, 16)}, "sizes must grow"),
        ({"sizes": (32, 32)}, "sizes must grow"),
        ({"sizes": (16, 32), "shares": (1.0,)}, "one for each of sizes"),
        ({"shares": (1.0,)}, "one for each of sizes"),
        ({"sizes": (16, 32), "shares": (0.5, 0.6)}, "sum to 1"),
        ({"sizes": (16, 32), "shares": (0.0, 1.0)}, "must be > 0"),
    ],
)
def test_sizes_that_mean_nothing_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Train(epochs=4, **given)


def test_a_last_size_that_is_not_the_students_is_refused(tmp_path: Path) -> None:
    wrong = plan(replace(GROWING, sizes=(8, 16), shares=()))
    with pytest.raises(DistillError, match="ends with 16, and the student works on 24") as caught:
        fit(student(), dataset(), dataset(), wrong, tmp_path)
    assert "end with 24" in caught.value.hint


@pytest.mark.parametrize("net", [linear(), network()])
def test_a_student_that_resizes_nothing_has_no_sizes(tmp_path: Path, net: nn.Module) -> None:
    sized = replace(PLAN, train=replace(PLAN.train, sizes=(8,)))
    with pytest.raises(DistillError, match="the student resizes nothing"):
        fit(net, dataset(), dataset(), sized, tmp_path, teacher)
