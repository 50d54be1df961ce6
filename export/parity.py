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

Function = Callable[[np.ndarray], Any]  # uint8 (n, h, w, 3) to logits (n, classes)


def check(
    module: nn.Module | Function,
    onnx_path: str | Path,
    images: Sequence[np.ndarray],
    tolerance: float,
    batches: Sequence[int] = (1, 2, 5),
) -> float:
    """The largest difference of any logit between a module and its file, over all batches.

    images: uint8 (h, w, 3) each; pictures of one size are put in batches, round and round when
    there are fewer than a batch takes. More than `tolerance`, or a logit that is not finite, is an
    `ExportError`.
    """
    reference, file = _function(module), Runner(onnx_path)
    worst = 0.0
    for size in batches:
        for batch in _batched(images, size):
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


def _batched(images: Sequence[np.ndarray], size: int) -> list[np.ndarray]:
    """Batches of exactly `size`, each of pictures of one height and width, every picture in one."""
    if not len(images):
        raise ExportError("parity needs at least one picture")
    groups: dict[tuple[int, ...], list[np.ndarray]] = {}
    for image in images:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ExportError(
                f"a picture is {image.dtype} {image.shape}", "it must be uint8 (h, w, 3)"
            )
        groups.setdefault(image.shape, []).append(image)
    return [
        np.stack([group[(start + k) % len(group)] for k in range(size)])
        for group in groups.values()
        for start in range(0, len(group), size)
    ]


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
