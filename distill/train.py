"""The training loop: a student, examples, what the teacher said of them, and nothing else.

`fit` is the shell (processes, checkpoints, progress, files); the step below it is a page of
PyTorch. On a CPU a run that was killed and started again gives the same bits as one that was not.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distill.batches import Answers, Batches, Plan, said_by, who
from distill.checkpoint import CHECKPOINT_SECONDS, State, load, save, store
from distill.config import Loss, Train
from distill.data import Dataset
from distill.data.texts import Texts
from distill.errors import DistillError, DivergedError
from distill.losses import LOSSES, total
from distill.memory import hold
from distill.own_code import blamed
from distill.pieces import padded
from distill.progress import Progress, note, progress
from distill.ranks import Ranks, copyable, count_for, mean_statistics, together
from distill.runs import check_sane, facts

__all__ = ["Answers", "Plan", "accuracy", "fit", "predict", "process_count", "rate", "save"]


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
    plan = _one_alone(plan, student, answers)
    count = process_count(plan.train, plan.loss, train, device)
    plan = replace(plan, train=replace(plan.train, processes=count))
    check_sizes(student, plan.train)
    arguments = (student, train, validation, plan, out, answers, device)
    state, held_out = together(count, _run, arguments)
    last = state.curves[-1]["loss"]
    check_sane(state.began, last, held_out.argmax(1), validation.labels, len(train.classes))
    student.load_state_dict(state.average.state_dict())
    student.eval()
    save(student.state_dict(), out / "student.pt")
    return state.curves


def process_count(train: Train, loss: Loss, data: Dataset | Texts, device: str) -> int:
    """How many processes share a step here: see `config.Train.processes`.

    One on a GPU; where nothing is asked for, one for texts and for a loss that compares the
    examples of a whole batch. The latter with more is a `DistillError`.
    """
    check_processes(train, loss)
    if device != "cpu":
        return 1
    alone = LOSSES.load(loss.name).whole_batch or not isinstance(data, Dataset)
    return train.processes or (1 if alone else count_for(train))


def check_processes(train: Train, loss: Loss) -> None:
    """A loss that compares the examples of a whole batch is computed in one process."""
    if LOSSES.load(loss.name).whole_batch and train.processes > 1:
        raise DistillError(
            f"the loss {loss.name} compares the examples of a whole batch",
            "leave train.processes out: then it is one",
            ("train", "processes"),
        )


def _one_alone(plan: Plan, student: nn.Module, answers: Answers | None) -> Plan:
    """The plan, of one process where more are not asked for and something cannot be copied."""
    live = answers is not None and not hasattr(answers, "key")
    if plan.train.processes or not (live or not copyable(student, answers)):
        return plan
    return replace(plan, train=replace(plan.train, processes=1))


def _run(
    ranks: Ranks,
    student: nn.Module,
    train: Dataset | Texts,
    validation: Dataset | Texts,
    plan: Plan,
    out: Path,
    answers: Answers | None,
    device: str,
) -> tuple[State, np.ndarray]:
    """The epochs; what is averaged at the end, and its answers to validation.

    In a process that is not the first, the latter are those of its share alone.
    """
    hold()
    torch.manual_seed(plan.seed + 1_000_003 * ranks.rank)
    layout = getattr(student, "layout", torch.channels_last)
    student.to(device, memory_format=layout)  # type: ignore[call-overload]
    data = Batches(train, plan, device, ranks)
    kept = out / "checkpoint.pt"
    teacher = who(answers, data, kept.exists())
    state = _begin(student, plan, facts(student, train, validation, plan, teacher))
    load(state, kept, device, ranks)
    _say_where(state, data, ranks)
    held_out: np.ndarray | None = None  # the answers to validation, of the last epoch
    with progress(
        "train",
        plan.train.epochs * data.steps * plan.train.batch_size,
        state.step * plan.train.batch_size,
        shown=ranks.first,
    ) as bar:
        while state.step < plan.train.epochs * data.steps:
            _epoch(state, data, plan, answers, out, bar)
            held_out = _held_out(state, validation, device, ranks)
            _close_epoch(state, data, plan, _right(held_out, validation) if ranks.first else 0, out)
    if held_out is None:  # a finished run
        held_out = _held_out(state, validation, device, ranks)
    mean_statistics(state.average, ranks)
    return state, held_out


def _say_where(state: State, data: Batches, ranks: Ranks) -> None:
    """The epoch, counted from 1, that a run goes on in; nothing of one that begins."""
    if state.step and ranks.first:
        epochs = data.plan.train.epochs
        note(f"train: goes on in epoch {min(state.step // data.steps, epochs - 1) + 1} of {epochs}")


def check_sizes(student: nn.Module, train: Train) -> None:
    """The sizes that pictures are shown at end with the one that the student works on."""
    if not train.sizes:
        return
    own = getattr(getattr(student, "input", None), "size", None)
    if own != train.sizes[-1]:
        what = f"works on {own} pixels" if own else "resizes nothing"
        raise DistillError(
            f"train.sizes ends with {train.sizes[-1]}, and the student {what}",
            f"let it end with {own}" if own else "leave train.sizes out",
            ("train", "sizes"),
        )
    for size in train.sizes:
        with sized(student, size):
            _try_size(student, size)


def _try_size(student: nn.Module, size: int) -> None:
    with blamed(f"the student, on pictures of {size} pixels (train.sizes),", "it is for one size"):
        where = str(next(student.parameters()).device)
        predict(student, np.zeros((1, size, size, 3), np.uint8), where)


def _held_out(state: State, validation: Dataset | Texts, device: str, ranks: Ranks) -> np.ndarray:
    """What the averaged student answers, each process a share; joined in the first."""
    net = state.average
    if ranks.count > 1:
        net = copy.deepcopy(net)
        mean_statistics(net, ranks)
    inputs = _inputs(validation)
    share = inputs[ranks.rank :: ranks.count]
    own = predict(net, share, device) if len(share) else np.empty((0, 0), np.float32)
    parts = ranks.gather(own)
    found = np.empty((len(validation), own.shape[1]), np.float32)
    for rank, part in enumerate(parts):
        if len(part):
            found[rank :: ranks.count] = part
    return found if parts else own


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


def _begin(student: nn.Module, plan: Plan, made_by: dict[str, Any]) -> State:
    decayed = [p for p in student.parameters() if p.requires_grad and p.ndim > 1]
    free = [p for p in student.parameters() if p.requires_grad and p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": free, "weight_decay": 0.0}]
    optimizer = _optimizer(groups, plan.train)
    average = copy.deepcopy(student) if plan.train.ema else student
    return State(student, average, optimizer, made_by)


def _optimizer(groups: list[dict[str, Any]], train: Train) -> torch.optim.Optimizer:
    shared: dict[str, Any] = {"lr": train.learning_rate, "weight_decay": train.weight_decay}
    if train.optimizer == "adam":
        return torch.optim.Adam(groups, betas=(0.9, 0.99), fused=True, **shared)
    momentum = train.momentum
    return torch.optim.SGD(groups, momentum=momentum, nesterov=momentum > 0, **shared)


def _epoch(
    state: State,
    data: Batches,
    plan: Plan,
    answers: Answers | None,
    out: Path,
    bar: Progress,
) -> None:
    """Steps until the epoch's end, from wherever the state stands in it."""
    saved = time.monotonic()
    end = (state.step // data.steps + 1) * data.steps
    state.student.train()
    with sized(state.student, plan.train.size(state.step // data.steps)):
        while state.step < end:
            began = time.perf_counter()
            late = time.monotonic() - saved > CHECKPOINT_SECONDS
            value, right, late = _step(state, data, plan, answers, late)
            seconds = time.perf_counter() - began
            _add(state.sums, loss=value, accuracy=right, batches=1, seconds=seconds)
            state.step += 1
            bar.update(plan.train.batch_size, _now(state, data.steps))
            if late and state.step < end:
                store(state, out / "checkpoint.pt", data.ranks)
                saved = time.monotonic()


@contextmanager
def sized(student: nn.Module, size: int) -> Iterator[None]:
    """The student works on pictures of `size` pixels a side meanwhile, 0: as it is."""
    if not size:
        yield
        return
    reader: Any = student.input
    own, reader.size = reader.size, size
    try:
        yield
    finally:
        reader.size = own


def _step(
    state: State, data: Batches, plan: Plan, answers: Answers | None, late: bool
) -> tuple[float, float, bool]:
    """One update; the batch's loss, the fraction it got right, and whether it is time to store."""
    number, rows, inputs, target = data.batch(state.step)
    teacher = answers(number, rows, inputs).to(inputs.device) if answers else None
    if teacher is not None and not state.made_by["teacher"]:
        state.made_by["teacher"] = said_by(teacher)
    for group in state.optimizer.param_groups:
        group["lr"] = rate(state.step, plan.train.epochs * data.steps, plan.train)
    with torch.autocast("cuda", torch.bfloat16, enabled=inputs.is_cuda):
        logits = state.student(inputs)
    logits = logits.float()
    loss = total(plan.loss, logits, teacher, target, state.step / data.steps)
    if state.step == 0:  # as it is weighed after the warm-up
        state.began = total(plan.loss, logits.detach(), teacher, target, math.inf).item()
    state.optimizer.zero_grad(set_to_none=True)
    (loss / data.ranks.count).backward()
    right = (logits.argmax(1) == target.argmax(1)).float().mean().item()
    found = torch.tensor([loss.item(), right, late and data.ranks.first]) / data.ranks.count
    data.ranks.all_reduce(_gradients(state.student, data.ranks))
    data.ranks.all_reduce([found])
    state.optimizer.step()
    _average(state, plan.train.ema)
    value, right, late = found.tolist()
    if not math.isfinite(value):
        raise DivergedError(
            f"the loss is {value} at step {state.step}", "lower train.learning_rate"
        )
    return value, right, bool(late)


def _gradients(student: nn.Module, ranks: Ranks) -> list[Tensor]:
    """Those of this process's share; zeros where only another one's gave a weight any."""
    learning = [p for p in student.parameters() if p.requires_grad]
    if ranks.count > 1:
        has = torch.tensor([float(weight.grad is not None) for weight in learning])
        ranks.all_reduce([has])
        for weight, given in zip(learning, has.tolist(), strict=True):
            if given and weight.grad is None:
                weight.grad = torch.zeros_like(weight)
    return [weight.grad for weight in learning if weight.grad is not None]


@torch.no_grad()
def _average(state: State, decay: float) -> None:
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


def _close_epoch(state: State, data: Batches, plan: Plan, held_out: float, out: Path) -> None:
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
    store(state, out / "checkpoint.pt", data.ranks)


def _now(state: State, steps: int) -> str:
    sums = state.sums
    last = f" val {state.curves[-1]['validation_accuracy']:.2%}" if state.curves else ""
    return (
        f"epoch {(state.step - 1) // steps + 1} loss {sums['loss'] / sums['batches']:.3f} "
        f"acc {sums['accuracy'] / sums['batches']:.2%}{last}"
    )


def _add(sums: dict[str, float], **more: float) -> None:
    for name, value in more.items():
        sums[name] = sums.get(name, 0.0) + value
