"""Files appear whole or not at all, and bad ones are named."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as state

from export.errors import ExportError


def save(
    model: onnx.ModelProto, path: str | Path, check: Callable[[Path], object] = lambda written: None
) -> Path:
    """Check a model and write it; `check` looks at what was written before it is at `path`."""
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"the exported graph is not valid ONNX: {error}") from error
    return write(path, lambda file: file.write(model.SerializeToString()), check)


def write(
    path: str | Path,
    fill: Callable[[BinaryIO], object],
    check: Callable[[Path], object] = lambda written: None,
) -> Path:
    """Fill a temporary file beside `path`, let `check` look at it, then rename it."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise ExportError(
            f"cannot write {path}: {error.strerror}", "is the folder there and writable?"
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        check(Path(name))
        Path(name).replace(path)
    except OSError as error:
        raise ExportError(
            f"cannot write {path}: {error.strerror}", "is there space left?"
        ) from error
    finally:
        Path(name).unlink(missing_ok=True)
    return path


_REFUSALS: tuple[type[Exception], ...] = tuple(  # what onnxruntime raises for a bad file or input
    error
    for error in vars(state).values()
    if isinstance(error, type) and issubclass(error, Exception)
)

CONTRACTS = {  # name of the one input -> its type and number of dimensions
    "image": ("tensor(uint8)", 4),
    "codepoints": ("tensor(int32)", 2),
}


class Runner:
    """A student's ONNX file, ready to run."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        options = ort.SessionOptions()
        options.log_severity_level = 3
        try:
            data = Path(path).read_bytes()
            self._session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except OSError as error:
            raise ExportError(f"cannot read {path}: {error.strerror}") from error
        except _REFUSALS as error:
            raise ExportError(
                f"onnxruntime cannot load {path}: {error}", "is it an ONNX file?"
            ) from error
        inputs = [(i.name, i.type, len(i.shape)) for i in self._session.get_inputs()]
        if len(inputs) != 1 or CONTRACTS.get(inputs[0][0]) != inputs[0][1:]:
            raise ExportError(
                f"{path} takes {inputs}",
                "a student takes `image`, uint8 (n, h, w, 3), or `codepoints`, int32 (n, length)",
            )
        self._name = inputs[0][0]

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """uint8 pictures (n, h, w, 3) or int32 texts (n, length) to float32 logits (n, classes)."""
        try:
            return self._session.run(None, {self._name: inputs})[0]
        except _REFUSALS as error:
            raise ExportError(f"onnxruntime cannot run {self._path}: {error}") from error
