"""An ONNX file in an onnxruntime session; what is wrong with a file is one clear error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as state

from zoo.errors import InputError, NotFound, ZooError
from zoo.files import open_plain
from zoo.said import one_line

if TYPE_CHECKING:
    import numpy as np

    Run = Callable[[np.ndarray], np.ndarray]  # (n, ...) -> (n, ...)

CPU = "CPUExecutionProvider"
_HINT = "give the name of a student (`zoo list`), the folder of one, or its ONNX file"
_BESIDE = "its weights are in a file of their own: put that beside it, by its very name"
ONNX_HINT = "give an ONNX file that `zoo build` or `zoo pull` wrote"
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
    if isinstance(source, Path):
        _check_plain(source)
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
        said = one_line(problem, 2000)
        hint = _BESIDE if "External data path does not exist" in said else _HINT
        what = f"{name}: not an ONNX file that onnxruntime {ort.__version__} can run: {said}"
        raise InputError(what, hint) from None


def _check_plain(path: Path) -> None:
    """Refuse what onnxruntime might wait for without end."""
    try:
        open_plain(path).close()
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file", _HINT) from None
    except OSError as problem:
        raise InputError(f"{path}: cannot be read: {problem.strerror}", _HINT) from None


def inputs(session: ort.InferenceSession) -> list[tuple[str, str, int]]:
    """(name, type, rank) of every input."""
    return _described(session.get_inputs())


def outputs(session: ort.InferenceSession) -> list[tuple[str, str, int]]:
    """(name, type, rank) of every output."""
    return _described(session.get_outputs())


def metadata(session: ort.InferenceSession, path: Path) -> dict[str, str]:
    """What the file at `path` says of itself, as onnxruntime reads it."""
    try:
        return session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError as problem:
        raise InputError(f"{path}: its metadata are not UTF-8 text, {problem}", _HINT) from None


def _described(nodes: Sequence[Any]) -> list[tuple[str, str, int]]:
    return [(node.name, node.type, len(node.shape)) for node in nodes]


def open_session(
    source: Path | bytes, threads: int = 1, provider: str = CPU
) -> ort.InferenceSession:
    """A session of `threads` threads on a file with one input, or one clear error."""
    if isinstance(source, Path) and not source.exists():
        raise InputError(f"{source} is not there", ONNX_HINT)
    session = create(source, threads=threads, provider=provider)
    if provider not in session.get_providers():  # onnxruntime falls back without an error
        raise ZooError(
            f"{provider} did not start: onnxruntime would run on {session.get_providers()[0]}",
            "check the versions of CUDA and cuDNN that your onnxruntime-gpu wants",
        )
    if len(inputs(session)) != 1:
        name = source if isinstance(source, Path) else "the file"
        raise InputError(f"{name} reads {inputs(session)}, a student reads one input", ONNX_HINT)
    return session


def runner(path: Path, threads: int = 1) -> Run:
    """The file as a function on the processor; an InputError where it cannot run."""
    return runner_of(open_session(Path(path), threads), path)


def runner_of(session: ort.InferenceSession, path: Path) -> Run:
    """A session on the file at `path` as such a function: its logits, else its first output."""
    feed = session.get_inputs()[0].name
    names = [output.name for output in session.get_outputs()]
    wanted = ["logits" if "logits" in names else names[0]]

    def run(batch: np.ndarray) -> np.ndarray:
        try:
            return session.run(wanted, {feed: batch})[0]
        except ORT_ERRORS as error:
            said = one_line(error, 2000)
            raise InputError(f"{path} cannot run: {said}", "pull the student again") from error

    return run
