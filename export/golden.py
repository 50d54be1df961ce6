"""Golden vectors: pictures and the logits they gave, for a self-test on another processor."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from export.errors import ExportError
from export.files import Runner
from export.files import write as write_file


def write(
    path: str | Path, images: np.ndarray, fp32_path: str | Path, int8_path: str | Path | None
) -> None:
    """Run both files on uint8 (n, h, w, 3) and keep what they gave, as a compressed npz.

    Keys: `inputs`; `fp32` and `int8`, float32 (n, classes); `tolerance_fp32` and `tolerance_int8`,
    the largest difference of a logit that a correct run may show. Without an int8 file its two
    keys are missing.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or not len(images):
        raise ExportError(
            f"golden pictures are {images.dtype} {images.shape}", "they must be uint8 (n, h, w, 3)"
        )
    arrays = {"inputs": images, "fp32": Runner(fp32_path)(images)}
    arrays["tolerance_fp32"] = fp32_tolerance(arrays["fp32"])
    if int8_path is not None:
        arrays["int8"] = Runner(int8_path)(images)
        arrays["tolerance_int8"] = int8_tolerance(arrays["fp32"], arrays["int8"])
    write_file(path, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]


def fp32_tolerance(fp32: np.ndarray) -> np.ndarray:
    """Another order of float32 sums: a ten-thousandth of the largest logit, at least 1e-4."""
    return np.array(max(1e-4, 1e-4 * float(np.abs(fp32).max())), np.float32)


def int8_tolerance(fp32: np.ndarray, int8: np.ndarray) -> np.ndarray:
    """Half of what quantization itself did to any of these logits, at least 2 % of their spread.

    Integer kernels agree to the last rounding; one that saturates (8-bit dot products without VNNI)
    moves logits by as much as quantization does, or more.
    """
    own = 0.5 * float(np.abs(fp32 - int8).max())
    return np.array(max(own, 0.02 * float(fp32.std()), 1e-4), np.float32)
