"""The exact rewrites of somebody else's file, each proved on examples before it stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto

from compress import calibrate
from compress.errors import CompressError
from compress.examples import Feed
from compress.rewrite import FLOAT_PASSES
from compress.rewrite.graph import Pass, run
from compress.rewrite.names import shorten_names
from compress.settle import settle

TOLERANCE = 1e-3  # of the largest number of an output: how far rounding may carry a rewrite
# What a pass may trip over in a graph that it was not made for; the pass is left out then.
TROUBLE = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class Rewritten:
    """The same function with fewer and faster nodes."""

    model: ModelProto
    off: float  # largest difference of an output, as a share of its largest number
    left_out: dict[str, str]  # passes that were not exact here -> why


def rewrite(model: ModelProto, sizes: Sequence[Feed], proof: Sequence[Feed]) -> Rewritten:
    """Every pass that is exact on `proof`; `sizes` are feeds of every size that may come.

    All passes at once where that is exact, which it nearly always is; else one after the other,
    without those that are not.
    """
    wanted = outputs(model, proof)
    passes: dict[str, Pass] = {one.__name__: one for one in (*FLOAT_PASSES, shorten_names)}
    left_out: dict[str, str] = {}
    try:
        settled = settle(model, sizes)
    except (CompressError, *TROUBLE) as error:
        settled, left_out = model, {"settle": _why(error)}
    made, off, why = _tried(settled, list(passes.values()), proof, wanted)
    if made is not None:
        return Rewritten(made, off, left_out)
    kept, reached = model, 0.0
    steps = {"settle": [settled]} | {name: [one] for name, one in passes.items()}
    for name, (step,) in steps.items():
        base, todo = (step, []) if isinstance(step, ModelProto) else (kept, [step])
        made, off, why = _tried(base, todo, proof, wanted)
        if made is None:
            left_out[name] = why
        else:
            kept, reached = made, off
    return Rewritten(kept, reached, left_out)


def _tried(
    model: ModelProto,
    passes: Sequence[Pass],
    proof: Sequence[Feed],
    wanted: Sequence[Mapping[str, np.ndarray]],
) -> tuple[ModelProto | None, float, str]:
    """(the model after the passes, how far it is off, ""), or (None, nan, why it is not exact)."""
    try:
        made = run(model, passes) if passes else model
        found = outputs(made, proof)
    except (CompressError, *TROUBLE) as error:
        return None, float("nan"), _why(error)
    off = max(map(difference, found, wanted), default=0.0)
    if not off <= TOLERANCE:
        return None, off, f"{off:.2g} off"
    return made, off, ""


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def outputs(model: ModelProto, feeds: Sequence[Feed]) -> list[dict[str, np.ndarray]]:
    """Every output by its name, for each feed."""
    session = calibrate.session(model)
    names = [output.name for output in session.get_outputs()]
    runs = (calibrate.run(session, feed, names) for feed in feeds)
    return [dict(zip(names, run, strict=True)) for run in runs]


def difference(found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> float:
    """The largest over all outputs, as a share of the output's largest number; inf: no match."""
    if found.keys() != wanted.keys():
        return float("inf")
    return max(map(_off, found.values(), wanted.values()), default=0.0)


def _off(found: np.ndarray, wanted: np.ndarray) -> float:
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return float("inf")
    if found.dtype.kind != "f":
        return 0.0 if np.array_equal(found, wanted) else float("inf")
    if not wanted.size:
        return 0.0
    if not np.array_equal(np.isfinite(found), np.isfinite(wanted)):
        return float("inf")
    sane = np.isfinite(wanted)
    change = np.abs(found[sane].astype(np.float64) - wanted[sane])
    return float(change.max(initial=0.0) / max(np.abs(wanted[sane]).max(initial=0.0), 1e-12))
