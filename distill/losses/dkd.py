"""Decoupled knowledge distillation: the true class, and the others among themselves.

Zhao et al. 2022.
"""

from __future__ import annotations

from distill.losses.kd import kl
from distill.losses.kind import Kind, Tensor


def dkd(
    student: Tensor, teacher: Tensor, target: Tensor, temperature: float, alpha: float, beta: float
) -> Tensor:
    """`T^2 (alpha TCKD + beta NCKD)` (Zhao et al. 2022, equation 7); the largest target is true."""
    import torch.nn.functional as F

    T = temperature
    true = F.one_hot(target.argmax(1), student.shape[1]).bool()
    return T**2 * (
        alpha * kl(_two_class(teacher / T, true), _two_class(student / T, true))
        + beta * kl(_others(teacher / T, true), _others(student / T, true))
    )


def _two_class(logits: Tensor, true: Tensor) -> Tensor:
    """Log-probabilities (n, 2): the true class, all the others together."""
    import torch

    log = logits.log_softmax(1)
    rest = log.masked_fill(true, -torch.inf).logsumexp(1)
    return torch.stack([log[true], rest], 1)


def _others(logits: Tensor, true: Tensor) -> Tensor:
    """Log-probabilities (n, classes - 1) among the classes that are not true."""
    n, classes = logits.shape
    return logits[~true].view(n, classes - 1).log_softmax(1)


KIND = Kind(
    lambda loss, s, t, target: dkd(s, t, target, loss.temperature, loss.alpha, loss.beta),
    {"temperature": 4.0, "ce": 1.0, "kd": 1.0, "alpha": 1.0, "beta": 8.0, "warmup_epochs": 20},
    labels=True,
)
