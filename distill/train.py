"""The training loop: a student, examples, what the teacher said of them, and nothing else.

`fit` is the shell (checkpoints, progress, files); the step below it is a page of PyTorch. On a CPU
a run that was killed and started again gives the same bits as one that was not.
"""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distill.config import Augment, Loss, Pieces, Train
from distill.data import Dataset
from distill.data.texts import Texts
from distill.errors import DistillError
from distill.files import DAMAGED, write
from distill.losses import total
from distill.pieces import padded
from distill.progress import Progress, progress
from distill.runs import check_same, check_sane, facts
from distill.views import views_of

CHECKPOINT_SECONDS = 60.0  # at most this much work is lost when a run is killed

Answers = Callable[[int, Tensor, Tensor], Tensor]
"""view number, rows (b,), what the student reads of them -> the teacher's logits (b, classes).

With an attribute `key`, it is known by that when a run goes on; else by its answers to a batch.
"""


@dataclass(frozen=True)
class Plan:
    """What `fit` follows, beside the student and the data."""

    loss: Loss
    augment: Augment | Pieces  # how a view is drawn, of pictures or of texts
    train: Train
    seed: int
    views: int = 0  # views that answers knows, epochs cycle them; 0: a new one each epoch


@dataclass
class _State:
    """All that a checkpoint holds, and so all that decides the next step."""

    student: nn.Module
    average: nn.Module  # the weights that are kept: moving average, or the student itself
    optimizer: torch.optim.Optimizer
    made_by: dict[str, Any]  # what decides the run: see `runs.facts`
    step: int = 0
    began: float = 0.0  # loss of the first step
    sums: dict[str, float] = field(default_factory=dict)  # of the epoch so far
    curves: list[dict[str, float]] = field(default_factory=list)  # one row an epoch


def fit(
    student: nn.Module,
    train: Dataset | Texts,
    validation: Dataset | Texts,
    plan: Plan,
    out: Path,
    answers: Answers | None = None,
    device: str = "cpu",
) -> list[dict[str, float]]:
    """Train student in place and return its curves, a row of numbers an epoch.

    The student ends with the weights of the last epoch (averaged where `ema` is on), never with
    the best ones. out/checkpoint.pt lets a killed run go on; out/student.pt holds the final state.
    Raises `DistillError` when the loss stops being a number, when the run ends at chance or far
    above the loss it began with, and when `out` holds a run of another plan, student or data.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(plan.seed)
    student.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    data = _Batches(train, plan, device)
    kept = out / "checkpoint.pt"
    who = _who(answers, data, kept.exists())
    state = _begin(student, plan, facts(student, train, validation, plan, who))
    _resume(state, kept, device)
    held_out: np.ndarray | None = None  # the answers to validation, of the last epoch
    with progress(
        "train",
        plan.train.epochs * data.steps * plan.train.batch_size,
        state.step * plan.train.batch_size,
    ) as bar:
        while state.step < plan.train.epochs * data.steps:
            _epoch(state, data, plan, answers, out, bar)
            held_out = predict(state.average, _inputs(validation), device)
            _close_epoch(state, data, plan, _right(held_out, validation), out)
    last = state.curves[-1]["loss"]
    if held_out is None:  # a finished run
        held_out = predict(state.average, _inputs(validation), device)
    check_sane(state.began, last, held_out.argmax(1), validation.labels, len(train.classes))
    student.load_state_dict(state.average.state_dict())
    student.eval()
    save(student.state_dict(), out / "student.pt")
    return state.curves


def accuracy(
    student: nn.Module, data: Dataset | Texts, device: str = "cpu", batch: int = 512
) -> float:
    """Fraction of data that student labels as data does."""
    return _right(predict(student, _inputs(data), device, batch), data)


def _right(logits: np.ndarray, data: Dataset | Texts) -> float:
    return float((logits.argmax(1) == data.labels).mean())


def _inputs(data: Dataset | Texts) -> np.ndarray | Sequence[str]:
    return data.images if isinstance(data, Dataset) else data.texts


def predict(
    student: nn.Module,
    inputs: np.ndarray | Sequence[str],
    device: str = "cpu",
    batch: int = 512,
) -> np.ndarray:
    """Logits float32 (n, classes) of pictures uint8 (n, s, s, 3) or of texts, in evaluation."""
    was = student.training
    student.eval()
    order = np.arange(len(inputs)) if isinstance(inputs, np.ndarray) else _by_length(inputs)
    logits: list[Tensor] = []
    with torch.inference_mode():
        for i in range(0, len(inputs), batch):
            tensor = _tensor(inputs, order[i : i + batch])
            logits.append(student(tensor.to(device)).float().cpu())
    student.train(was)
    found = torch.cat(logits).numpy()
    return found[np.argsort(order, kind="stable")]


def _by_length(texts: Sequence[str]) -> np.ndarray:
    return np.argsort([len(text) for text in texts], kind="stable")


def _tensor(inputs: np.ndarray | Sequence[str], rows: np.ndarray) -> Tensor:
    if isinstance(inputs, np.ndarray):
        return torch.from_numpy(inputs[rows])
    return torch.from_numpy(padded([inputs[row] for row in rows]))


def rate(step: int, steps: int, train: Train) -> float:
    """Learning rate of a step: up in a line over `warmup` (one-cycle only), then half a cosine."""
    rise = int(train.warmup * steps) if train.schedule == "one-cycle" else 0
    if step < rise:
        return train.learning_rate * (step + 1) / rise
    return train.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))


class _Batches:
    """Views in batches; which ones is decided by epoch and seed alone."""

    def __init__(self, data: Dataset | Texts, plan: Plan, device: str) -> None:
        self.views = views_of(data, plan.augment)
        self.plan, self.device = plan, device
        self.steps = self.views.steps(plan.train.batch_size)
        if self.steps == 0:
            raise DistillError(
                f"{len(data)} examples are fewer than a batch of {plan.train.batch_size}",
                "make train.batch_size smaller",
            )
        self._epoch = -1

    def batch(self, step: int) -> tuple[int, Tensor, Tensor, Tensor]:
        """View number, rows (b,), what the student reads, targets (b, classes) of a step."""
        epoch, place = divmod(step, self.steps)
        if epoch != self._epoch:
            self._open(epoch)
        rows = self._rows[place]
        inputs, target = self._view.inputs(rows), self._view.targets(rows)
        return self._number, rows, inputs.to(self.device), target.to(self.device)

    def _open(self, epoch: int) -> None:
        self._epoch = epoch
        self._number = epoch % self.plan.views if self.plan.views else epoch
        self._view = self.views.view(self._number)
        order = np.random.Generator(np.random.Philox(key=[self.plan.seed, epoch]))
        self._rows = self._view.batches(order, self.plan.train.batch_size)


def _who(answers: Answers | None, data: _Batches, began: bool) -> str:
    """What tells one teacher from another: its `key`, or what it says of the first batch.

    The latter is empty until the first step, whose answers it is.
    """
    if answers is None:
        return "none"
    key = str(getattr(answers, "key", ""))
    return _said(answers(*data.batch(0)[:3])) if began and not key else key


def _said(logits: Tensor) -> str:
    """sha256 of first answers, and of the logits' size to 2 digits: a GPU's last ones vary."""
    size = logits[logits.isfinite()].float().abs().mean().item()
    return hashlib.sha256(f"{logits.argmax(1).tolist()} {size:.1e}".encode()).hexdigest()


def _begin(student: nn.Module, plan: Plan, made_by: dict[str, Any]) -> _State:
    decayed = [p for p in student.parameters() if p.requires_grad and p.ndim > 1]
    free = [p for p in student.parameters() if p.requires_grad and p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": free, "weight_decay": 0.0}]
    optimizer = _optimizer(groups, plan.train)
    average = copy.deepcopy(student) if plan.train.ema else student
    return _State(student, average, optimizer, made_by)


def _optimizer(groups: list[dict[str, Any]], train: Train) -> torch.optim.Optimizer:
    shared: dict[str, Any] = {"lr": train.learning_rate, "weight_decay": train.weight_decay}
    if train.optimizer == "adam":
        return torch.optim.Adam(groups, betas=(0.9, 0.99), fused=True, **shared)
    momentum = train.momentum
    return torch.optim.SGD(groups, momentum=momentum, nesterov=momentum > 0, **shared)


def _epoch(
    state: _State,
    data: _Batches,
    plan: Plan,
    answers: Answers | None,
    out: Path,
    bar: Progress,
) -> None:
    """Steps until the epoch's end, from wherever the state stands in it."""
    saved = time.monotonic()
    end = (state.step // data.steps + 1) * data.steps
    state.student.train()
    while state.step < end:
        began = time.perf_counter()
        value, right = _step(state, data, plan, answers)
        _add(state.sums, loss=value, accuracy=right, batches=1, seconds=time.perf_counter() - began)
        state.step += 1
        bar.update(plan.train.batch_size, _now(state, data.steps))
        if time.monotonic() - saved > CHECKPOINT_SECONDS and state.step < end:
            _checkpoint(state, out)
            saved = time.monotonic()


def _step(
    state: _State, data: _Batches, plan: Plan, answers: Answers | None
) -> tuple[float, float]:
    """One update; the batch's loss and the fraction it got right."""
    number, rows, inputs, target = data.batch(state.step)
    teacher = answers(number, rows, inputs).to(inputs.device) if answers else None
    if teacher is not None and not state.made_by["teacher"]:
        state.made_by["teacher"] = _said(teacher)
    for group in state.optimizer.param_groups:
        group["lr"] = rate(state.step, plan.train.epochs * data.steps, plan.train)
    logits = state.student(inputs)
    loss = total(plan.loss, logits, teacher, target, state.step / data.steps)
    if state.step == 0:  # as it is weighed after the warm-up
        state.began = total(plan.loss, logits.detach(), teacher, target, math.inf).item()
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    state.optimizer.step()
    _average(state, plan.train.ema)
    value = loss.item()
    if not math.isfinite(value):
        raise DistillError(f"the loss is {value} at step {state.step}", "lower train.learning_rate")
    return value, (logits.argmax(1) == target.argmax(1)).float().mean().item()


@torch.no_grad()
def _average(state: _State, decay: float) -> None:
    """Moving average of weights and of running statistics; it warms up over the first steps."""
    if state.average is state.student:
        return
    keep = min(decay, (1 + state.step) / (10 + state.step))
    new = state.student.state_dict()
    for name, old in state.average.state_dict().items():
        if old.is_floating_point():
            old.lerp_(new[name], 1 - keep)
        else:
            old.copy_(new[name])


def _close_epoch(state: _State, data: _Batches, plan: Plan, held_out: float, out: Path) -> None:
    """held_out is the accuracy on validation."""
    sums, batches = state.sums, state.sums["batches"]
    state.curves.append(
        {
            "epoch": state.step // data.steps,
            "loss": sums["loss"] / batches,
            "train_accuracy": sums["accuracy"] / batches,
            "validation_accuracy": held_out,
            "learning_rate": rate(state.step - 1, plan.train.epochs * data.steps, plan.train),
            "seconds": sums["seconds"],
        }
    )
    state.sums = {}
    _checkpoint(state, out)


def _now(state: _State, steps: int) -> str:
    sums = state.sums
    last = f" val {state.curves[-1]['validation_accuracy']:.2%}" if state.curves else ""
    return (
        f"epoch {(state.step - 1) // steps + 1} loss {sums['loss'] / sums['batches']:.3f} "
        f"acc {sums['accuracy'] / sums['batches']:.2%}{last}"
    )


def _add(sums: dict[str, float], **more: float) -> None:
    for name, value in more.items():
        sums[name] = sums.get(name, 0.0) + value


def _checkpoint(state: _State, out: Path) -> None:
    save(
        {
            "student": state.student.state_dict(),
            "average": state.average.state_dict(),
            "optimizer": state.optimizer.state_dict(),
            "step": state.step,
            "sums": state.sums,
            "curves": state.curves,
            "rng": torch.get_rng_state(),
            "began": state.began,
            "made_by": state.made_by,
        },
        out / "checkpoint.pt",
    )


def _resume(state: _State, path: Path, device: str) -> None:
    if not path.exists():
        return
    try:
        kept = torch.load(path, map_location=device, weights_only=True)
        check_same(kept["made_by"], state.made_by, path)
        state.student.load_state_dict(kept["student"])
        state.average.load_state_dict(kept["average"])
        state.optimizer.load_state_dict(kept["optimizer"])
        state.step, state.sums, state.curves = kept["step"], kept["sums"], kept["curves"]
        state.began = kept["began"]
        torch.set_rng_state(kept["rng"].cpu())
    except DAMAGED as error:
        raise DistillError(
            f"{path} cannot be read: {type(error).__name__}", "delete it to train from the start"
        ) from error


def save(content: Any, path: Path) -> None:
    """torch.save, whole or not at all."""
    write(path, lambda file: torch.save(content, file))
