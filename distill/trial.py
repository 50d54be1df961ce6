"""A teacher is tried on labelled examples before it labels anything.

What it says is looked at whole: right or not of each class, sure or not, logits or probabilities,
classes in another order, pictures prepared in another way. What is at chance is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from distill.errors import DistillError
from distill.teachers.teacher import Gives, Teacher, naming

EXAMPLES = 400  # that a teacher is tried on, at most
ENOUGH, MANY = 50, 100  # of fewer examples nothing is concluded; so many are good evidence
CERTAIN = 3.0  # standard errors
STEADY = 16  # examples that are asked about twice
FEW = 128  # that other ways to prepare pictures are tried on, at most
FAR = 0.1  # of accuracy, by which another way to prepare pictures is no chance but a fault
ALIKE = 0.1  # fraction by which sums of rounded or multiplied probabilities differ, at most
SUM = 5e-3  # by which a sum of probabilities may differ from 1: many of them, in fp16

Ask = Callable[[Any], np.ndarray]
"""n examples -> logits (n, classes)"""


@dataclass(frozen=True)
class OfClass:
    """A class of the data in a trial."""

    name: str
    n: int  # examples of it
    right: int  # of them


@dataclass(frozen=True)
class Trial:
    """What a teacher said of labelled examples."""

    n: int  # examples
    accuracy: float  # fraction of them
    confidence: float  # mean of its largest probability
    classes: tuple[OfClass, ...]  # in the order of the data
    gives: Gives  # what its numbers are
    warnings: tuple[str, ...] = ()  # what is doubtful, a sentence each
    refused: tuple[str, str] | None = None  # why it must not be learned from, and what to do

    def check(self) -> None:
        """`DistillError` where it is refused."""
        if self.refused is not None:
            raise DistillError(*self.refused)


def try_teacher(
    teacher: Teacher,
    examples: Any,
    labels: np.ndarray,
    classes: Sequence[str],
    names: Sequence[str] = (),
) -> Trial:
    """Ask about labelled examples, labels int (n,); of many, about some drawn at random.

    names are those of the examples, for messages. `DistillError` where an answer cannot be used, or
    where two answers to the same examples differ; whatever else is wrong, the trial says.
    """
    count = min(EXAMPLES, len(labels))
    rows = np.sort(np.random.default_rng(0).choice(len(labels), count, replace=False))
    chosen = examples[rows] if isinstance(examples, np.ndarray) else [examples[r] for r in rows]
    with naming(chosen, [names[r] for r in rows] if names else ()):
        whole = teacher.whole(chosen)
    teacher = teacher.giving(gives(whole))
    logits, labels = teacher.logits(whole), labels[rows]
    if unsteady(teacher, chosen[:STEADY], logits[:STEADY]):
        raise DistillError(UNSTEADY, UNSTEADY_HINT)
    answers = logits.argmax(1)
    better = _better_way(teacher, chosen, answers, labels)
    refused = _refused(answers, labels, classes, better)
    doubts = [] if refused or better is None else [f"{better}: {_WAY_HINT}"]
    return Trial(
        n=count,
        accuracy=float((answers == labels).mean()) if count else 0.0,
        confidence=_confidence(logits),
        classes=_by_class(answers, labels, classes),
        gives=teacher.gives,
        warnings=(*doubts, *_odd(whole, teacher.gives)),
        refused=refused,
    )


def gives(answers: np.ndarray) -> Gives:
    """Probabilities where each row of (n, width) has nothing negative and sums to 1."""
    sums = answers.sum(axis=1, dtype=np.float64)
    shares = len(answers) > 0 and answers.shape[1] > 1 and answers.min() >= 0
    return "probabilities" if shares and np.abs(sums - 1).max() <= SUM else "logits"


def _odd(answers: np.ndarray, what: Gives) -> list[str]:
    if what == "probabilities" or not len(answers) or answers.min() < 0:
        return []
    sums = answers.sum(axis=1, dtype=np.float64)
    if answers.max() <= 1 and abs(sums.mean() - 1) > ALIKE:
        return [
            "all of its answers lie in 0 to 1 and do not sum to 1, as behind a sigmoid: a student "
            "learns more from what stands before that (teacher.output, where the file gives it)"
        ]
    spread = np.count_nonzero(answers, axis=1).mean() > 1  # more than a label a row
    if answers.shape[1] > 1 and spread and np.ptp(sums) <= ALIKE * sums.mean():
        return [
            f"none of its answers is negative and each row sums to about {sums.mean():.3g}: "
            "probabilities that were rounded or multiplied? They are learned as logits; give "
            "those, or probabilities as they are"
        ]
    return []


def _confidence(logits: np.ndarray) -> float:
    """Mean of the largest softmax probability of rows (n, classes)."""
    if not len(logits):
        return 0.0
    shares = np.exp(logits - logits.max(axis=1, keepdims=True).astype(np.float64))
    return float((1 / shares.sum(axis=1)).mean())


def _by_class(
    answers: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> tuple[OfClass, ...]:
    n = np.bincount(labels, minlength=len(classes)).tolist()
    right = np.bincount(labels[answers == labels], minlength=len(classes)).tolist()
    return tuple(OfClass(*facts) for facts in zip(classes, n, right, strict=True))


def _refused(
    answers: np.ndarray, labels: np.ndarray, classes: Sequence[str], better: _Way | None
) -> tuple[str, str] | None:
    """Why nobody should learn from it, and what to do; None: nothing is known against it."""
    order = permutation(answers, labels, len(classes))
    if order is not None:
        right = (order[answers] == labels).mean()
        if better is None or better.accuracy < right:
            return _other_order(order, answers, labels, classes)
    if better is not None and (better.far or order is not None or at_chance(answers, labels)):
        return str(better), _WAY_HINT
    if at_chance(answers, labels):
        return (
            f"the teacher is right in {_share(answers, labels)} of {len(labels)} labelled "
            "examples: no better than guessing",
            "its answers mean other classes than the data's, or it reads what is prepared "
            "otherwise; try it by hand on some of them",
        )
    return None


class _Way(NamedTuple):
    """Another way to prepare pictures, and how right a teacher is by it."""

    name: str  # as a recipe says it
    accuracy: float
    before: float  # accuracy as it is prepared now
    n: int

    @property
    def far(self) -> bool:
        """Whether nobody can mean the way it is."""
        return self.accuracy - self.before > FAR

    def __str__(self) -> str:
        return (
            f"the teacher's pictures are prepared in another way than it knows: of {self.n} "
            f"labelled ones it is right in {self.before:.1%}, and in {self.accuracy:.1%} with "
            f"teacher.input: {self.name}"
        )


_WAY_HINT = "its publisher says how: range, mean, std and order of colours"


def _better_way(
    teacher: Teacher, examples: Any, answers: np.ndarray, labels: np.ndarray
) -> _Way | None:
    """The best of the usual other ways, where it is surely better than the way it is."""
    some = np.linspace(0, len(labels) - 1, min(FEW, len(labels))).astype(int)
    if not teacher.others or not len(some):
        return None
    own, best = answers[some] == labels[some], None
    for name, answer in teacher.others.items():
        try:
            found = replace(teacher, answer=answer)(examples[some])
        except DistillError:  # it overflows, for one
            continue
        right = found.argmax(1) == labels[some]
        way = _Way(name, float(right.mean()), float(own.mean()), len(some))
        sure = _surely((right & ~own).sum(), (own & ~right).sum())
        if sure and (best is None or way.accuracy > best.accuracy):
            best = way
    return best


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
    return _surely(counts[right & ~plain].sum(), counts[plain & ~right].sum())


def _surely(better: int, worse: int) -> bool:
    """Whether examples that got right are more than those that got wrong, and not by chance."""
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
) -> tuple[str, str]:
    moved = [i for i in range(len(classes)) if order[i] != i]
    shown = ", ".join(f"its {i} is {classes[order[i]]!r} (class {order[i]})" for i in moved[:12])
    return (
        f"the teacher's classes stand in another order: of labelled examples it is right in "
        f"{_share(answers, labels)}, and in {_share(order[answers], labels)} if {shown}",
        "data.order: natural puts numbers in names as people count; teacher.classes says its own "
        "names in its order; else reorder its logits: "
        f"logits[:, {np.argsort(order).tolist()}]",
    )


def _share(answers: np.ndarray, labels: np.ndarray) -> str:
    return f"{(answers == labels).mean():.1%}"
