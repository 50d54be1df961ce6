"""Distillation losses: pure functions of logits, each with its paper and equation.

Throughout: student and teacher are logits (n, classes), target is a distribution (n, classes) over
the true classes (one-hot, or mixed by mixup), and the result is a mean over n, in nats.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.config import Loss


def cross_entropy(student: Tensor, target: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """`-sum_c target_c log softmax(student)_c`, target mixed with uniform by label_smoothing."""
    return F.cross_entropy(student, target, label_smoothing=label_smoothing)


def kl(teacher_log: Tensor, student_log: Tensor) -> Tensor:
    """KL(teacher || student) of log-probabilities (n, classes), averaged over n."""
    return F.kl_div(student_log, teacher_log, reduction="batchmean", log_target=True)


def kd(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """`T^2 KL(softmax(t/T) || softmax(s/T))` (Hinton et al. 2015, section 2). T > 0."""
    T = temperature
    return kl(F.log_softmax(teacher / T, 1), F.log_softmax(student / T, 1)) * T**2


def standardize(logits: Tensor) -> Tensor:
    """`(z - mean z) / (1e-7 + std z)` over the classes, unbiased (Sun et al. 2024, equation 10)."""
    return (logits - logits.mean(1, keepdim=True)) / (1e-7 + logits.std(1, keepdim=True))


def dkd(
    student: Tensor,
    teacher: Tensor,
    target: Tensor,
    temperature: float,
    alpha: float,
    beta: float,
) -> Tensor:
    """`T^2 (alpha TCKD + beta NCKD)` (Zhao et al. 2022, equation 7); the largest target is true."""
    T = temperature
    true = F.one_hot(target.argmax(1), student.shape[1]).bool()
    return T**2 * (
        alpha * kl(_two_class(teacher / T, true), _two_class(student / T, true))
        + beta * kl(_others(teacher / T, true), _others(student / T, true))
    )


def _two_class(logits: Tensor, true: Tensor) -> Tensor:
    """Log-probabilities (n, 2): the true class, all the others together."""
    log = F.log_softmax(logits, 1)
    rest = log.masked_fill(true, -torch.inf).logsumexp(1)
    return torch.stack([log[true], rest], 1)


def _others(logits: Tensor, true: Tensor) -> Tensor:
    """Log-probabilities (n, classes - 1) among the classes that are not true."""
    n, classes = logits.shape
    return F.log_softmax(logits[~true].view(n, classes - 1), 1)


def dist(student: Tensor, teacher: Tensor, temperature: float, beta: float, gamma: float) -> Tensor:
    """`tau^2 (beta inter + gamma intra)`: one minus Pearson's correlation of the probabilities,
    by rows (a picture's classes) and by columns (a class's pictures) (Huang et al. 2022, eq. 8-9).
    """
    s, t = (student / temperature).softmax(1), (teacher / temperature).softmax(1)
    inter = 1 - _pearson(s, t).mean()
    intra = 1 - _pearson(s.T, t.T).mean()
    return temperature**2 * (beta * inter + gamma * intra)


def _pearson(a: Tensor, b: Tensor) -> Tensor:
    """Correlation of each row of a with the same row of b: (n,) in [-1, 1]."""
    return F.cosine_similarity(a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True), eps=1e-8)


def total(
    loss: Loss, student: Tensor, teacher: Tensor | None, target: Tensor, epoch: float = 0.0
) -> Tensor:
    """What training minimises: cross-entropy and distillation as the recipe weighs them.

    epoch (counted from 0, with its fraction) drives dkd's warm-up. teacher is None for `ce` alone;
    a row of it that is -inf throughout was not asked about: it is learnt from its label alone.
    """
    hard = cross_entropy(student, target, loss.label_smoothing)
    if loss.name == "ce" or teacher is None:
        return hard
    asked = ~teacher.isneginf().all(1)
    if not asked.all():
        return _partly(loss, student, teacher, target, epoch, asked)
    if loss.name == "dkd":
        ramp = min(epoch / loss.warmup_epochs, 1.0) if loss.warmup_epochs else 1.0
        soft = ramp * dkd(student, teacher, target, loss.temperature, loss.alpha, loss.beta)
    elif loss.name == "dist":
        soft = dist(student, teacher, loss.temperature, loss.beta, loss.gamma)
    else:
        pair = (
            (standardize(student), standardize(teacher)) if loss.standardize else (student, teacher)
        )
        soft = kd(*pair, loss.temperature)
    return loss.ce * hard + loss.kd * soft


def _partly(
    loss: Loss, student: Tensor, teacher: Tensor, target: Tensor, epoch: float, asked: Tensor
) -> Tensor:
    """`total` of the rows (n,) that were asked about and cross-entropy of the others, by share."""
    share = asked.to(student.dtype).mean()
    rest = cross_entropy(student[~asked], target[~asked], loss.label_smoothing) * (1 - share)
    if not asked.any():
        return rest
    return rest + total(loss, student[asked], teacher[asked], target[asked], epoch) * share
