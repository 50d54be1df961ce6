"""An ONNX file that nobody published: is it a student, and how does it answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import InputError
from zoo.files import sha256
from zoo.measure.files import loads_of
from zoo.measure.meter import Meter, Progress
from zoo.measure.tally import Tally
from zoo.records import task
from zoo.records.names import FILES, GOLDEN
from zoo.students.golden import Verdict, golden
from zoo.students.student import Student, open_student

if TYPE_CHECKING:
    import numpy as np

TOGETHER = 3  # random inputs


@dataclass(frozen=True)
class Looked:
    """What was found of one file."""

    file: str  # as it was given
    sha256: str
    name: str  # in its metadata, else the file's
    task: str
    labels: int  # how many it has
    finite: bool  # whether all of its answers to random inputs are numbers
    same_alone: bool  # whether each input has the same first answer alone and with others
    difference: float | None  # largest of a number, alone and with others; None: not finite
    golden: Verdict | None  # None: no golden.npz beside it, or none of its precision

    @property
    def ok(self) -> bool:
        """Whether everything that was looked at is right."""
        return self.finite and self.same_alone and (self.golden is None or self.golden.ok)


def look(path: Path) -> tuple[Looked, Student]:
    """Open a file, and ask it; what is no student is one InputError that says what is lacking."""
    import numpy as np

    student = open_student(path, "auto", 1)
    node = student.session.get_inputs()[0]
    batch = node.shape[0] if isinstance(node.shape[0], int) else TOGETHER
    feed = loads_of(path, batch)[0].feed(node.type)
    together = _answers(student, feed)
    alone = together if batch == node.shape[0] else _one_by_one(student, feed)
    finite = bool(np.isfinite(together).all() and np.isfinite(alone).all())
    found = Looked(
        str(path),
        sha256(path),
        student.name,
        student.task,
        len(student.labels),
        finite,
        finite and task.find(student.task).agree(alone, together) == 1,
        float(np.abs(alone - together).max()) if finite else None,
        _golden(path, student),
    )
    return found, student


def counted(student: Student, root: Path, progress: Progress | None = None) -> Tally:
    """Its answers to the labelled examples below `root`."""
    if not root.is_dir():
        raise InputError(f"{root}: no such folder", "give the folder of labelled examples")
    return task.find(student.task).part("meter", Meter).counted(student, root, progress)


def _answers(student: Student, batch: np.ndarray) -> np.ndarray:
    from zoo.students.session import runner_of

    return runner_of(student.session, student.path)(batch)


def _one_by_one(student: Student, batch: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.concatenate([_answers(student, batch[i : i + 1]) for i in range(len(batch))])


def _golden(path: Path, student: Student) -> Verdict | None:
    """Of a file of a student's folder."""
    precision = next((kind for kind, file in FILES.items() if file == path.name), "")
    if not precision or not (path.parent / GOLDEN).is_file():
        return None
    return golden(path.parent, precision, student.session)
