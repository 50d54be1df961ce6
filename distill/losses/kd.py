"""Knowledge distillation: softened answers (Hinton et al. 2015), of standardised logits if asked.

Standardised (Sun et al. 2024), the published weights are ce 1 and kd 9, at T = 2.
"""

from __future__ import annotations

from distill.losses.kind import Kind, Tensor


def kl(teacher_log: Tensor, student_log: Tensor) -> Tensor:
    """KL(teacher || student) of log-probabilities (n, classes), averaged over n."""
    import torch.nn.functional as F

    return F.kl_div(student_log, teacher_log, reduction="batchmean", log_target=True)


def kd(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """`T^2 KL(softmax(t/T) || softmax(s/T))` (Hinton et al. 2015, section 2). T > 0."""
    T = temperature
    return kl((teacher / T).log_softmax(1), (student / T).log_softmax(1)) * T**2


def standardize(logits: Tensor) -> Tensor:
    """`(z - mean z) / (1e-7 + std z)` over the classes, unbiased (Sun et al. 2024, equation 10)."""
    return (logits - logits.mean(1, keepdim=True)) / (1e-7 + logits.std(1, keepdim=True))


KIND = Kind(
    lambda loss, s, t, target: kd(s, t, loss.temperature),
    {"temperature": 4.0, "ce": 0.1, "kd": 0.9, "standardize": False},
)
