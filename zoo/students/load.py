"""A name, a folder or a file, and it is a student that answers.

    student = zoo.load("cifar10-separable-small.kd")
    student("cat.jpg")       # [("cat", 0.93), ("dog", 0.04), ...]
    student = zoo.load("langid75-ngram-small.lingua")
    student("guten Morgen")  # [("de", 0.97), ("lb", 0.01), ...]

Nothing needs to be known of preprocessing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.students.student import Precision, Student, open_student

if TYPE_CHECKING:
    from zoo.registry.registries import Where


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
    threads: of one session; 0 means what suits its task: one a physical core for pictures, and one
    for a text student, whose graph is too small to share.
    """
    path: str | os.PathLike[str] = name_or_path
    if _is_name(name_or_path):
        from zoo.students.pull import pull

        path = pull(str(name_or_path), cache=cache, registry=registry, verify=False)
    return open_student(Path(path), precision, threads)


def _is_name(name_or_path: str | os.PathLike[str]) -> bool:
    """Whether a text is a student's name: no separator, no .onnx at its end. A Path never is."""
    if not isinstance(name_or_path, str) or name_or_path.endswith(".onnx"):
        return False
    return not {os.sep, os.altsep or os.sep, "/"} & set(name_or_path)
