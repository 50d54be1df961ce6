"""What a teacher's file calls its classes, and what a teacher that is not open yet calls them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from distill import config
from distill.errors import DistillError
from distill.files import DAMAGED, expanded, open_plain
from distill.teachers.classes import own

KEY = "studentzoo.labels"  # of a file's metadata: a JSON list
HINT = "say them in the recipe, in the order of its answers: teacher.classes: [first, second, ...]"


def class_names(settings: config.Teacher, onnx_path: Path | None = None) -> tuple[str, ...]:
    """As `teacher.classes` or its file says them, two or more; `DistillError` where nothing does.

    onnx_path is the file of another recipe's student, as in `open_teacher`.
    """
    path = onnx_path or (expanded(settings.onnx) if settings.onnx else None)
    said = own(settings.classes)
    names = said or (labels(_metadata(path), path) if path else ())
    who = path or settings.callable or settings.module or settings.pretrained or settings.recipe
    if not names:
        raise DistillError(f"the teacher {who} does not name its classes", HINT)
    if len(set(names)) != len(names) or len(names) < 2:
        whose = "teacher.classes" if said else f"the labels in {path}"
        raise DistillError(f"{whose} are fewer than two, or one is there twice", HINT)
    return names


def labels(metadata: Mapping[str, str], path: Path) -> tuple[str, ...]:
    """Names of the classes of the file `path`, in order, if its metadata says them."""
    if KEY not in metadata:
        return ()
    try:
        names = json.loads(metadata[KEY])
    except (ValueError, RecursionError) as error:
        raise DistillError(f"the labels in {path} are not JSON: {error}", HINT) from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DistillError(f"the labels in {path} are not a JSON list of names", HINT)
    return tuple(names)


def _metadata(path: Path) -> dict[str, str]:
    """What an ONNX file says of itself; weights beside it are left alone."""
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    try:
        with open_plain(path) as file:
            model = ModelProto.FromString(file.read())
    except (DecodeError, *DAMAGED) as error:
        raise DistillError(f"the teacher {path} cannot be read: {error}") from error
    return {entry.key: entry.value for entry in model.metadata_props}
