"""The batches of a run, decided by its plan: a process's share of each, and what a teacher says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from distill.config import Augment, Loss, Pieces, Train
from distill.data import Dataset
from distill.data.texts import Texts
from distill.errors import DistillError
from distill.ranks import Ranks
from distill.views import views_of

Answers = Callable[[int, Tensor, Tensor], Tensor]
"""view number, rows (b,), what the student reads of them -> the teacher's logits (b, classes).

With an attribute `key`, it is known by that when a run goes on, and can be copied to another
process; else by its answers to a batch.
"""


@dataclass(frozen=True)
class Plan:
    """What `fit` follows, beside the student and the data."""

    loss: Loss
    augment: Augment | Pieces  # how a view is drawn, of pictures or of texts
    train: Train
    seed: int
    views: int = 0  # views that answers knows, epochs cycle them; 0: a new one each epoch


class Batches:
    """Views in batches; which ones is decided by epoch and seed alone."""

    def __init__(self, data: Dataset | Texts, plan: Plan, device: str, ranks: Ranks) -> None:
        self.views = views_of(data, plan.augment, device)
        self.plan, self.device, self.ranks = plan, device, ranks
        self.steps = self.views.steps(plan.train.batch_size)
        if self.steps == 0:
            raise _too_few(len(data), plan.train)
        self._epoch = -1

    def batch(self, step: int) -> tuple[int, Tensor, Tensor, Tensor]:
        """View number, this process's rows (b,), what the student reads, targets (b, classes)."""
        epoch, place = divmod(step, self.steps)
        if epoch != self._epoch:
            self._open(epoch)
        rows = self.ranks.share(self._rows[place])
        inputs, targets = self._view.inputs(rows), self._view.targets(rows)
        return self._number, rows, inputs.to(self.device), targets.to(self.device)

    def _open(self, epoch: int) -> None:
        self._epoch = epoch
        self._number = epoch % self.plan.views if self.plan.views else epoch
        self._view = self.views.view(self._number)
        order = np.random.Generator(np.random.Philox(key=[self.plan.seed, epoch]))
        self._rows = self._view.batches(order, self.plan.train.batch_size)


def check_count(count: int, train: Train) -> None:
    """So many pictures fill a batch."""
    if count < train.batch_size:
        raise _too_few(count, train)


def _too_few(count: int, train: Train) -> DistillError:
    what = f"{count} examples are fewer than a batch of {train.batch_size}"
    return DistillError(what, "make train.batch_size smaller", ("train", "batch_size"))


def who(answers: Answers | None, data: Batches, began: bool) -> str:
    """What tells one teacher from another: its `key`, or what it says of the first batch.

    The latter is empty until the first step, whose answers it is.
    """
    if answers is None:
        return "none"
    key = str(getattr(answers, "key", ""))
    return said_by(answers(*data.batch(0)[:3])) if began and not key else key


def said_by(logits: Tensor) -> str:
    """sha256 of first answers, and of the logits' size to 2 digits: a GPU's last ones vary."""
    size = logits[logits.isfinite()].float().abs().mean().item()
    return hashlib.sha256(f"{logits.argmax(1).tolist()} {size:.1e}".encode()).hexdigest()
