"""Training: what one step does, what an epoch sees, how the rate goes, and what stops it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from small_training import (  # noqa: E402
    AUGMENT,
    CLASSES,
    HELD,
    PLAN,
    SETTINGS,
    SIZE,
    N,
    Watching,
    dataset,
    linear,
    network,
    read,
    same,
    teacher,
    weights,
)
from torch import Tensor  # noqa: E402

from distill import augment as views  # noqa: E402
from distill import train  # noqa: E402
from distill.config import Augment, Loss, Train  # noqa: E402
from distill.errors import DistillError  # noqa: E402
from distill.runs import check_sane  # noqa: E402
from distill.train import Plan, fit, rate  # noqa: E402

CE = Loss(name="ce")


# --- learning ------------------------------------------------------------------------------------


def test_a_few_pictures_are_learnt_by_heart(tmp_path: Path) -> None:
    torch.manual_seed(0)
    data = replace(dataset(12), labels=np.random.default_rng(0).integers(0, CLASSES, 12))
    net = network(dropout=0.0)
    plan = Plan(CE, Augment(), Train(epochs=60, batch_size=12, learning_rate=0.2), seed=0)
    curves = fit(net, data, HELD, plan, tmp_path)
    assert train.accuracy(net, data) == 1.0
    assert curves[-1]["loss"] < 0.2 * curves[0]["loss"]
    assert [row["epoch"] for row in curves] == list(range(1, 61))


def test_a_student_learns_from_what_the_teacher_says_alone(tmp_path: Path) -> None:
    net = network(dropout=0.0)
    wrong = replace(dataset(), labels=np.zeros(N, np.int64))
    plan = Plan(Loss(ce=0.0, kd=1.0), Augment(), replace(SETTINGS, epochs=20, ema=0.0), seed=0)
    fit(net, wrong, HELD, plan, tmp_path, teacher)
    assert train.accuracy(net, HELD) == 1.0


@pytest.mark.parametrize(("momentum", "decay"), [(0.0, 0.0), (0.0, 0.5), (0.9, 0.0), (0.9, 0.5)])
def test_the_first_step_goes_down_the_gradient(
    tmp_path: Path, momentum: float, decay: float
) -> None:
    net, data = linear(), dataset()
    one = Train(
        epochs=1,
        batch_size=N,
        learning_rate=0.01,
        schedule="cosine",
        momentum=momentum,
        weight_decay=decay,
    )
    weight, bias = (p.detach().clone() for p in net[2].parameters())
    pixels = (torch.from_numpy(data.images).permute(0, 3, 1, 2).flatten(1).float() - 128) / 64
    logits = pixels @ weight.T + bias
    slope = (logits.softmax(1) - F.one_hot(torch.from_numpy(data.labels), CLASSES)) / N
    fit(net, data, HELD, Plan(CE, Augment(), one, seed=0), tmp_path)
    nesterov = 1 + momentum  # the first step: v = g, and the step is g + momentum v
    expected = weight - 0.01 * nesterov * (slope.T @ pixels + decay * weight)
    assert torch.allclose(net[2].weight, expected, atol=1e-6)
    assert torch.allclose(net[2].bias, bias - 0.01 * nesterov * slope.sum(0), atol=1e-6)


def test_norms_and_biases_do_not_decay(tmp_path: Path) -> None:
    """A step whose gradient is nothing beside the decay: matrices shrink, vectors stay."""
    net, data = network(dropout=0.0), dataset()
    with torch.no_grad():
        net[2].weight.fill_(2.0)
        net[6].bias.fill_(1.0)
    before = weights(net)
    heavy = Train(1, N, 1e-6, schedule="cosine", momentum=0.0, weight_decay=1e5)
    fit(net, data, HELD, Plan(CE, Augment(), heavy, seed=0), tmp_path)
    for name, value in net.named_parameters():
        kept = 0.9 if value.ndim > 1 else 1.0
        assert torch.allclose(value, kept * before[name], atol=1e-5), name


def test_the_averaged_weights_are_those_computed_by_hand(tmp_path: Path) -> None:
    net = network()
    expected, trajectory = weights(net), []

    def watching(view: int, rows: Tensor, pictures: Tensor) -> Tensor:
        trajectory.append(weights(net))
        return teacher(view, rows, pictures)

    fit(net, dataset(), HELD, replace(PLAN, train=replace(SETTINGS, ema=0.5)), tmp_path, watching)
    trajectory.append(read(tmp_path / "checkpoint.pt")["student"])
    for step, new in enumerate(trajectory[1:]):  # the first one stands before any step
        keep = min(0.5, (1 + step) / (10 + step))
        for name, old in expected.items():
            floating = old.is_floating_point()
            expected[name] = keep * old + (1 - keep) * new[name] if floating else new[name]
    for name, value in net.state_dict().items():
        assert torch.allclose(value, expected[name], atol=1e-6), name
    assert not same(weights(net), trajectory[-1])


def test_without_averaging_the_last_weights_are_kept(tmp_path: Path) -> None:
    net = network()
    fit(net, dataset(), HELD, replace(PLAN, train=replace(SETTINGS, ema=0.0)), tmp_path, teacher)
    assert same(weights(net), read(tmp_path / "checkpoint.pt")["student"])


def test_the_file_holds_what_the_student_ends_with(tmp_path: Path) -> None:
    net = network()
    curves = fit(net, dataset(), HELD, PLAN, tmp_path, teacher)
    assert same(weights(net), read(tmp_path / "student.pt"))
    assert not net.training
    assert curves[-1]["validation_accuracy"] == train.accuracy(net, HELD)
    assert not list(tmp_path.glob("*.part"))


# --- what an epoch sees --------------------------------------------------------------------------


@pytest.mark.parametrize(("known", "expected"), [(2, [0, 1, 0]), (5, [0, 1, 2]), (0, [0, 1, 2])])
def test_epochs_cycle_the_views_that_were_labelled(
    tmp_path: Path, known: int, expected: list[int]
) -> None:
    watching = Watching()
    fit(network(), dataset(), HELD, replace(PLAN, views=known), tmp_path, watching)
    assert [view for view, _, _ in watching.shown] == [v for v in expected for _ in range(3)]


def test_an_epoch_shows_every_picture_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    watching = Watching()
    fit(network(), dataset(), HELD, PLAN, tmp_path, watching)
    batches = [rows for _, rows, _ in watching.shown]
    epochs = [[row for rows in batches[i : i + 3] for row in rows] for i in (0, 3, 6)]
    assert [sorted(rows) for rows in epochs] == [list(range(N))] * 3
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_teacher_and_student_see_the_same_view(tmp_path: Path) -> None:
    watching, seen = Watching(), []
    net = network()
    net[0].register_forward_hook(lambda module, given, _: seen.append((module.training, given[0])))
    fit(net, dataset(), HELD, PLAN, tmp_path, watching)
    pictures = [given for training, given in seen if training]
    for (view, rows, shown), mine in zip(watching.shown, pictures, strict=True):
        drawn = views.draw(AUGMENT, N, SIZE, view)
        images = torch.from_numpy(dataset().images)
        assert torch.equal(views.apply(AUGMENT, drawn, images, torch.tensor(rows)), mine)
        assert torch.equal(shown, mine)


def test_what_does_not_fill_a_batch_waits_for_another_epoch(tmp_path: Path) -> None:
    watching = Watching()
    fit(network(), dataset(21), HELD, PLAN, tmp_path, watching)
    assert [len(rows) for _, rows, _ in watching.shown] == [8] * 6


def test_fewer_pictures_than_a_batch_are_one_error(tmp_path: Path) -> None:
    with pytest.raises(DistillError, match="7 examples are fewer than a batch of 8") as told:
        fit(network(), dataset(7), HELD, PLAN, tmp_path, teacher)
    assert "batch_size" in told.value.hint


def test_answers_do_not_depend_on_the_batch_and_leave_the_mode_alone() -> None:
    net = network().train()
    whole = train.predict(net, HELD.images)
    assert net.training
    assert whole.shape == (9, CLASSES) and whole.dtype == np.float32
    assert np.allclose(train.predict(net, HELD.images, batch=2), whole, atol=1e-6)


# --- the rate ------------------------------------------------------------------------------------

trains = st.builds(
    Train,
    epochs=st.just(1),
    learning_rate=st.floats(1e-4, 10),
    schedule=st.sampled_from(["cosine", "one-cycle"]),
    warmup=st.floats(0, 0.99),
)


@given(trains, st.integers(1, 300))
def test_the_rate_is_positive_and_peaks_at_the_learning_rate(settings: Train, steps: int) -> None:
    rates = [rate(step, steps, settings) for step in range(steps)]
    assert min(rates) > 0
    assert max(rates) == pytest.approx(settings.learning_rate)


@given(trains, st.integers(1, 300))
def test_the_rate_rises_to_its_peak_and_falls_from_there(settings: Train, steps: int) -> None:
    rates = np.array([rate(step, steps, settings) for step in range(steps)])
    peak = rates.argmax()
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) <= 1e-12).all()
    assert settings.schedule == "one-cycle" or peak == 0


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle"])
def test_the_rate_ends_near_nothing(schedule: Any) -> None:
    settings = Train(1, learning_rate=0.4, schedule=schedule, warmup=0.25)
    assert rate(999, 1000, settings) < 1e-5
    assert rate(0, 1000, settings) == pytest.approx(0.4 if schedule == "cosine" else 0.4 / 250)
    middle = 500 if schedule == "cosine" else 625
    assert rate(middle, 1000, settings) == pytest.approx(0.2)


# --- sane, and of one plan ------------------------------------------------------------------------


OTHERS: dict[str, Any] = {
    "seed": replace(PLAN, seed=6),
    "train.learning_rate": replace(PLAN, train=replace(SETTINGS, learning_rate=0.01)),
    "augment.flip": replace(PLAN, augment=replace(AUGMENT, flip=False)),
    "loss.temperature": replace(PLAN, loss=replace(PLAN.loss, temperature=2.0)),
    "views": replace(PLAN, views=3),
}


@pytest.mark.parametrize("changed", OTHERS)
def test_a_folder_of_another_plan_is_an_error_that_names_the_difference(
    tmp_path: Path, changed: str
) -> None:
    fit(network(), dataset(), HELD, PLAN, tmp_path, teacher)
    before = (tmp_path / "student.pt").read_bytes()
    with pytest.raises(DistillError, match=f"is of another run: {changed} ") as told:
        fit(network(), dataset(), HELD, OTHERS[changed], tmp_path, teacher)
    assert "begin anew" in told.value.hint
    assert (tmp_path / "student.pt").read_bytes() == before


def test_a_folder_of_other_data_student_or_teacher_is_an_error(tmp_path: Path) -> None:
    fit(network(), dataset(), HELD, PLAN, tmp_path, teacher)
    other = replace(dataset(), sha256="e" * 64)
    with pytest.raises(DistillError, match=r"train data ddd.* there, eee"):
        fit(network(), other, HELD, PLAN, tmp_path, teacher)
    with pytest.raises(DistillError, match="teacher mean colours there, none here"):
        fit(network(), dataset(), HELD, PLAN, tmp_path)
    with pytest.raises(DistillError, match="student "):
        fit(linear(), dataset(), HELD, PLAN, tmp_path, teacher)


def test_a_term_that_is_heavy_and_warms_up_is_no_loss_that_blew_up(tmp_path: Path) -> None:
    """The last loss is held against the first as that would be with the whole term."""
    heavy = Loss(name="dkd", kd=1000.0, warmup_epochs=1)
    plan = replace(PLAN, loss=heavy, train=replace(SETTINGS, learning_rate=1e-9))
    curves = fit(linear(), dataset(), dataset(40, "validation"), plan, tmp_path, teacher)
    assert curves[-1]["loss"] > 20 * math.log(CLASSES)


@pytest.mark.parametrize("factors", [(-1, -1, -1), (3, 3, 3), (1, 1.3, 1)])
def test_a_teacher_without_a_key_is_known_by_what_it_says(
    factors: tuple[float, ...], tmp_path: Path
) -> None:
    def first(view: int, rows: Tensor, pictures: Tensor) -> Tensor:
        return teacher(view, rows, pictures)

    def other(view: int, rows: Tensor, pictures: Tensor) -> Tensor:
        return teacher(view, rows, pictures) * torch.tensor(factors)

    curves = fit(network(), dataset(), HELD, PLAN, tmp_path, first)
    assert fit(network(), dataset(), HELD, PLAN, tmp_path, lambda *of: first(*of)) == curves
    with pytest.raises(DistillError, match="is of another run: teacher "):
        fit(network(), dataset(), HELD, PLAN, tmp_path, other)


def test_held_out_examples_are_answered_once_an_epoch(tmp_path: Path) -> None:
    class Counted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.held_out = linear(), []

        def forward(self, pictures: Tensor) -> Tensor:
            if not self.training:
                self.held_out.append(len(pictures))
            return self.net(pictures)

    net = Counted()
    plan = replace(PLAN, train=replace(SETTINGS, ema=0.0))
    fit(net, dataset(), HELD, plan, tmp_path, teacher)
    assert net.held_out == [len(HELD)] * SETTINGS.epochs


@pytest.mark.parametrize("rate", [30.0, 1e4])
def test_a_training_that_blows_up_is_an_error_and_leaves_no_student(
    tmp_path: Path, rate: float
) -> None:
    wild = replace(PLAN, train=replace(SETTINGS, learning_rate=rate, epochs=6, ema=0.0))
    with pytest.raises(DistillError, match=r"nothing was learned|the loss is") as told:
        fit(linear(), dataset(), dataset(60, "validation"), wild, tmp_path, teacher)
    assert "learning_rate" in told.value.hint
    assert not (tmp_path / "student.pt").exists()


def test_a_student_at_chance_whose_loss_stood_still_is_an_error(tmp_path: Path) -> None:
    still = replace(PLAN, train=replace(SETTINGS, learning_rate=1e-9))
    with pytest.raises(DistillError, match="of 120 held-out examples: at chance; the loss began"):
        fit(linear(), dataset(), dataset(120, "validation"), still, tmp_path, teacher)


@pytest.mark.parametrize(
    ("began", "last", "n", "right", "sane"),
    [
        (2.3, 0.5, 200, 0.9, True),
        (2.3, 2.0, 200, 0.2, True),  # little, but surely more than by guessing
        (2.3, 2.2, 200, 0.1, False),  # all of one class
        (2.3, 2.3, 60, 0.1, False),
        (2.3, 1.2, 60, 0.1, True),  # of so few nothing is sure, and the loss fell
        (2.3, 2.3, 10, 0.1, True),
        (0.01, 0.15, 200, 0.9, True),  # began with good weights, and with augmentation
        (2.3, 6.6e15, 10, 0.9, False),
    ],
)
def test_what_a_sane_run_ends_with(
    began: float, last: float, n: int, right: float, sane: bool
) -> None:
    labels = np.arange(n) % 10
    answers = np.where(np.arange(n) < right * n, labels, (labels + 1) % 10)
    try:
        check_sane(began, last, answers, labels, 10)
    except DistillError:
        assert not sane
    else:
        assert sane


def test_a_short_training_that_learns_a_little_is_no_error(tmp_path: Path) -> None:
    short = replace(PLAN, train=replace(SETTINGS, epochs=1))
    fit(network(), dataset(), dataset(120, "validation"), short, tmp_path, teacher)


# --- refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, value: float) -> None:
    def mad(view: int, rows: Tensor, pictures: Tensor) -> Tensor:
        return teacher(view, rows, pictures) + (value if view == 1 else 0)

    with pytest.raises(DistillError, match="the loss is nan at step 3") as told:
        fit(network(), dataset(), HELD, PLAN, tmp_path, mad)
    assert "learning_rate" in told.value.hint
    assert not (tmp_path / "student.pt").exists()
    kept = read(tmp_path / "checkpoint.pt")
    assert kept["step"] == 3
    assert all(value.isfinite().all() for value in kept["student"].values())
