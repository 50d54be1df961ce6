"""Does a file answer on this processor as it did where it was published: the golden self-test.

It needs nothing of the student's task, so a student whose task is not known here is tested too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import InputError, ZooError
from zoo.files import open_plain
from zoo.records import task
from zoo.records.names import FILES, GOLDEN

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime


@dataclass(frozen=True)
class Verdict:
    """What the golden self-test found on this processor."""

    ok: bool  # outputs within tolerance of those that the build wrote down
    max_difference: float  # largest absolute difference of a number in them
    agreement: float  # fraction of the golden inputs answered alike, as the task sees it
    tolerance: float  # largest difference allowed


def golden(
    folder: Path, precision: str, session: onnxruntime.InferenceSession | None = None
) -> Verdict:
    """Run `folder`/model.PRECISION.onnx on golden.npz's inputs and compare the outputs.

    golden.npz holds `inputs` (n, ...) as the file reads them, and for each precision its outputs
    float32 (n, ...) under the precision's name and `tolerance_PRECISION`, a float32 scalar. A
    session that has the file open already saves opening it.
    """
    from zoo.students.session import metadata, open_session, runner_of

    path = Path(folder) / FILES[precision]
    inputs, expected, tolerance = _golden_arrays(Path(folder) / GOLDEN, precision)
    session = session or open_session(path)
    _check(inputs, session, Path(folder) / GOLDEN)
    found = runner_of(session, path)(inputs)
    if found.shape != expected.shape:
        raise InputError(
            f"the {precision} file answers {found.shape}, golden.npz has {expected.shape}",
            "pull the student again",
        )
    off = _differences(found, expected)
    about = metadata(session, path)
    try:
        same = task.find(about.get("studentzoo.task", "")).agree(found, expected)
    except ZooError:  # a task that cannot be used here
        same = float((off <= tolerance).mean())
    return Verdict(float(off.max()) <= tolerance, float(off.max()), same, tolerance)


def _differences(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """The largest of each row (n,), of numbers of any type; what is equal, infinite too, is 0."""
    import numpy as np

    one, other = found.astype(np.float64), expected.astype(np.float64)
    same = (found == expected) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        return np.where(same, 0.0, np.abs(one - other)).reshape(len(one), -1).max(1)


def same_first(found: np.ndarray, expected: np.ndarray) -> float:
    """Fraction of the rows of two arrays of logits (n, ..., classes) with the same first class."""
    return float((found.argmax(-1) == expected.argmax(-1)).mean())


def _golden_arrays(path: Path, precision: str) -> tuple[np.ndarray, np.ndarray, float]:
    import zipfile
    import zlib

    import numpy as np

    broken = (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
    keys = ("inputs", precision, f"tolerance_{precision}")
    try:
        with open_plain(path) as file, np.load(file) as arrays:
            inputs, expected, tolerance = (arrays[key] for key in keys)
            bound = float(tolerance.item())
            if not 0 <= bound < np.inf or expected.dtype.kind not in "biuf" or not expected.size:
                raise ValueError("outputs are numbers, and a tolerance is one that is not negative")
    except broken as error:
        hint = "pull the student again; golden.npz holds " + ", ".join(keys)
        raise InputError(f"{path} cannot be read: {error}", hint) from error
    return inputs, expected, bound


def _check(inputs: np.ndarray, session: onnxruntime.InferenceSession, path: Path) -> None:
    """Refuse inputs that are none of this file's."""
    node, *others = session.get_inputs()
    dtype = str(inputs.dtype)
    kind = f"tensor({ {'float32': 'float', 'float64': 'double'}.get(dtype, dtype) })"
    if others or not inputs.size or (kind, inputs.ndim) != (node.type, len(node.shape)):
        message = f"{path}: inputs are {inputs.dtype} {inputs.shape}, not {node.type} {node.shape}"
        raise InputError(message, "pull it again")
