"""Distillation losses, one a file: pure functions of logits, each with its paper and equation.

Throughout: student and teacher are logits (n, classes), target is a distribution (n, classes) over
the true classes (one-hot, or mixed by mixup), and the result is a mean over n, in nats.
"""

from __future__ import annotations

from distill.losses.ce import cross_entropy
from distill.losses.dist import dist
from distill.losses.dkd import dkd
from distill.losses.kd import kd, kl, standardize
from distill.losses.kind import Kind, Loss, Tensor
from distill.table import Table

__all__ = ["LOSSES", "Kind", "cross_entropy", "dist", "dkd", "kd", "kl", "standardize", "total"]

LOSSES = Table("loss")  # name -> its Kind
LOSSES["ce"] = "distill.losses.ce:KIND"
LOSSES["kd"] = "distill.losses.kd:KIND"
LOSSES["dkd"] = "distill.losses.dkd:KIND"
LOSSES["dist"] = "distill.losses.dist:KIND"


def total(
    loss: Loss, student: Tensor, teacher: Tensor | None, target: Tensor, epoch: float = 0.0
) -> Tensor:
    """What training minimises: cross-entropy and distillation as the recipe weighs them.

    epoch (counted from 0, with its fraction) drives the warm-up. teacher is None for `ce` alone;
    a row of it that is -inf throughout was not asked about: it is learnt from its label alone.
    """
    hard = cross_entropy(student, target, loss.label_smoothing)
    term = LOSSES.load(loss.name).term
    if term is None or teacher is None:
        return hard
    asked = ~teacher.isneginf().all(1)
    if not asked.all():
        return _partly(loss, student, teacher, target, epoch, asked)
    ramp = min(epoch / loss.warmup_epochs, 1.0) if loss.warmup_epochs else 1.0
    pair = (standardize(student), standardize(teacher)) if loss.standardize else (student, teacher)
    return loss.ce * hard + loss.kd * (ramp * term(loss, *pair, target))


def _partly(
    loss: Loss, student: Tensor, teacher: Tensor, target: Tensor, epoch: float, asked: Tensor
) -> Tensor:
    """`total` of the rows (n,) that were asked about and cross-entropy of the others, by share."""
    share = asked.to(student.dtype).mean()
    rest = cross_entropy(student[~asked], target[~asked], loss.label_smoothing) * (1 - share)
    if not asked.any():
        return rest
    return rest + total(loss, student[asked], teacher[asked], target[asked], epoch) * share
