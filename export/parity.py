"""Proof that the ONNX file computes what the torch module computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from export.errors import ExportError
from export.files import Runner

Function = Callable[[np.ndarray], Any]  # pictures or texts to logits (n, classes)


def check(
    module: nn.Module | Function,
    onnx_path: str | Path,
    inputs: Sequence[np.ndarray],
    tolerance: float,
    batches: Sequence[int] = (1, 2, 5),
) -> float:
    """The largest difference of any logit between a module and its file, over all batches.

    inputs: pictures uint8 (h, w, 3), or texts as code points int32 (length,). Pictures of one size
    are put in batches; texts as they come, padded with 0 to the longest; either round and round
    when there are fewer than a batch takes. More than `tolerance`, or a logit that is not finite,
    is an `ExportError`.
    """
    reference, file = _function(module), Runner(onnx_path)
    worst = 0.0
    for size in batches:
        for batch in _batched(inputs, size):
            wanted, got = np.asarray(reference(batch)), file(batch)
            worst = max(worst, _difference(wanted, got, tolerance, onnx_path))
    return worst


def _difference(wanted: np.ndarray, got: np.ndarray, tolerance: float, path: str | Path) -> float:
    if wanted.shape != got.shape:
        raise ExportError(f"{path} gives logits {got.shape}, the module {wanted.shape}")
    if not (np.isfinite(wanted).all() and np.isfinite(got).all()):
        raise ExportError(f"{path}: logits are not finite", "did training diverge?")
    worst = float(np.abs(wanted - got).max())
    if worst > tolerance:
        raise ExportError(
            f"{path} is {worst:.3g} off the module at batch {len(got)}; {tolerance:g} is allowed",
            "the file was made of other weights, or a rewrite is wrong: please report it",
        )
    return worst


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
                return module(torch.from_numpy(batch)).float().cpu().numpy()
        finally:
            module.train(training)

    return call
