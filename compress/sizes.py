"""Examples of the sizes that a file may be given, made of one example: where a file says of an axis
that it is free, what was true at one length need not be at another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from onnx import ModelProto

from compress import calibrate
from compress.errors import CompressError
from compress.examples import Feed
from compress.source import Port

BATCHES = (1, 2, 5)
# Of a free axis, of the example's length n. Both odd and even, and no two in one proportion: what a
# graph pads, cuts into windows or turns into a square is seen to differ.
ODD: tuple[Callable[[int], int], ...] = (
    lambda n: 2 * n,
    lambda n: n + 1,
    lambda n: 3 * n + 2,
    lambda n: max(1, n // 2),
    lambda n: max(1, n - 1),
    lambda n: 1,
)
ALONE = ODD[:2]  # of one free axis, while the others stay
PROOF = 3  # of other sizes that a rewrite is proved on


def feeds(model: ModelProto, moving: Sequence[Port], feed: Feed, batch: int | None) -> list[Feed]:
    """`feed`, one example, in other batches, and of every size that the file runs, the example's
    first; `moving` are the inputs whose free axes are free, the batch is fixed where it is given.
    """
    opened = calibrate.session(model)
    found = [feed] if batch else [_repeated(feed, n) for n in BATCHES]
    for other in _others(moving, feed):
        wide = other if batch else _repeated(other, BATCHES[1])
        try:
            calibrate.run(opened, wide)
        except CompressError:
            continue  # longer than its table of places, shorter than its window
        found.append(wide)
    return found


def proof(made: Sequence[Feed], batch: int | None) -> list[Feed]:
    """A few of `feeds` that are of other sizes than the example."""
    others = made[1 if batch else len(BATCHES) :]
    return list(others)[:: max(1, len(others) // PROOF)]


def _others(moving: Sequence[Port], feed: Feed) -> Iterator[Feed]:
    """Of other lengths: every free axis at once, then each alone."""
    axes = sorted({k for port in moving for k, n in enumerate(port.shape) if k and n is None})
    if not axes:
        return
    for change in ODD:
        yield {**feed, **{p.name: _sized(feed[p.name], p, axes, change) for p in moving}}
    for axis in axes if len(axes) > 1 else ():
        for change in ALONE:
            yield {**feed, **{p.name: _sized(feed[p.name], p, [axis], change) for p in moving}}


def _sized(
    array: np.ndarray, port: Port, axes: Sequence[int], change: Callable[[int], int]
) -> np.ndarray:
    for axis in axes:
        if axis < len(port.shape) and port.shape[axis] is None and array.shape[axis]:
            places = np.arange(change(array.shape[axis])) % array.shape[axis]
            array = np.take(array, places, axis)
    return array


def _repeated(feed: Feed, count: int) -> Feed:
    return {name: np.repeat(array, count, 0) for name, array in feed.items()}
