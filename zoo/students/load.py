"""Run a student: onnxruntime, its labels, and nothing to know about preprocessing.

    student = zoo.load("cifar10-separable-small.kd")
    student("cat.jpg")       # [("cat", 0.93), ("dog", 0.04), ...]
    student = zoo.load("langid75-ngram-small.lingua")
    student("guten Morgen")  # [("de", 0.97), ("lb", 0.01), ...]

The ONNX file is the whole model: it resizes and normalises pictures, reads raw code points, and
carries its labels. What it reads decides which kind of student it is.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import InputError, NotFound, ZooWarning
from zoo.students import session as sessions
from zoo.students.student import Precision, Prediction, Student, precision_of
from zoo.tasks.image_classification.student import PictureStudent
from zoo.tasks.text_classification.student import TextStudent

if TYPE_CHECKING:
    import onnxruntime as ort

    from zoo.registry.registries import Where

__all__ = ["FILES", "PictureStudent", "Prediction", "Student", "TextStudent", "load"]

FILES = {"int8": "model.int8.onnx", "fp32": "model.fp32.onnx"}
KINDS: tuple[type[Student], ...] = (PictureStudent, TextStudent)

_TEXT_TASK = b"text-classification"  # stands in the metadata of text students
_BLOCK_BYTES = 1 << 18  # read at once


def load(
    name_or_path: str | os.PathLike[str],
    *,
    precision: Precision = "auto",
    threads: int = 0,
    cache: str | Path | None = None,
    registry: Where = None,
) -> Student:
    """The student of that name (pulled if need be), in that folder, or in that ONNX file.

    A bare name is always one of the registry: a folder beside you is "./NAME".

    registry: where the name is looked up, in place of $ZOO_REGISTRY: a path, a URL, ORG/NAME on a
    hub, or several; see `zoo.registry.registries`.

    precision: "auto" takes the 8-bit file if it gives the published answers on this processor.
    threads: of one session; 0 means one a physical core, and one for a text student, whose graph
    is too small to share.
    """
    if not _is_name(name_or_path):
        return open_student(Path(name_or_path), precision, threads)
    from zoo.students.pull import pull

    folder = pull(str(name_or_path), cache=cache, registry=registry, verify=False)
    return open_student(folder, precision, threads)


def _is_name(name_or_path: str | os.PathLike[str]) -> bool:
    """Whether a text is a student's name: no separator, no .onnx at its end. A Path never is."""
    if not isinstance(name_or_path, str) or name_or_path.endswith(".onnx"):
        return False
    return not {os.sep, os.altsep or os.sep, "/"} & set(name_or_path)


def open_student(path: Path, precision: Precision, threads: int) -> Student:
    """The student in a folder (as published) or in one ONNX file.

    A file's precision is what its name says: int8 where that has "int8" in it, else fp32. One that
    is asked for by another precision is an InputError.
    """
    _check_precision(path, precision)
    file = _choose(path, precision) if path.is_dir() else path
    student = _opened(file, threads)
    if path.is_file() or precision != "auto" or not _differs(student, path):
        return student
    warnings.warn(
        f"{student.name}: the 8-bit file answers differently on this processor; "
        'the fp32 file is used (precision="int8" insists)',
        ZooWarning,
        stacklevel=3,
    )
    return _opened(path / FILES["fp32"], threads)


def _opened(file: Path, threads: int) -> Student:
    session = _session(file, threads)
    return _kind(session, file)(file, session)


def _differs(student: Student, folder: Path) -> bool:
    """Whether it is the 8-bit file of the folder's two, and not as published on this processor."""
    if student.precision != "int8" or not _has(folder, "fp32"):
        return False
    from zoo.students.golden import golden

    return not golden(folder, "int8", student.session).ok


def _check_precision(path: Path, precision: str) -> None:
    if precision not in ("auto", *FILES):
        raise InputError(f'precision is "auto", "int8" or "fp32", not "{precision}"')
    if path.is_file() and precision not in ("auto", precision_of(path)):
        raise InputError(
            f"{path}: by its name a file of precision {precision_of(path)}, not {precision}",
            "leave the precision out, or give the student's folder",
        )


def _choose(folder: Path, precision: Precision) -> Path:
    """The file of a folder that `precision` means; "auto" would rather have 8 bits."""
    there = {kind: folder / file for kind, file in FILES.items() if _has(folder, kind)}
    if precision != "auto":
        if precision not in there:
            raise NotFound(f"{folder}: no {FILES[precision]}", f"there is: {', '.join(there)}")
        return there[precision]
    if not there:
        raise NotFound(f"{folder}: neither {FILES['int8']} nor {FILES['fp32']} in it")
    return there.get("int8") or there["fp32"]


def _has(folder: Path, precision: str) -> bool:
    return (folder / FILES[precision]).is_file()


def _session(file: Path, threads: int) -> ort.InferenceSession:
    """A session that suits the kind of student, which must be known before there is one.

    A text student gets one thread unless more are asked for, and no arena, which would keep the
    memory of its largest batch.
    """
    text = file.is_file() and _holds(file, _TEXT_TASK)
    return sessions.create(file, threads=threads or int(text), arena=not text)


def _holds(file: Path, wanted: bytes) -> bool:
    """Whether these bytes stand in a file, of which a block at a time is read."""
    end = b""
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            if wanted in end + block:
                return True
            end = (end + block)[1 - len(wanted) :]
    return False


def _kind(session: ort.InferenceSession, path: Path) -> type[Student]:
    """The class of students that read what this file reads."""
    outputs = [(o.name, o.type, len(o.shape)) for o in session.get_outputs()]
    for kind in KINDS:
        if [kind.contract] == sessions.described(session) and _LOGITS in outputs:
            return kind
    nodes = (*session.get_inputs(), *session.get_outputs())
    shown = ", ".join(f"{node.name} {node.type} {node.shape}" for node in nodes)
    raise InputError(
        f"{path}: an ONNX file, but not a student: it has {shown}",
        "a student has one input, image tensor(uint8) (n, h, w, 3) or codepoints tensor(int32) "
        "(n, length), and the output logits tensor(float) (n, classes)",
    )


_LOGITS = ("logits", "tensor(float)", 2)
