"""What a teacher calls its classes, read before it is opened."""

from __future__ import annotations

import json
from pathlib import Path

from distill import config
from distill.errors import DistillError
from distill.files import DAMAGED, expanded, open_plain
from distill.teachers.classes import own

KEY = "studentzoo.labels"  # of a file's metadata: a JSON list
HINT = "say them in the recipe, in the order of its answers: data.classes: [first, second, ...]"


def class_names(settings: config.Teacher, onnx_path: Path | None = None) -> tuple[str, ...]:
    """As `teacher.classes` or its file says them, two or more; `DistillError` where nothing does.

    onnx_path is the file of another recipe's student, as in `open_teacher`.
    """
    said = own(settings.classes)
    if said:
        return said
    path = onnx_path or (expanded(settings.onnx) if settings.onnx else None)
    if path is None:
        name = settings.callable or settings.pretrained or settings.recipe
        raise DistillError(f"the teacher {name} does not name its classes", HINT)
    text = _metadata(path).get(KEY)
    if text is None:
        raise DistillError(f"the teacher {path} does not name its classes", HINT)
    try:
        names = json.loads(text)
    except ValueError as error:
        raise DistillError(f"the labels in {path} are not JSON: {error}", HINT) from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DistillError(f"the labels in {path} are not a JSON list of names", HINT)
    if len(set(names)) != len(names) or len(names) < 2:
        raise DistillError(f"the labels in {path} are fewer than two, or one is there twice", HINT)
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
