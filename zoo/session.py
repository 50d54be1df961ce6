"""An ONNX file in an onnxruntime session; what is wrong with a file is one clear error."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as state

from zoo.errors import InputError, NotFound

CPU = "CPUExecutionProvider"
_HINT = "give the name of a student (`zoo list`), the folder of one, or its ONNX file"
ORT_ERRORS: tuple[type[Exception], ...] = tuple(
    error
    for error in vars(state).values()
    if isinstance(error, type) and issubclass(error, Exception)
)


def create(
    source: Path | bytes, *, threads: int = 1, provider: str = CPU, arena: bool = True
) -> ort.InferenceSession:
    """A session on a file or on the bytes of one.

    threads: of its operators; 0 means one a physical core. arena: keep the memory of a batch for
    the next one: quicker where batches are large, and never given back.
    """
    if isinstance(source, Path) and not source.is_file():
        raise NotFound(f"{source}: no such file", _HINT)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = arena
    options.log_severity_level = 3  # errors only; they come as exceptions too
    what = source if isinstance(source, bytes) else str(source)
    try:
        return ort.InferenceSession(what, options, providers=[provider])
    except ORT_ERRORS as problem:
        name = "the model" if isinstance(source, bytes) else source
        raise InputError(
            f"{name}: not an ONNX file that onnxruntime {ort.__version__} can run: "
            f"{one_line(problem)}",
            _HINT,
        ) from None


def described(session: ort.InferenceSession) -> list[tuple[str, str, int]]:
    """(name, type, rank) of every input."""
    return [(node.name, node.type, len(node.shape)) for node in session.get_inputs()]


def one_line(problem: Exception) -> str:
    """What onnxruntime says, without its line breaks."""
    return " ".join(str(problem).split())
