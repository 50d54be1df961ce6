"""Students that choose among labels: probabilities, ranked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import MappingProxyType

import numpy as np

from zoo.errors import InputError
from zoo.students.student import Student, metadata_value

Prediction = list[tuple[str, float]]  # (label, probability), the likeliest first


class Classifier(Student):
    """A student whose output is logits float32 (n, classes), with the labels in its file."""

    keys = MappingProxyType(
        {"studentzoo.labels": 'json.dumps(open("labels.txt", "rb").read().decode().splitlines())'}
    )

    def _read(self, about: dict[str, str]) -> None:
        self.labels = _labels(about, self)


def _labels(about: dict[str, str], student: Student) -> tuple[str, ...]:
    path = student.path
    labels = metadata_value(about, "studentzoo.labels", path)
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise InputError(f"{path}: studentzoo.labels in its metadata is not a list of texts")
    outputs = student.session.get_outputs()
    classes = next(o.shape[1] for o in outputs if o.name == student.output[0])
    if isinstance(classes, int) and classes != len(labels):
        raise InputError(f"{path}: {classes} classes, but {len(labels)} labels in its metadata")
    return tuple(labels)


def check_top(top: int) -> None:
    """Refuse what is no number of answers, 1 or more."""
    if not hasattr(top, "__index__"):
        raise InputError(f"top must be a whole number, not {top!r}", "leave it out for five")
    if top < 1:
        raise InputError(f"top must be at least 1, not {top}")


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis of logits (n, classes)."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers


def ranked(logits: np.ndarray, labels: Sequence[str], top: int) -> list[Prediction]:
    """The `top` likeliest of each row of logits (n, classes); of equal ones the first."""
    order = _best(logits, min(top, logits.shape[1]))
    best = np.take_along_axis(logits, order, axis=1)
    largest = best[:, :1]
    total = np.add.reduce(np.exp(logits - largest), axis=1, keepdims=True)
    shares = np.exp(best - largest) / total
    return [
        [(labels[i], probability) for i, probability in zip(places, row, strict=True)]
        for places, row in zip(order.tolist(), shares.tolist(), strict=True)
    ]


def _best(logits: np.ndarray, top: int) -> np.ndarray:
    """Places int64 (n, top) of the largest in each row (n, classes), falling; first of equals."""
    if top == 1:
        return logits.argmax(axis=1)[:, np.newaxis]
    if top > 8:
        return np.argsort(-logits, axis=1, kind="stable")[:, :top]
    left, rows = logits.copy(), np.arange(len(logits))
    order = np.empty((len(logits), top), np.int64)
    for place in range(top):  # a few passes are quicker than sorting all
        order[:, place] = left.argmax(axis=1)
        left[rows, order[:, place]] = -np.inf
    return order


def ranked_one(logits: np.ndarray, labels: Sequence[str], top: int) -> Prediction:
    """`ranked` of one row (classes,), in few calls of numpy: some graphs take 15 us.

    After a graph has run, a reduction takes three times what a product of vectors does.
    """
    order = [int(logits.argmax())] if top == 1 else _falling(logits)[:top]
    powers = np.exp(logits - logits[order[0]])
    total = float(powers.dot(_ones(len(powers))))
    return [(labels[i], powers.item(i) / total) for i in order]


@cache
def _ones(count: int) -> np.ndarray:
    return np.ones(count, np.float32)


def _falling(logits: np.ndarray) -> list[int]:
    """Places of a row (classes,), the largest first; of equal ones the first."""
    return (-logits).argsort(kind="stable").tolist()
