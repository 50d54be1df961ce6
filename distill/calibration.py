"""Temperature scaling: confidence that means what it says (Guo et al., ICML 2017, section 4.2)."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

COLDEST, HOTTEST = 0.1, 10.0
_STEPS = 60  # of the search: each keeps 0.618 of the interval


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The T in [0.1, 10] whose softmax(logits / T) has the smallest negative log likelihood.

    logits (n, classes), labels int (n,), n >= 1. The loss has one minimum in 1/T: golden section.
    """
    low, high = np.log(COLDEST), np.log(HOTTEST)
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(_STEPS):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if _loss(logits, labels, left) < _loss(logits, labels, right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def _loss(logits: np.ndarray, labels: np.ndarray, log_temperature: float) -> float:
    scaled = logits.astype(np.float64) * np.exp(-log_temperature)
    scaled -= scaled.max(1, keepdims=True)
    own = scaled[np.arange(len(labels)), labels]
    return float((np.log(np.exp(scaled).sum(1)) - own).mean())


@torch.no_grad()
def divide(layer: nn.Linear, by: float) -> None:
    """Divide what a last layer gives by a temperature, in place."""
    for parameter in layer.parameters():
        parameter.div_(by)
