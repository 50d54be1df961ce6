"""Which output of an ONNX file are the answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from distill.errors import DistillError

FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)")


class Known(NamedTuple):
    """How many classes a teacher has, and who says so."""

    classes: int
    named: bool  # by names of its own; else as many as the data

    def __str__(self) -> str:
        whose = "its own names are those of" if self.named else "the data has"
        return f"{whose} {self.classes} classes"


def choose(outputs: Sequence[Any], wanted: str, known: Known, path: Path) -> str:
    """The name of the output `wanted`, or of the only one that can have a number a class.

    outputs are onnxruntime's, with name, type and shape. `DistillError` where there is no such one,
    or more than one.
    """
    given = ", ".join(f"{o.name} {o.type} {o.shape}" for o in outputs)
    if wanted and wanted not in (o.name for o in outputs):
        raise DistillError(f"the teacher {path} has no output {wanted!r}", f"it gives {given}")
    rows = [o for o in outputs if wanted in ("", o.name) and _is_rows(o)]
    if not rows:
        raise DistillError(
            f"the teacher {path} gives {given}: no numbers (n, classes)",
            "teacher.output names the output that does",
        )
    exact = [o for o in rows if o.shape[1] == known.classes]
    found = exact or [o for o in rows if not isinstance(o.shape[1], int)]
    if len(found) == 1:
        return str(found[0].name)
    if found:
        raise DistillError(
            f"the teacher {path} gives {given}: more than one may be its answers; {known}",
            f"say which: teacher.output: {' or '.join(o.name for o in found)}",
        )
    raise DistillError(
        f"the teacher {path} gives {given}; {known}",
        "if it knows other classes than the data, teacher.classes says their names, in its order: "
        "a list, or a file with a name a line",
    )


def rows(answers: np.ndarray) -> np.ndarray:
    """(n, width, 1, 1), as some networks end, as (n, width); others as they are."""
    return answers.reshape(answers.shape[:2]) if answers.shape[2:] == (1, 1) else answers


def _is_rows(output: Any) -> bool:
    """Whether an output is (n, width), or that with axes of length 1 behind it."""
    shape = output.shape
    return output.type in FLOATS and len(shape) in (2, 4) and list(shape[2:]) in ([], [1, 1])
