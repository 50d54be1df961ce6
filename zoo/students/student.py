"""What all students share: one ONNX file in a session, and how it is opened.

Student                            zoo/students/student.py: any input, any output
└── Classifier                     zoo/students/classifier.py: labels and probabilities
    ├── PictureStudent             zoo/tasks/image_classification
    └── TextStudent                zoo/tasks/text_classification

The ONNX file is the whole model: it resizes and normalises pictures, reads raw code points, and
carries its labels. The task in its metadata tells which kind of student it is.
"""

from __future__ import annotations

import json
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from zoo.errors import InputError, NotFound, ZooError, ZooWarning
from zoo.records import task
from zoo.records.names import FILES
from zoo.said import one_line
from zoo.students import metadata
from zoo.students import session as sessions
from zoo.students.golden import golden
from zoo.students.session import ORT_ERRORS

if TYPE_CHECKING:
    import onnxruntime as ort

    from zoo.inputs.asked import Asked

Precision = Literal["auto", "int8", "fp32"]
Node = tuple[str, str, int]  # name, type and rank of an input or output


class Student(ABC):
    """One ONNX file in a session."""

    contract: ClassVar[Node]  # the graph's one input
    output: ClassVar[Node] = ("logits", "tensor(float)", 2)
    threads: ClassVar[int] = 0  # of a session where nobody says; 0: one a physical core
    arena: ClassVar[bool] = True  # keep the memory of a batch for the next one
    keys: ClassVar[Mapping[str, str]] = {}  # that its metadata must have -> Python that makes them
    csv: ClassVar[bool] = False  # whether `told` writes a table
    task = ""  # its name
    labels: tuple[str, ...] = ()  # of its answers; empty: they have none

    def __init__(self, path: Path, session: ort.InferenceSession) -> None:
        about = sessions.metadata(session, path)
        self.path = path
        self.session = session
        self.name: str = about.get("studentzoo.name", path.stem)
        self.precision = precision_of(path)
        self._read(about)

    @staticmethod
    def open(
        path: str | os.PathLike[str], *, precision: Precision = "auto", threads: int = 0
    ) -> Student:
        """The student in a folder (as published) or in one ONNX file; see `zoo.load`.

        A file's precision is what its name says: int8 where that has "int8" in it, else fp32. One
        that is asked for by another precision is an InputError.
        """
        return open_student(Path(path), precision, threads)

    def __repr__(self) -> str:
        labels = f", {len(self.labels)} labels" if self.labels else ""
        return f"<Student {self.name} {self.precision}{labels}>"

    @abstractmethod
    def __call__(self, given: Any) -> Any:
        """The answer to one input, or a list of answers."""

    @abstractmethod
    def told(self, asked: Asked) -> Iterator[str | ZooError]:
        """What `zoo run` prints: lines, and what is wrong with an input that stops no other."""

    def _read(self, about: dict[str, str]) -> None:  # noqa: B027 (some keep nothing)
        """Keep what this kind of student has in the file's metadata."""

    def _run(self, batch: np.ndarray) -> np.ndarray:
        """The output of a batch that fits the graph's input."""
        try:
            return self.session.run([self.output[0]], {self.contract[0]: batch})[0]
        except ORT_ERRORS as problem:
            said = one_line(problem, 2000)
            raise InputError(f"{self.path}: onnxruntime cannot run it: {said}") from None


def precision_of(file: Path) -> str:
    """Of a file, by its name."""
    return "int8" if "int8" in file.name else "fp32"


def metadata_value(about: dict[str, str], key: str, path: Path) -> Any:
    """One JSON value of the file's metadata."""
    try:
        return json.loads(about[key])
    except (KeyError, ValueError, RecursionError):
        raise InputError(
            f"{path}: an ONNX file, but not a student: its metadata has no {key}",
            "a student carries its labels and its input in its metadata",
        ) from None


# --- opening -------------------------------------------------------------------------------------


def open_student(path: Path, precision: Precision, threads: int) -> Student:
    """See `Student.open`."""
    _check_precision(path, precision)
    student = _opened(_choose(path, precision) if path.is_dir() else path, threads)
    if path.is_file() or precision != "auto" or not _differs(student, path):
        return student
    warnings.warn(
        f"{student.name}: the 8-bit file answers differently on this processor; "
        'the fp32 file is used (precision="int8" insists)',
        ZooWarning,
        stacklevel=3,
    )
    other = _opened(path / FILES["fp32"], threads)
    if (type(other), other.labels) != (type(student), student.labels):
        raise InputError(f"{path}: its fp32 and its int8 file are of different students")
    return other


def _opened(file: Path, threads: int) -> Student:
    """The student in a file; its task must be known before there is a session that suits it."""
    named = metadata.read(file).get("studentzoo.task", "")
    kinds = {name: _kind(name) for name in ([named] if named else task.names())}
    likely = kinds[named] if named else Student
    session = sessions.create(file, threads=threads or likely.threads, arena=likely.arena)
    if sessions.metadata(session, file).get("studentzoo.task", "") != named:
        raise InputError(f"{file}: its metadata cannot be read in one way only", sessions.ONNX_HINT)
    for name, kind in kinds.items():
        if [kind.contract] == sessions.inputs(session) and kind.output in sessions.outputs(session):
            _check_keys(file, kind, name)
            student = kind(file, session)
            student.task = name
            return student
    nodes = (*session.get_inputs(), *session.get_outputs())
    shown = ", ".join(f"{node.name} {node.type} {node.shape}" for node in nodes)
    wanted = " or ".join(
        f"{_shown(kind.contract)} -> {_shown(kind.output)}" for kind in kinds.values()
    )
    hint = f"a student has one input and an output, here {wanted}"
    if [node[1:] for node in sessions.inputs(session)] == [("tensor(float)", 4)]:
        hint += "; `zoo compress FILE --data FOLDER --raw` makes a file that reads bytes"
    raise InputError(f"{file}: an ONNX file, but not a student: it has {shown}", hint)


def _check_keys(file: Path, kind: type[Student], name: str) -> None:
    """Refuse a file that lacks what it must say of itself, all of it at once."""
    there = metadata.read(file)
    missing = [key for key in kind.keys if key not in there]
    if not missing:
        return
    values = {"studentzoo.task": f'"{name}"', **kind.keys}
    raise InputError(
        f"{file}: an ONNX file, but not a student: its metadata has no {', '.join(missing)}",
        f"{_ADDING}{metadata.how_to_add(file, {k: values[k] for k in values if k not in there})}",
    )


_ADDING = (
    "with the labels in labels.txt, a line each in the order of the outputs, this adds them (onnx "
    "must be installed; a size is in pixels a side, as the graph resizes to): "
)


def _kind(name: str) -> type[Student]:
    return task.find(name).part("student", Student)


def _shown(node: Node) -> str:
    return f"{node[0]} {node[1]} of {node[2]} axes"


def _differs(student: Student, folder: Path) -> bool:
    """Whether it is the 8-bit file of the folder's two, and not as published on this processor."""
    if student.precision != "int8" or not (folder / FILES["fp32"]).is_file():
        return False
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
    there = {kind: folder / file for kind, file in FILES.items() if (folder / file).is_file()}
    if precision != "auto":
        if precision not in there:
            raise NotFound(f"{folder}: no {FILES[precision]}", f"there is: {', '.join(there)}")
        return there[precision]
    if not there:
        raise NotFound(f"{folder}: neither {FILES['int8']} nor {FILES['fp32']} in it")
    return there.get("int8") or there["fp32"]
