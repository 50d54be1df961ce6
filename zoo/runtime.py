"""Run a student: onnxruntime, its labels, and nothing to know about preprocessing.

    student = zoo.load("cifar10-shufflenet-v2-x0.5.kd")
    student("cat.jpg")                  # [("cat", 0.93), ("dog", 0.04), ...]
    student(["cat.jpg", "dog.png"])     # one such list a picture
    student.logits(batch)               # uint8 (n, h, w, 3) -> float32 (n, classes)

The ONNX file is the whole model: it resizes and normalises by itself, and carries its labels.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from zoo.errors import InputError, NotFound, ZooWarning

if TYPE_CHECKING:
    from PIL.Image import Image

    Picture = str | os.PathLike[str] | Image | np.ndarray

Prediction = list[tuple[str, float]]
Precision = Literal["auto", "int8", "fp32"]

FILES = {"int8": "model.int8.onnx", "fp32": "model.fp32.onnx"}
MAX_BATCH_PIXELS = 16_000_000  # of the pictures that go through the network together
MAX_BATCH = 256

_ORT_ERRORS = tuple(
    error
    for error in vars(ort_errors).values()
    if isinstance(error, type) and issubclass(error, Exception)
)


def load(
    name_or_path: str | os.PathLike[str],
    *,
    precision: Precision = "auto",
    threads: int = 0,
    cache: str | Path | None = None,
) -> Student:
    """The student of that name (pulled if need be), in that folder, or in that ONNX file.

    A bare name is always one of the registry: a folder beside you is "./NAME".

    precision: "auto" takes the 8-bit file if it gives the published answers on this processor.
    threads: of one session; 0 means one a physical core.
    """
    if not _is_name(name_or_path):
        return Student.open(name_or_path, precision=precision, threads=threads)
    from zoo.pull import pull

    folder = pull(str(name_or_path), cache=cache, verify=False)
    return Student.open(folder, precision=precision, threads=threads)


def _is_name(name_or_path: str | os.PathLike[str]) -> bool:
    """Whether a text is a student's name: no separator, no .onnx at its end. A Path never is."""
    if not isinstance(name_or_path, str) or name_or_path.endswith(".onnx"):
        return False
    return not {os.sep, os.altsep or os.sep, "/"} & set(name_or_path)


class Student:
    """One ONNX file in a session, with the labels that the file carries."""

    def __init__(self, path: str | os.PathLike[str], *, threads: int = 0) -> None:
        self.path = Path(path)
        self.session = _session(self.path, threads)
        _check_contract(self.session, self.path)
        about = self.session.get_modelmeta().custom_metadata_map
        self.name = about.get("studentzoo.name", self.path.stem)
        self.labels = _labels(about, self.session, self.path)
        self.image_size = _image_size(about, self.path)  # pixels a side, inside the graph
        self.precision = _precision(self.path)

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, precision: Precision = "auto", threads: int = 0
    ) -> Student:
        """The student in a folder (as published) or in one ONNX file.

        A file's precision is what its name says: int8 where that has "int8" in it, else fp32. One
        that is asked for by another precision is an InputError.
        """
        path = Path(path)
        _check_precision(path, precision)
        file = _choose(path, precision) if path.is_dir() else path
        student = cls(file, threads=threads)
        if precision == "auto" and file == path / FILES["fp32"] and _has(path, "int8"):
            warnings.warn(
                f"{student.name}: the 8-bit file answers differently on this processor; "
                'the fp32 file is used (precision="int8" insists)',
                ZooWarning,
                stacklevel=3,
            )
        return student

    def __repr__(self) -> str:
        return f"<Student {self.name} {self.precision}, {len(self.labels)} labels>"

    def __call__(self, pictures: Picture | Sequence[Picture], top: int = 5) -> Any:
        """The `top` likeliest labels with their probabilities, the likeliest first.

        pictures: a path, a PIL image or a uint8 array (h, w, 3) gives one list; a list of those or
        an array (n, h, w, 3) gives a list of lists. Sizes may differ within a list.
        """
        if top < 1:
            raise InputError(f"top must be at least 1, not {top}")
        if isinstance(pictures, list | tuple) or getattr(pictures, "ndim", 0) == 4:
            return self.rank(pictures, top)  # type: ignore[arg-type]
        return self.rank([pictures], top)[0]  # type: ignore[list-item]

    def rank(self, pictures: Iterable[Picture], top: int = 5) -> list[Prediction]:
        """One list of (label, probability) a picture."""
        arrays = [as_array(picture, self.image_size) for picture in pictures]
        return [_ranked(row, self.labels, top) for row in softmax(self._logits_of(arrays))]

    def logits(self, batch: np.ndarray) -> np.ndarray:
        """Float32 (n, classes) for a uint8 batch (n, h, w, 3), as the graph gives them."""
        if getattr(batch, "ndim", 0) != 4:
            raise _wrong_array(batch, "(n, h, w, 3)")
        check_array(batch, "(n, h, w, 3)")
        if len(batch) == 0:
            return np.zeros((0, len(self.labels)), np.float32)
        try:
            return self.session.run(["logits"], {"image": np.ascontiguousarray(batch)})[0]
        except _ORT_ERRORS as problem:
            raise InputError(f"{self.path}: onnxruntime cannot run it: {problem}") from None

    def _logits_of(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Float32 (n, classes) of pictures of any sizes; equal sizes go together."""
        logits = np.zeros((len(arrays), len(self.labels)), np.float32)
        for rows in groups([array.shape for array in arrays]):
            logits[rows] = self.logits(np.stack([arrays[row] for row in rows]))
        return logits


def as_array(picture: Picture, size: int) -> np.ndarray:
    """Array uint8 (h, w, 3) of a path, a PIL image or such an array, for a model of `size`."""
    if isinstance(picture, np.ndarray):
        check_array(picture, "(h, w, 3)")
        return picture
    from zoo import image

    if isinstance(picture, str | os.PathLike):
        return image.read(Path(picture), size)
    if hasattr(picture, "getexif"):  # a PIL image, whatever its class
        return image.to_array(picture, size)
    kind = type(picture).__name__
    raise InputError(
        f"a picture cannot be a {kind}", "give a path, a PIL image or a uint8 array (h, w, 3)"
    )


def check_array(array: np.ndarray, wanted: str) -> None:
    """Refuse an array that is not uint8 of the shape `wanted`: "(h, w, 3)" or "(n, h, w, 3)"."""
    if array.ndim != wanted.count(",") + 1 or array.shape[-1] != 3 or 0 in array.shape[-3:]:
        raise _wrong_array(array, wanted)
    if array.dtype != np.uint8:
        hint = "pixels are whole numbers from 0 to 255: use array.astype(numpy.uint8)"
        if np.issubdtype(array.dtype, np.floating):
            hint = "for values in 0..1, use (array * 255).round().astype(numpy.uint8)"
        raise InputError(f"the array must be uint8, not {array.dtype}", hint)


def _wrong_array(array: Any, wanted: str) -> InputError:
    shape = getattr(array, "shape", type(array).__name__)
    return InputError(
        f"the array must have the shape {wanted}, RGB last, not {shape}",
        "a grey picture is np.repeat(grey[..., None], 3, axis=-1); channels first is "
        "array.transpose(1, 2, 0)",
    )


def groups(shapes: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Rows that may go through the network together: of one shape, not too many pixels."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for row, shape in enumerate(shapes):
        by_shape.setdefault(shape, []).append(row)
    parts = []
    for (height, width, _), rows in by_shape.items():
        step = max(1, min(MAX_BATCH, MAX_BATCH_PIXELS // (height * width)))
        parts += [rows[i : i + step] for i in range(0, len(rows), step)]
    return parts


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis of logits (n, classes)."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=-1, keepdims=True)


def _ranked(row: np.ndarray, labels: Sequence[str], top: int) -> Prediction:
    order = np.argsort(-row, kind="stable")[:top]
    return [(labels[i], float(row[i])) for i in order]


def _precision(file: Path) -> str:
    return "int8" if "int8" in file.name else "fp32"


def _check_precision(path: Path, precision: str) -> None:
    if precision not in ("auto", *FILES):
        raise InputError(f'precision is "auto", "int8" or "fp32", not "{precision}"')
    if path.is_file() and precision not in ("auto", _precision(path)):
        raise InputError(
            f"{path}: by its name a file of precision {_precision(path)}, not {precision}",
            "leave the precision out, or give the student's folder",
        )


def _choose(folder: Path, precision: Precision) -> Path:
    """The file of a folder that `precision` means on this processor."""
    there = {kind: folder / file for kind, file in FILES.items() if _has(folder, kind)}
    if precision != "auto":
        if precision not in there:
            raise NotFound(f"{folder}: no {FILES[precision]}", f"there is: {', '.join(there)}")
        return there[precision]
    if not there:
        raise NotFound(f"{folder}: neither {FILES['int8']} nor {FILES['fp32']} in it")
    if "int8" in there and ("fp32" not in there or _passes(folder)):
        return there["int8"]
    return there["fp32"]


def _has(folder: Path, precision: str) -> bool:
    return (folder / FILES[precision]).is_file()


def _passes(folder: Path) -> bool:
    """Whether the 8-bit file gives the published answers here."""
    from zoo.verify import golden

    return golden(folder, "int8").ok


def _session(path: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only; they come as exceptions too
    if not path.is_file():
        raise NotFound(f"{path}: no such file")
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except _ORT_ERRORS as problem:
        said = " ".join(str(problem).split())
        raise InputError(
            f"{path}: not an ONNX file that onnxruntime {ort.__version__} can run: {said}",
            "give the name of a student (`zoo list`), the folder of one, or its ONNX file",
        ) from None


def _check_contract(session: ort.InferenceSession, path: Path) -> None:
    inputs = [(i.name, i.type, len(i.shape)) for i in session.get_inputs()]
    outputs = [(o.name, o.type, len(o.shape)) for o in session.get_outputs()]
    wanted = ("logits", "tensor(float)", 2)
    if inputs != [("image", "tensor(uint8)", 4)] or wanted not in outputs:
        nodes = (*session.get_inputs(), *session.get_outputs())
        shown = ", ".join(f"{node.name} {node.type} {node.shape}" for node in nodes)
        raise InputError(
            f"{path}: an ONNX file, but not a student: it has {shown}",
            "a student has one input, image tensor(uint8) (n, h, w, 3), and the output logits "
            "tensor(float) (n, classes)",
        )


def _labels(about: dict[str, str], session: ort.InferenceSession, path: Path) -> tuple[str, ...]:
    labels = _metadata(about, "studentzoo.labels", path)
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise InputError(f"{path}: studentzoo.labels in its metadata is not a list of texts")
    classes = next(o.shape[1] for o in session.get_outputs() if o.name == "logits")
    if isinstance(classes, int) and classes != len(labels):
        raise InputError(f"{path}: {classes} classes, but {len(labels)} labels in its metadata")
    return tuple(labels)


def _image_size(about: dict[str, str], path: Path) -> int:
    described = _metadata(about, "studentzoo.input", path)
    size = described.get("size") if isinstance(described, dict) else None
    if type(size) is not int or size < 1:
        raise InputError(f"{path}: studentzoo.input in its metadata names no size in pixels")
    return size


def _metadata(about: dict[str, str], key: str, path: Path) -> Any:
    """One JSON value of the file's metadata."""
    try:
        return json.loads(about[key])
    except (KeyError, ValueError):
        raise InputError(
            f"{path}: an ONNX file, but not a student: its metadata has no {key}",
            "a student carries its labels and its input in its metadata",
        ) from None
