"""Does a file answer on this processor as it did where it was published: the golden self-test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime


GOLDEN = "golden.npz"


@dataclass(frozen=True)
class Verdict:
    """What the golden self-test found on this processor."""

    ok: bool  # logits within tolerance of those that the build wrote down
    max_difference: float  # largest absolute difference of a logit
    agreement: float  # fraction of the golden inputs with the same top-1
    tolerance: float  # largest difference allowed


def golden(
    folder: Path, precision: str, session: onnxruntime.InferenceSession | None = None
) -> Verdict:
    """Run `folder`/model.PRECISION.onnx on golden.npz's inputs and compare the logits.

    golden.npz holds `inputs`, pictures uint8 (n, h, w, 3) or texts int32 (n, length), and for each
    precision its logits float32 (n, classes) under the precision's name and `tolerance_PRECISION`,
    a float32 scalar. A session that has the file open already saves opening it.
    """
    import numpy as np

    from zoo.students.session import runner, runner_of

    inputs, expected, tolerance = _golden_arrays(Path(folder) / GOLDEN, precision)
    path = Path(folder) / f"model.{precision}.onnx"
    logits = (runner(path) if session is None else runner_of(session, path))(inputs)
    if logits.shape != expected.shape:
        raise InputError(
            f"the {precision} file answers {logits.shape}, golden.npz has {expected.shape}",
            "pull the student again",
        )
    difference = float(np.abs(logits - expected).max())
    same = float((logits.argmax(1) == expected.argmax(1)).mean())
    return Verdict(difference <= tolerance, difference, same, tolerance)


def _golden_arrays(path: Path, precision: str) -> tuple[np.ndarray, np.ndarray, float]:
    import zipfile

    import numpy as np

    keys = ("inputs", precision, f"tolerance_{precision}")
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            inputs, expected, tolerance = (arrays[key] for key in keys)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        hint = "pull the student again; golden.npz holds " + ", ".join(keys)
        raise InputError(f"{path} cannot be read: {error}", hint) from error
    pictures = inputs.dtype == np.uint8 and inputs.ndim == 4 and inputs.shape[3] == 3
    texts = inputs.dtype == np.int32 and inputs.ndim == 2
    if not len(inputs) or not (pictures or texts):
        raise InputError(f"{path}: inputs are {inputs.dtype} {inputs.shape}", "pull it again")
    return inputs, expected, float(tolerance)
