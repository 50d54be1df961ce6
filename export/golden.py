"""Golden vectors: inputs and the logits they gave, for a self-test on another processor."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from export.errors import ExportError
from export.files import Runner
from export.files import write as write_file


def write(
    path: str | Path, inputs: np.ndarray, fp32_path: str | Path, int8_path: str | Path | None
) -> None:
    """Run both files on `inputs` and keep what they gave, as a compressed npz.

    inputs: pictures uint8 (n, h, w, 3), or texts as code points int32 (n, length), padded with 0.
    Keys: `inputs`; `fp32` and `int8`, float32 (n, classes); `tolerance_fp32` and `tolerance_int8`,
    the largest difference of a logit that a correct run may show. Without an int8 file its two
    keys are missing.
    """
    _check(inputs)
    arrays = {"inputs": inputs, "fp32": Runner(fp32_path)(inputs)}
    arrays["tolerance_fp32"] = fp32_tolerance(arrays["fp32"])
    if int8_path is not None:
        arrays["int8"] = Runner(int8_path)(inputs)
        arrays["tolerance_int8"] = int8_tolerance(arrays["fp32"], arrays["int8"])
    write_file(path, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]


def _check(inputs: np.ndarray) -> None:
    pictures = inputs.dtype == np.uint8 and inputs.ndim == 4 and inputs.shape[3] == 3
    texts = inputs.dtype == np.int32 and inputs.ndim == 2
    if not len(inputs) or not (pictures or texts):
        raise ExportError(
            f"golden {'texts' if inputs.ndim == 2 else 'pictures'} are "
            f"{inputs.dtype} {inputs.shape}",
            "they must be uint8 (n, h, w, 3), texts int32 (n, length)",
        )


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
