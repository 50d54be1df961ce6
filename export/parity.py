"""Proof that the ONNX file computes what the torch module computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from export.answers import FAULTS, logits_of, reason
from export.errors import ExportError
from export.files import Runner

SHARE = 1e-3  # of the logits' spread
ROUNDING, LEAST = 2e-5, 1e-6  # of the largest logit, for its float32 sums; and at least
Function = Callable[[np.ndarray], Any]  # pictures or texts to logits (n, classes)


def check(
    module: nn.Module | Function,
    onnx_path: str | Path,
    inputs: Sequence[np.ndarray],
    tolerance: float,
    batches: Sequence[int] = (1, 2, 5),
    name: str = "",
) -> float:
    """The largest difference of any logit between a module and its file, over all batches.

    inputs: pictures uint8 (h, w, 3), or texts as code points int32 (length,). Pictures of one size
    are put in batches; texts as they come, padded with 0 to the longest; either round and round
    when there are fewer than a batch takes. More than `tolerance`, or a logit that is not finite,
    is an `ExportError`, which calls the file `name`.
    """
    reference, file = _function(module), Runner(onnx_path)
    worst = 0.0
    for size in batches:
        for batch in _batched(inputs, size):
            wanted, got = np.asarray(reference(batch)), file(batch)
            again = partial(reference, batch)
            worst = max(worst, _difference(wanted, got, tolerance, name or onnx_path, again))
    return worst


def check_share(
    module: nn.Module, onnx_path: str | Path, inputs: Sequence[np.ndarray], name: str = ""
) -> float:
    """`check` with a tolerance by how far the logits lie apart, wherever they lie."""
    logits = _function(module)(np.stack(inputs))
    spread, largest = np.ptp(logits), np.abs(logits).max(initial=0)
    tolerance = max(LEAST, SHARE * float(spread), ROUNDING * float(largest))
    return check(module, onnx_path, inputs, tolerance, name=name)


def _difference(
    wanted: np.ndarray,
    got: np.ndarray,
    tolerance: float,
    path: str | Path,
    again: Callable[[], Any],
) -> float:
    if wanted.shape != got.shape:
        raise ExportError(
            f"{path} gives logits {got.shape}, the module {wanted.shape}",
            "forward must keep one row for each picture, whatever their number",
        )
    if not (np.isfinite(wanted).all() and np.isfinite(got).all()):
        raise ExportError(f"{path}: logits are not finite", "did training diverge?")
    worst = float(np.abs(wanted - got).max(initial=0))
    if worst > tolerance:
        raise ExportError(
            f"{path} is {worst:.3g} off the module at batch {len(got)}; {tolerance:g} is allowed",
            _hint(wanted, again()),
        )
    return worst


def _hint(wanted: np.ndarray, again: Any) -> str:
    if not np.array_equal(wanted, np.asarray(again)):
        return "the module gives two answers to the same inputs: dropout, or a random number?"
    return "the file was made of other weights, or forward leaves torch, or a rewrite is wrong"


def _batched(inputs: Sequence[np.ndarray], size: int) -> list[np.ndarray]:
    """Batches of exactly `size`, every input in one of them."""
    if not len(inputs):
        raise ExportError("parity needs at least one picture or text")
    if all(text.dtype == np.int32 and text.ndim == 1 for text in inputs):
        return [_padded(rows) for rows in _cut(inputs, size)]
    groups: dict[tuple[int, ...], list[np.ndarray]] = {}
    for image in inputs:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ExportError(
                f"a picture is {image.dtype} {image.shape}",
                "it must be uint8 (h, w, 3), a text int32 (length,)",
            )
        groups.setdefault(image.shape, []).append(image)
    return [np.stack(rows) for group in groups.values() for rows in _cut(group, size)]


def _cut(group: Sequence[np.ndarray], size: int) -> list[list[np.ndarray]]:
    """Runs of `size`; the last one goes on with the first inputs again."""
    return [
        [group[(start + k) % len(group)] for k in range(size)]
        for start in range(0, len(group), size)
    ]


def _padded(texts: Sequence[np.ndarray]) -> np.ndarray:
    """int32 (n, length) of the longest text, the others with zeros behind them."""
    batch = np.zeros((len(texts), max(map(len, texts))), np.int32)
    for row, text in zip(batch, texts, strict=True):
        row[: len(text)] = text
    return batch


def _function(module: nn.Module | Function) -> Function:
    if not isinstance(module, nn.Module):
        return module

    def call(batch: np.ndarray) -> np.ndarray:
        training = module.training
        module.eval()
        try:
            with torch.inference_mode():
                answer = logits_of(module(torch.from_numpy(batch)))
                return answer.float().cpu().numpy()
        except FAULTS as error:
            what = f"{type(module).__name__} fails on a batch of {len(batch)}: {reason(error)}"
            raise ExportError(what, "forward must take any number of pictures") from error
        finally:
            module.train(training)

    return call
