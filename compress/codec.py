"""Eight bits a number: three ways to store a table of float32 rows, with one scale a row.

`linear` has 255 levels of equal distance (Botha et al. 2017, "Natural Language Processing with
Small Feed-Forward Networks", section 2.2). `dynamic-2015` and `dynamic-bnb` spend their levels
evenly over decades, 64 in [0.1, 1] and half as many in each decade below: Dettmers' dynamic tree,
first in the table that his clusterNet had (Dettmers 2016, "8-Bit Approximations for Parallelism in
Deep Learning", section 2), then as bitsandbytes makes it (Dettmers et al. 2022, "8-bit Optimizers
via Block-wise Quantization").

Scales are float16, as in CLD3. A row is encoded with the scale that is stored, so that rounding it
costs nothing more. `encode_whole` is linear with one scale for all rows, for tables whose numbers
were kept within one bound in training.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from compress.config import Codec
from compress.errors import CompressError

ZERO = 128  # code of 0 in the linear codec
LEVELS = 127  # steps from 0 to a linear row's largest number
SPLIT = 0.45  # where a decade of the 2015 table changes its step, as a fraction of its end
VANISHING = 1.5e-6  # what is smaller than this becomes 0 in the 2015 table
DECADES_2015, DECADES_BNB = 6, 7


@dataclass(frozen=True)
class Rows:
    """A table as it is stored."""

    codes: np.ndarray  # uint8 (rows, numbers)
    scales: np.ndarray  # float16 (rows,), >= 0; 0 for a row of zeros


def encode(table: np.ndarray, codec: Codec) -> Rows:
    """Store float32 (rows, numbers). `CompressError` if a number is not finite or too large."""
    _check(table)
    scales = _scales(np.abs(table).max(1, initial=0).astype(np.float64) / _largest(codec))
    divisor = np.where(scales == 0, 1, scales).astype(np.float64)[:, None]
    ratio = table / divisor
    if codec == "linear":
        return Rows(_linear_codes(ratio), scales)
    return Rows(np.searchsorted(_edges(codec), ratio, side="right").astype(np.uint8), scales)


def encode_whole(table: np.ndarray) -> tuple[np.ndarray, float]:
    """Store float32 (rows, numbers) linearly with one scale: codes uint8 of its shape, the scale.

    A number is scale * (code - ZERO), at most half a scale off. `CompressError` as of `encode`.
    """
    _check(table)
    largest = np.abs(table).max(initial=0).astype(np.float64)
    scale = np.float32(largest / LEVELS)
    if float(scale) * LEVELS < largest:  # rounded down: the largest would be over half a step off
        scale = np.nextafter(scale, np.float32(np.inf))
    scale = scale or np.float32(1)
    return _linear_codes(table / scale.astype(np.float64)), float(scale)


def _linear_codes(ratio: np.ndarray) -> np.ndarray:
    """uint8 of numbers in steps."""
    return np.clip(np.floor(ratio + (0.5 + ZERO)), ZERO - LEVELS, ZERO + LEVELS).astype(np.uint8)


def decode(rows: Rows, codec: Codec) -> np.ndarray:
    """The float32 (rows, numbers) that `rows` stand for."""
    return book(codec)[rows.codes] * rows.scales.astype(np.float32)[:, None]


@cache
def book(codec: Codec) -> np.ndarray:
    """What each code stands for before its row's scale: float32 (256,), ascending.

    Codes that no number gets: 0 of `linear`; 255 of `dynamic-2015`, which repeats 1.
    """
    made = {"linear": _linear, "dynamic-2015": _dynamic_2015, "dynamic-bnb": _dynamic_bnb}
    values = made[codec]()
    values.flags.writeable = False  # it is kept
    return values


def _linear() -> np.ndarray:
    return np.arange(256, dtype=np.float32) - np.float32(ZERO)


def _dynamic_2015() -> np.ndarray:
    """0, 1 and the middles of 64, 32, .. 2 bins of six decades, with either sign.

    Half of a decade's bins lie below SPLIT of its end, half above.
    """
    positive = [1.0]
    for k in range(DECADES_2015):
        end, half = 10.0**-k, 32 >> k
        below = np.linspace(0.1 * end, SPLIT * end, half + 1)
        above = np.linspace(SPLIT * end, end, half + 1)
        positive += [*_middles(below), *_middles(above)]
    values = np.sort(np.array([*positive, *np.negative(positive), 0.0, 1.0]))
    return values.astype(np.float32)


def _dynamic_bnb() -> np.ndarray:
    """bitsandbytes' create_dynamic_map(signed=True, max_exponent_bits=7, total_bits=8).

    0, 1 and the middles of 1, 2, .. 64 bins of seven decades, with either sign; float32 all the
    way, as there.
    """
    values = [np.float32(0), np.float32(1)]
    for k in range(DECADES_BNB):
        scale = np.float32(10.0 ** (k + 1 - DECADES_BNB))
        middles = scale * _middles(_linspace_of_torch(np.float32(0.1), np.float32(1), 2**k + 1))
        values += [*middles, *-middles]
    return np.sort(np.array(values, np.float32))


def _middles(edges: np.ndarray) -> np.ndarray:
    return (edges[:-1] + edges[1:]) / edges.dtype.type(2)


def _linspace_of_torch(start: np.float32, end: np.float32, count: int) -> np.ndarray:
    """float32 (count,) as torch.linspace gives it on a processor with AVX2: from both ends to the
    middle, each by one fused multiply and add (float64 holds the product, which is rounded once).
    """
    step = np.float64((end - start) / np.float32(count - 1))
    place = np.arange(count)
    both = np.where(place < count // 2, start + step * place, end - step * place[::-1])
    return both.astype(np.float32)


@cache
def _edges(codec: Codec) -> np.ndarray:
    """Where a dynamic codec goes from one code to the next: float64, ascending."""
    values = np.unique(book(codec)).astype(np.float64)
    edges = _middles(values)
    if codec == "dynamic-2015":
        zero = int(np.flatnonzero(values == 0)[0])
        edges[zero - 1 : zero + 1] = -VANISHING, VANISHING
    return edges


def _largest(codec: Codec) -> int:
    """What a row's largest number is divided by."""
    return LEVELS if codec == "linear" else 1


def _scales(wanted: np.ndarray) -> np.ndarray:
    """float16 of scales float64 (rows,), to the nearest; one that is far too small is the next.

    Only below float16's normal numbers is the nearest that far off.
    """
    near = wanted.astype(np.float16)
    short = wanted > near.astype(np.float64) * (1 + 2.0**-10)
    return np.where(short, np.nextafter(near, np.float16(np.inf)), near)


def _check(table: np.ndarray) -> None:
    if table.ndim != 2 or table.dtype != np.float32:
        raise CompressError(
            f"a table of rows is {table.dtype} {table.shape}", "it must be float32 (rows, numbers)"
        )
    if not np.isfinite(table).all():
        raise CompressError("the table has numbers that are not finite", "did training diverge?")
    if np.abs(table).max(initial=0) > np.finfo(np.float16).max:
        raise CompressError("the table has numbers above 65504", "did training diverge?")
