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
Rows = Sequence[Sequence[np.ndarray]]  # [example][output], without the batch
SAME = 1e-9  # of an output's squares: what differs by less between examples is rounding
Z = 1.959964  # of a two-sided 95 % interval
DIRECTIONS = ("embed", "pooler", "last_hidden_state")  # in the name of what is no class
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


def kind_of(answers: Sequence[np.ndarray], ports: int, name: str = "") -> Kind:
    """How a file's answers are compared: of classes the first one, of all else the direction.

    (n, many) of one input are classes, unless they are called an embedding or are all 1 long.
    """
    first = answers[0]
    if all(answer[0].size == 1 for answer in answers):
        return "closeness"
    direction = any(word in name.lower() for word in DIRECTIONS)
    unit = bool(np.allclose(np.linalg.norm(first.reshape(len(first), -1), axis=1), 1, atol=1e-4))
    classes = first.ndim == 2 and first.shape[1] > 1 and ports == 1
    one_hot = bool((first.max(initial=0) >= 1 - 1e-3) & (first.min(initial=0) >= 0))
    return "top-1" if classes and not direction and (one_hot or not unit) else "cosine"


def run(session: object, examples: Examples) -> list[list[np.ndarray]]:
    """Every output that can be compared for every example: [example][output], without the batch.

    Floats are float32, the others as they come.
    """
    float_outputs(session)
    names = [o.name for o in session.get_outputs() if o.type.startswith("tensor(")]  # type: ignore[attr-defined]
    halves = {i.name for i in session.get_inputs() if i.type == "tensor(float16)"}  # type: ignore[attr-defined]
    rows: list[list[np.ndarray]] = []
    for feed, count in examples.counted():
        given = {k: v.astype(np.float16) if k in halves else v for k, v in feed.items()}
        found = [np.asarray(array) for array in calibrate.run(session, given, names)]  # type: ignore[arg-type]
        size = len(next(iter(feed.values())))
        for name, array in zip(names, found, strict=True):
            if not array.ndim or len(array) != size:
                raise CompressError(
                    f"output {name!r} {array.shape} has no axis for the batch of {size}",
                    "export it with the batch as first axis",
                )
        found = [counted(_wide(array), feed) for array in found]
        rows += [[array[k] for array in found] for k in range(count)]
    return rows


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def floats(rows: Rows) -> list[list[np.ndarray]]:
    """The outputs that are floats."""
    return [[array for array in row if array.dtype.kind == "f"] for row in rows]


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
    kinds = ("tensor(float)", "tensor(float16)", "tensor(double)")
    names = [o.name for o in outputs if o.type in kinds]
    if not names:
        raise CompressError("the file has no float output", "there is nothing to compare it by")
    return names


def agreement(found: Rows, wanted: Rows, kind: Kind) -> Agreement:
    """Over examples; of several outputs the one that agrees least counts, or of classes the first.

    A nan is no first answer.
    """
    if kind == "top-1":
        same = [_first(f[0]) == _first(w[0]) >= 0 for f, w in zip(found, wanted, strict=True)]
        low, high = wilson(sum(map(int, same)), len(same))
        return Agreement(kind, len(same), float(np.mean(same)), low, high)
    columns = range(len(wanted[0]))
    alike = [cosine if kind == "cosine" else closeness([row[k] for row in wanted]) for k in columns]
    values = np.array(
        [
            min(alike[k](f[k], w[k]) for k in columns)
            if all(np.isfinite(array).all() for array in f)
            else np.nan
            for f, w in zip(found, wanted, strict=True)
        ],
        np.float64,
    )
    half = Z * values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else 1.0
    mean = float(values.mean())
    return Agreement(kind, len(values), mean, mean - half, min(1.0, mean + half))


def _first(answer: np.ndarray) -> int:
    """The place of the first answer, -1 where there is a nan."""
    return -1 if np.isnan(answer).any() else int(answer.argmax())


def blind(wanted: Rows, kind: Kind) -> list[list[np.ndarray]]:
    """The answers of a file that sees nothing: the commonest class, else the mean, every time."""
    if kind == "top-1":
        firsts = [_first(row[0]) for row in wanted]
        row = wanted[firsts.index(max(set(firsts), key=firsts.count))]
        return [list(row)] * len(wanted)
    middles = [_middle([row[k] for row in wanted]) for k in range(len(wanted[0]))]
    return [
        [np.broadcast_to(m, w.shape) for m, w in zip(middles, row, strict=True)] for row in wanted
    ]


def _middle(column: Sequence[np.ndarray]) -> np.ndarray:
    """The mean over examples; where they are of unlike shapes, over all places of the last axis."""
    if len({array.shape for array in column}) == 1:
        return np.asarray(np.mean(column, axis=0, dtype=np.float64), np.float32)
    flat = np.concatenate([array.reshape(-1, array.shape[-1]) for array in column])
    return np.asarray(np.mean(flat, axis=0, dtype=np.float64), np.float32)


def moved(found: Rows, wanted: Rows) -> float:
    """Change of what differs between examples, relative, of the output that changes most."""
    shares = []
    for k in range(len(wanted[0])):
        column = [row[k] for row in wanted]
        middle = _middle(column)
        power, size = (
            sum(float(np.square(w - m, dtype=np.float64).sum()) for w in column)
            for m in (middle, np.zeros_like(middle))
        )
        pairs = zip(found, column, strict=True)
        change = sum(float(np.square(row[k] - w, dtype=np.float64).sum()) for row, w in pairs)
        if power > SAME * size:
            shares.append((change / power) ** 0.5)
    return max(shares, default=0.0)


def differ(wanted: Rows) -> bool:
    """Whether an output differs between examples by more than rounding."""
    return moved(blind(wanted, "cosine"), wanted) > 0


def alike(found: Rows, wanted: Rows) -> float:
    """The mean share of places that are the same, of outputs that are no floats; 1 without such."""
    shares = [
        float(np.mean(f == w)) if f.shape == w.shape else 0.0
        for mine, theirs in zip(found, wanted, strict=True)
        for f, w in zip(mine, theirs, strict=True)
        if w.dtype.kind != "f" and w.size
    ]
    return float(np.mean(shares)) if shares else 1.0


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Of the angle between two arrays; 1 where both are zero; nan: not finite, or no one shape."""
    if a.shape != b.shape:
        return float("nan")
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    length = float(np.linalg.norm(x) * np.linalg.norm(y))
    if length == 0:
        return float(not x.any() and not y.any())
    return float(x @ y / length)


def closeness(wanted: Sequence[np.ndarray]) -> Callable[[np.ndarray, np.ndarray], float]:
    """1 less the distance of two numbers, as a share of the range of an output's answers."""
    width = float(np.ptp([float(answer.item()) for answer in wanted]))

    def close(a: np.ndarray, b: np.ndarray) -> float:
        off = abs(float(a.item()) - float(b.item()))
        return max(0.0, 1 - off / width) if width else float(off == 0)

    return close


def accuracy(found: Rows, wanted: Rows, labels: np.ndarray) -> Accuracy:
    """Of both files on the same examples, labels int (n,)."""
    after = np.array([_first(f[0]) for f in found]) == labels
    before = np.array([_first(w[0]) for w in wanted]) == labels
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
