"""How much the answers of two files are the same, with an interval; with labels accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from compress import calibrate
from compress.errors import CompressError
from compress.examples import Examples, Feed

Kind = Literal["top-1", "cosine", "closeness"]
Z = 1.959964  # of a two-sided 95 % interval
MASK = "attention_mask"  # the input of an encoder that says which places of a text are read


@dataclass(frozen=True)
class Agreement:
    """Of n examples: the share with the float file's first answer, or their mean cosine to it.

    Where each answer is one number, of which a cosine sees but the sign: 1 less the mean distance,
    as a share of the range of the float file's answers.
    """

    kind: Kind
    n: int
    value: float
    low: float  # 95 % interval
    high: float


@dataclass(frozen=True)
class Accuracy:
    """Of n labelled examples, fractions; the drop is paired, in percentage points."""

    n: int
    before: float
    after: float
    drop_points: float  # negative: it gained
    drop_low: float  # 95 % interval
    drop_high: float


def kind_of(answers: Sequence[np.ndarray], ports: int) -> Kind:
    """How a file's answers are compared: of classes the first one, of all else the direction."""
    first = answers[0]
    if all(answer[0].size == 1 for answer in answers):
        return "closeness"
    return "top-1" if first.ndim == 2 and first.shape[1] > 1 and ports == 1 else "cosine"


def run(session: object, examples: Examples) -> list[list[np.ndarray]]:
    """Every float output for every example: [example][output], float32 without the batch."""
    names = float_outputs(session)
    halves = {i.name for i in session.get_inputs() if i.type == "tensor(float16)"}  # type: ignore[attr-defined]
    rows: list[list[np.ndarray]] = []
    for feed, count in examples.counted():
        given = {k: v.astype(np.float16) if k in halves else v for k, v in feed.items()}
        found = calibrate.run(session, given, names)  # type: ignore[arg-type]
        size = len(next(iter(feed.values())))
        if any(len(array) != size for array in found):
            raise CompressError(
                "an output has no axis for the batch", "export it with the batch as first axis"
            )
        found = [counted(np.asarray(array, np.float32), feed) for array in found]
        rows += [[array[k] for array in found] for k in range(count)]
    return rows


def counted(answer: np.ndarray, feed: Feed) -> np.ndarray:
    """The answer with 0 at the places of texts that are padding, which nobody reads.

    Cases: (n, length, ..) beside an `attention_mask` of (n, length); any other answer stays.
    """
    mask = feed.get(MASK)
    if mask is None or mask.ndim != 2 or answer.ndim < 3 or answer.shape[:2] != mask.shape:
        return answer
    read = mask.astype(bool).reshape(*mask.shape, *[1] * (answer.ndim - 2))
    return np.where(read, answer, answer.dtype.type(0))


def float_outputs(session: object) -> list[str]:
    """Names of the outputs that can be compared."""
    outputs = session.get_outputs()  # type: ignore[attr-defined]
    names = [o.name for o in outputs if o.type in ("tensor(float)", "tensor(float16)")]
    if not names:
        raise CompressError("the file has no float output", "there is nothing to compare it by")
    return names


def agreement(
    found: Sequence[Sequence[np.ndarray]], wanted: Sequence[Sequence[np.ndarray]], kind: Kind
) -> Agreement:
    """Over examples; of several outputs the one that agrees least counts (cosine), or the first."""
    if kind == "top-1":
        same = [f[0].argmax() == w[0].argmax() for f, w in zip(found, wanted, strict=True)]
        low, high = wilson(sum(map(int, same)), len(same))
        return Agreement(kind, len(same), float(np.mean(same)), low, high)
    alike = cosine if kind == "cosine" else closeness(wanted)
    values = np.array(
        [min(map(alike, f, w)) for f, w in zip(found, wanted, strict=True)], np.float64
    )
    half = Z * values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else 1.0
    mean = float(values.mean())
    return Agreement(kind, len(values), mean, mean - half, min(1.0, mean + half))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Of the angle between two arrays of one shape; 1 where both are zero; nan: not finite."""
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    length = float(np.linalg.norm(x) * np.linalg.norm(y))
    if length == 0:
        return float(not x.any() and not y.any())
    return float(x @ y / length)


def closeness(
    wanted: Sequence[Sequence[np.ndarray]],
) -> Callable[[np.ndarray, np.ndarray], float]:
    """1 less the distance of two numbers, as a share of the widest range of an output."""
    table = np.array([[float(output.item()) for output in row] for row in wanted])
    width = float(np.ptp(table, axis=0).max())

    def close(a: np.ndarray, b: np.ndarray) -> float:
        off = abs(float(a.item()) - float(b.item()))
        return max(0.0, 1 - off / width) if width else float(off == 0)

    return close


def accuracy(
    found: Sequence[Sequence[np.ndarray]],
    wanted: Sequence[Sequence[np.ndarray]],
    labels: np.ndarray,
) -> Accuracy:
    """Of both files on the same examples, labels int (n,)."""
    after = np.array([f[0].argmax() for f in found]) == labels
    before = np.array([w[0].argmax() for w in wanted]) == labels
    lost = 100 * (before.astype(np.float64) - after)
    half = Z * lost.std(ddof=1) / len(lost) ** 0.5 if len(lost) > 1 else 100.0
    drop = float(lost.mean())
    shares = float(before.mean()), float(after.mean())
    return Accuracy(len(labels), *shares, drop, drop - half, drop + half)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    share, z2 = hits / n, Z * Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * (share * (1 - share) / n + z2 / (4 * n * n)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)
