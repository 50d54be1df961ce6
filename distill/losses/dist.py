"""DIST: correlation with the teacher, within a picture and within a class (Huang et al. 2022)."""

from __future__ import annotations

from distill.losses.kind import Kind, Tensor


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
    import torch.nn.functional as F

    return F.cosine_similarity(a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True), eps=1e-8)


KIND = Kind(
    lambda loss, s, t, target: dist(s, t, loss.temperature, loss.beta, loss.gamma),
    {"temperature": 1.0, "ce": 1.0, "kd": 2.0, "beta": 1.0, "gamma": 1.0},
    whole_batch=True,
)
