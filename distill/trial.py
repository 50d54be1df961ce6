"""A teacher is tried on labelled examples before it labels anything; what is at chance is refused.

Pure functions of answers and labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distill.errors import DistillError

EXAMPLES = 400  # that a teacher is tried on, at most
ENOUGH, MANY = 50, 100  # of fewer examples nothing is concluded; so many are good evidence
CERTAIN = 3.0  # standard errors
STEADY = 16  # examples that are asked about twice

Ask = Callable[[Any], np.ndarray]
"""n examples -> logits (n, classes)"""


def try_teacher(ask: Ask, examples: Any, labels: np.ndarray, classes: Sequence[str]) -> float:
    """Accuracy of a teacher on labelled examples, labels int (n,); of many, some drawn at random.

    Raises `DistillError` where two answers to the same examples differ, where its classes stand in
    another order (the permutation is shown), and where it is at chance.
    """
    count = min(EXAMPLES, len(labels))
    rows = np.sort(np.random.default_rng(0).choice(len(labels), count, replace=False))
    chosen = examples[rows] if isinstance(examples, np.ndarray) else [examples[r] for r in rows]
    logits, labels = ask(chosen), labels[rows]
    if unsteady(ask, chosen[:STEADY], logits[:STEADY]):
        raise DistillError(UNSTEADY, UNSTEADY_HINT)
    answers = logits.argmax(1)
    order = permutation(answers, labels, len(classes))
    if order is not None:
        raise _other_order(order, answers, labels, classes)
    if at_chance(answers, labels):
        raise DistillError(
            f"the teacher is right in {_share(answers, labels)} of {len(labels)} labelled "
            "examples: no better than guessing",
            "its answers mean other classes than the data's, or it reads what is prepared "
            "otherwise; try it by hand on some of them",
        )
    return float((answers == labels).mean())


UNSTEADY = (
    "two answers to the same examples differ: is the teacher in training mode (dropout, batch "
    "statistics)?"
)
UNSTEADY_HINT = "model.eval() ends it; an answer must depend on nothing but its own example"


def unsteady(ask: Ask, examples: Any, answered: np.ndarray) -> bool:
    """Whether answers (n, classes) to n examples are others when asked again, or fewer at once.

    Chance shows in the first (dropout), neighbours in the second (batch statistics).
    """
    half = (len(examples) + 1) // 2
    again = [(ask(examples), answered), (ask(examples[:half]), answered[:half])]
    return any(np.abs(one - other).max() > tolerance(answered) for one, other in again)


def tolerance(logits: np.ndarray) -> float:
    """How much two records of one answer may differ: the rounding of fp16, and some more."""
    return 2e-3 * float(np.abs(logits).max()) + 1e-3


def at_chance(answers: np.ndarray, labels: np.ndarray) -> bool:
    """Whether answers int (n,) to labels (n,) may be had by guessing, or by saying one class.

    By the share that is right of each class, averaged over the C classes there are: at most 1 / C
    and a standard error (two of MANY examples), whatever the classes' sizes. False for fewer than
    ENOUGH.
    """
    if len(labels) < ENOUGH:
        return False
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    right = np.bincount(place, answers == labels) / counts
    chance = 1 / len(counts)
    error = np.sqrt((chance * (1 - chance) / counts).sum()) / len(counts)
    errors = 2 if len(labels) >= MANY else 1
    return len(counts) > 1 and bool(right.mean() <= chance + errors * error)


def permutation(answers: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray | None:
    """The class (classes,) that each answer stands for, where that is surely not itself.

    Believed if each example is right by the order that all the others show more often than by the
    order as it is, by CERTAIN standard errors of the difference (McNemar 1947).
    """
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (answers, labels), 1)
    order = _best_order(counts)
    if not _surely_better(counts, order[:, None] == np.arange(classes)):
        return None  # not even with each example's own help
    right = np.zeros(counts.shape, bool)
    for answer, label in np.argwhere(counts):
        counts[answer, label] -= 1
        right[answer, label] = _best_order(counts)[answer] == label
        counts[answer, label] += 1
    return order if _surely_better(counts, right) else None


def _surely_better(counts: np.ndarray, right: np.ndarray) -> bool:
    """Whether answers are right by `right` (answer, label) surely more often than as they are."""
    plain = np.eye(len(counts), dtype=bool)
    better, worse = counts[right & ~plain].sum(), counts[plain & ~right].sum()
    return bool(better - worse > CERTAIN * np.sqrt(better + worse))


def _best_order(counts: np.ndarray) -> np.ndarray:
    """The class (classes,) for each answer, each once, the likeliest pairs first; else itself.

    counts int (classes, classes): examples by answer and label.
    """
    classes = len(counts)
    order, free = np.full(classes, -1), np.ones(classes, bool)
    for answer, label in np.argwhere(counts)[np.argsort(-counts[counts > 0], kind="stable")]:
        if order[answer] < 0 and free[label]:
            order[answer], free[label] = label, False
    for answer in np.flatnonzero(order < 0):
        label = answer if free[answer] else np.flatnonzero(free)[0]
        order[answer], free[label] = label, False
    return order


def _other_order(
    order: np.ndarray, answers: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> DistillError:
    moved = [i for i in range(len(classes)) if order[i] != i]
    shown = ", ".join(f"its {i} is {classes[order[i]]!r} (class {order[i]})" for i in moved[:12])
    return DistillError(
        f"the teacher's classes stand in another order: of labelled examples it is right in "
        f"{_share(answers, labels)}, and in {_share(order[answers], labels)} if {shown}",
        "data.order: natural puts numbers in names as people count; else reorder its logits: "
        f"logits[:, {np.argsort(order).tolist()}]",
    )


def _share(answers: np.ndarray, labels: np.ndarray) -> str:
    return f"{(answers == labels).mean():.1%}"
