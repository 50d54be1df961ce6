"""Any ONNX file as a teacher: one input uint8 (n, h, w, 3), one output of logits (n, classes).

On a processor each core answers to a few pictures at a time, by itself: cores that share every
layer of a batch wait for each other, the more the busier the machine is. The parts are of one size
on any number of cores, so the answers are the same to the last bit.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as state

from distill import config
from distill.errors import DistillError
from distill.files import expanded, open_plain
from distill.teachers.teacher import BATCH, Answer, Asked, Kind, Teacher

CONTRACT = (
    "a teacher has one input uint8 (n, h, w, 3), n free, and one output float (n, classes); "
    "put the preprocessing into the graph"
)
FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)")
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
PART = 16  # pictures of one call on a core: of 8 to 256 none were answered faster
SHARED = 64 * PART  # pictures that the cores share before they wait for the last of them

_REFUSALS: tuple[type[Exception], ...] = tuple(  # what onnxruntime raises for a bad file or input
    error
    for error in vars(state).values()
    if isinstance(error, type) and issubclass(error, Exception)
)


def open_onnx(settings: config.Teacher, asked: Asked) -> Teacher:
    """The teacher in the file; `DistillError` if it is no ONNX file or has another contract."""
    if asked.onnx_path is None and not settings.onnx:
        raise DistillError(
            f"the teacher is the recipe {settings.recipe}, and its ONNX file was not given",
            "build that recipe first",
        )
    path, classes = asked.onnx_path or expanded(settings.onnx), asked.classes
    content = _read(path)
    session = _session(content, path)
    _check_input(session, asked.image_size, path)
    output = _check_output(session, classes, path)
    on_gpu = CUDA in session.get_providers()
    callers = 1 if on_gpu else asked.threads or cores()
    return Teacher(
        name=settings.recipe or path.stem,
        source=settings.source or path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        licence=settings.licence,
        classes=classes,
        answer=_answer(session, output, path, BATCH if on_gpu else PART, callers),
        labels=_labels(session.get_modelmeta().custom_metadata_map, classes, path),
        batch=BATCH if on_gpu else SHARED,
    )


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _answer(
    session: ort.InferenceSession, output: str, path: Path, part: int, callers: int
) -> Answer:
    """The file as a function; `callers` run it side by side, each on `part` pictures at a time."""
    name = session.get_inputs()[0].name

    def call(images: np.ndarray) -> np.ndarray:
        try:
            return session.run([output], {name: images})[0]
        except _REFUSALS as error:
            raise DistillError(
                f"the teacher {path} fails on pictures {images.shape}: {error}", CONTRACT
            ) from error

    def answer(images: np.ndarray) -> np.ndarray:
        parts = [images[i : i + part] for i in range(0, len(images), part)]
        if len(parts) <= 1:
            return call(images)
        with ThreadPoolExecutor(callers) as pool:
            return np.concatenate(list(pool.map(call, parts)))

    return answer


def _read(path: Path) -> bytes:
    try:
        with open_plain(path) as file:
            return file.read()
    except OSError as error:
        raise DistillError(
            f"the teacher {path} cannot be read: {error}",
            "a relative path starts at the working directory",
        ) from error


def _session(content: bytes, path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # whoever calls is the thread
    options.log_severity_level = 3  # errors only; warnings are the runtime's own business
    available = ort.get_available_providers()
    try:
        return ort.InferenceSession(content, options, [p for p in (CUDA, CPU) if p in available])
    except _REFUSALS as error:
        raise DistillError(
            f"the teacher {path} is not an ONNX file that can be run: {error}",
            "weights must be inside the file; check it with onnx.checker",
        ) from error


def _check_input(session: ort.InferenceSession, image_size: int, path: Path) -> None:
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(i.name for i in inputs)
        raise DistillError(f"the teacher {path} has {len(inputs)} inputs: {names}", CONTRACT)
    kind, shape, side = inputs[0].type, inputs[0].shape, image_size
    wanted = (None, side, side, 3)  # None: must be free
    if kind != "tensor(uint8)" or len(shape) != 4 or not all(map(_fits, shape, wanted)):
        raise DistillError(
            f"the teacher {path} takes {kind} {shape}, not uint8 (n, {side}, {side}, 3)", CONTRACT
        )


def _check_output(session: ort.InferenceSession, classes: int, path: Path) -> str:
    outputs = session.get_outputs()
    kind, shape = outputs[0].type, outputs[0].shape
    ok = len(outputs) == 1 and kind in FLOATS and len(shape) == 2 and _fits(shape[1], classes)
    if not ok:
        given = ", ".join(f"{o.name} {o.type} {o.shape}" for o in outputs)
        raise DistillError(
            f"the teacher {path} gives {given}; the data has {classes} classes", CONTRACT
        )
    return outputs[0].name


def _fits(size: int | str | None, wanted: int | None) -> bool:
    """Whether a dimension of the file (not a number: free) admits the size wanted."""
    return not isinstance(size, int) or size == wanted


def _labels(metadata: Mapping[str, str], classes: int, path: Path) -> tuple[str, ...]:
    """Names of the classes, in order, if the file says them."""
    if "studentzoo.labels" not in metadata:
        return ()
    try:
        labels = tuple(str(name) for name in json.loads(metadata["studentzoo.labels"]))
    except (ValueError, TypeError) as error:
        raise DistillError(f"the labels in {path} are not a JSON list: {error}") from error
    if len(labels) != classes:
        raise DistillError(f"{path} names {len(labels)} classes; the data has {classes}")
    return labels


KIND = Kind(open_onnx, ("pictures",))
