"""The rung that learns: a float file is trained as its 8-bit file rounds, then quantized as ever.

Who trains is handed in: this package has no PyTorch. It is given the graph of QuantizeLinear and
DequantizeLinear that a static attempt would write, and gives other weights for the same ranges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress import calibrate, compare, graph, int8
from compress.config import Attempt
from compress.errors import CompressError
from compress.int8 import STRICT, Limits, Made, Rounded

LOOSE = Limits(noise=STRICT.noise, change=float("inf"))  # the outputs are what training mends
ALIKE = 0.02  # relative change of an output from training's to the file's: roundings of halves


@dataclass(frozen=True)
class Trained:
    """What learning made of a rounded file."""

    weights: dict[str, np.ndarray]  # by the names of `Rounded.plain`
    answers: Callable[[np.ndarray], np.ndarray]  # a batch as the file reads it -> its first output
    settings: dict[str, Any]  # what is to be said of it, as JSON


Train = Callable[[Attempt, Rounded, Path], Trained]
"""attempt, its static file, a folder of its own in which a killed run goes on -> other weights"""


def make(
    fp32_path: Path,
    path: Path,
    batches: Sequence[np.ndarray],
    attempt: Attempt,
    float_nodes: tuple[str, ...],
    train: Train,
) -> tuple[Made, dict[str, Any]]:
    """The attempt's file, held against what was trained too, and what to say of the training.

    The trained float file stays beside it, in the folder of the attempt's name.
    """
    static = int8.rounded(fp32_path, batches, attempt, float_nodes, limits=LOOSE)
    folder = path.parent / attempt.name
    trained = train(attempt, static, folder)
    twin = graph.save(static.with_weights(trained.weights), folder / "float.onnx")
    ranges = static.ranges
    small = int8.rounded(twin, batches, attempt, static.float_nodes, ranges=ranges)
    change = _change(small, trained.answers)
    if not change <= ALIKE:
        what = f"the 8-bit file's answers are {change:.1%} off those that were trained"
        raise CompressError(what, "please report it")
    return small.save(path), trained.settings


def _change(small: Rounded, answers: Callable[[np.ndarray], np.ndarray]) -> float:
    """Relative change of the first output, on the examples that layers are looked at with."""
    examples = small.beside.examples
    found = list(compare.answers(calibrate.session(small.small), examples))
    (name, *_) = found[0]
    wanted = ({name: answers(example)} for example in examples)
    return compare.outputs(wanted, ({name: one[name]} for one in found)).get(name, 0.0)
