"""Any ONNX classifier as a teacher, as tools write it: pictures in, logits or probabilities out.

Input: float32, float16 or uint8, NCHW or NHWC, of a fixed or free batch and size; what the file
does not say of it is said by the recipe or by what lies beside it (`preparation`, `beside`).

On a processor each core answers to a few pictures at a time, by itself: cores that share every
layer of a batch wait for each other, the more the busier the machine is. The parts are of one size
on any number of cores, so the answers are the same to the last bit.
"""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as state

from distill import config
from distill.errors import DistillError
from distill.files import expanded
from distill.teachers import beside, class_names, onnx_output, onnx_weights, preparation
from distill.teachers.onnx_output import Known
from distill.teachers.onnx_weights import Weights
from distill.teachers.preparation import BYTES, Preparation, Reads
from distill.teachers.teacher import BATCH, Answer, Asked, Kind, Teacher

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
PART = 16  # pictures of one call on a core: of 8 to 256 none were answered faster
SHARED = 64 * PART  # pictures that the cores share before they wait for the last of them

_REFUSALS: tuple[type[Exception], ...] = tuple(  # what onnxruntime raises for a bad file or input
    error
    for error in vars(state).values()
    if isinstance(error, type) and issubclass(error, Exception)
)


def open_onnx(settings: config.Teacher, asked: Asked) -> Teacher:
    """The teacher in the file; `DistillError` where it can't be run or too little is known."""
    path = _path(settings, asked)
    weights = onnx_weights.read(path)
    session = _session(weights, path)
    labels = _labels(session, asked.labels, path)
    known = Known(len(labels) or asked.classes, bool(labels))
    output = onnx_output.choose(session.get_outputs(), settings.output, known, path)
    reads = _reads(session, path)
    prepare, how = _prepared(settings.input, reads, path)
    on_gpu = CUDA in session.get_providers()
    fixed = _fixed_batch(session)
    run = _Run(session, output, path, fixed or (BATCH if on_gpu else PART), bool(fixed))
    callers = 1 if on_gpu else asked.threads or cores()
    others = preparation.others(prepare).items()
    return Teacher(
        name=settings.recipe or path.stem,
        source=settings.source or path.name,
        sha256=_sha256(weights, prepare, settings.output, asked.image_size),
        licence=settings.licence,
        classes=known.classes,
        answer=run.answer(prepare, callers),
        labels=labels,
        batch=BATCH if on_gpu else SHARED,
        others={said: run.answer(other, callers) for said, other in others},
        notes=_notes(prepare, how, path, asked.image_size),
    )


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Run:
    """A file at work: `part` pictures a call, exactly so many where its batch is fixed."""

    def __init__(
        self, session: ort.InferenceSession, output: str, path: Path, part: int, fixed: bool
    ) -> None:
        self.session, self.output, self.path = session, output, path
        self.part, self.fixed = part, fixed
        self.name = session.get_inputs()[0].name

    def answer(self, prepare: Preparation, callers: int) -> Answer:
        """The file as a function; `callers` run it side by side, each on a part at a time."""

        def call(images: np.ndarray) -> np.ndarray:
            return self._called(prepare(images), len(images))

        def answer(images: np.ndarray) -> np.ndarray:
            parts = [images[i : i + self.part] for i in range(0, len(images), self.part)]
            if len(parts) <= 1:
                return call(images)
            with ThreadPoolExecutor(callers) as pool:
                return np.concatenate(list(pool.map(call, parts)))

        return answer

    def _called(self, prepared: np.ndarray, n: int) -> np.ndarray:
        """Rows (n, width); where the batch is fixed the last picture fills it up."""
        if self.fixed:
            prepared = prepared[np.minimum(np.arange(self.part), n - 1)]
        try:
            found = self.session.run([self.output], {self.name: prepared})[0]
        except _REFUSALS as error:
            raise DistillError(
                f"the teacher {self.path} fails on pictures {prepared.shape}: {error}",
                "say how it wants them: teacher.input: {layout, size, ...}",
            ) from error
        found = onnx_output.rows(found)
        return found[:n] if self.fixed and len(found) == self.part else found


def _path(settings: config.Teacher, asked: Asked) -> Path:
    if asked.onnx_path is None and not settings.onnx:
        raise DistillError(
            f"the teacher is the recipe {settings.recipe}, and its ONNX file was not given",
            "build that recipe first",
        )
    return asked.onnx_path or expanded(settings.onnx)


def _session(weights: Weights, path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # whoever calls is the thread
    options.log_severity_level = 3  # errors only; warnings are the runtime's own business
    available = ort.get_available_providers()
    try:
        return ort.InferenceSession(
            str(path) if weights.beside else weights.content,
            options,
            [p for p in (CUDA, CPU) if p in available],
        )
    except _REFUSALS as error:
        raise DistillError(
            f"the teacher {path} is not an ONNX file that can be run: {error}",
            "check it with onnx.checker; what onnxruntime lacks cannot be a teacher",
        ) from error


def _reads(session: ort.InferenceSession, path: Path) -> Reads:
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(i.name for i in inputs)
        raise DistillError(
            f"the teacher {path} has {len(inputs)} inputs: {names}",
            "a teacher reads pictures alone",
        )
    return Reads(str(path), inputs[0].type, inputs[0].shape)


def _fixed_batch(session: ort.InferenceSession) -> int:
    """Pictures that the file takes, no more and no fewer; 0: any number."""
    batch = session.get_inputs()[0].shape[0]
    return batch if isinstance(batch, int) and batch > 0 else 0


def _sha256(weights: Weights, prepare: Preparation, output: str, side: int) -> str:
    """Of the file, and of all that is done with it beside asking it as it stands."""
    if prepare.plain(side) and not output:
        return weights.sha256
    facts = {"weights": weights.sha256, "prepare": asdict(prepare), "output": output}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _prepared(
    said: config.TeacherInput | None, reads: Reads, path: Path
) -> tuple[Preparation, str]:
    """How its pictures are prepared, and what of that is said by what lies beside it, in words.

    What cannot be read there is an error only where the recipe leaves the numbers open.
    """
    if reads.kind == BYTES:
        return preparation.resolve(said, reads), ""
    own = said is not None and said.numbers
    try:
        told, where = beside.find(path)
    except DistillError as error:
        if not own:
            raise
        return preparation.resolve(said, reads), f"; passed over: {error}"
    prepare = preparation.resolve(said, reads, told)
    if own:  # what lies beside it may say the rest
        changed = prepare != preparation.resolve(said, reads)
        return prepare, f"; resized as {where} says" if changed else ""
    return prepare, f", as {where} says" if where else ""


def _notes(prepare: Preparation, how: str, path: Path, side: int) -> tuple[str, ...]:
    """How it is asked, where that is not as it stands."""
    if prepare.plain(side):
        return ()
    note, whole = f"{path.name} reads {prepare.said}{how}", round(max(prepare.sides) / prepare.crop)
    if whole <= side:
        return (note,)
    large = f"pictures are kept at {side} pixels: data.keep_size: {whole} shows it larger ones"
    return (note, f"{large} as they are")


def _labels(session: ort.InferenceSession, said: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """Names of its classes, in order: those that the recipe says, else the file's, if any."""
    own = class_names.labels(session.get_modelmeta().custom_metadata_map, path)
    if said and said != own and sorted(said) == sorted(own):
        raise DistillError(
            f"teacher.classes has the names in {path} in another order",
            "leave teacher.classes out: the file says them in the order of its answers",
        )
    return said or own


KIND = Kind(open_onnx, ("pictures",))
