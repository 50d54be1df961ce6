"""Who answers: uint8 pictures or texts in, logits out, with source, hash and licence.

`TEACHERS` lists every kind; `open_teacher` is the door for pictures, `open_text_teacher` for texts.
"""

from __future__ import annotations

from pathlib import Path

from distill import config
from distill.errors import DistillError
from distill.table import Table
from distill.teachers.teacher import Answer, Asked, Kind, Teacher

__all__ = ["TEACHERS", "Answer", "Asked", "Kind", "Teacher", "open_teacher", "open_text_teacher"]

TEACHERS = Table("teacher")  # field of config.Teacher, or what `pretrained` says -> its Kind
TEACHERS["recipe"] = "distill.teachers.onnx_file:KIND"
TEACHERS["onnx"] = "distill.teachers.onnx_file:KIND"
TEACHERS["callable"] = "distill.teachers.python_callable:KIND"
TEACHERS["module"] = "distill.teachers.torch_module:KIND"
TEACHERS["efficientnet-lite0"] = "distill.teachers.efficientnet_lite:KIND"
TEACHERS["efficientnet-lite1"] = "distill.teachers.efficientnet_lite:KIND"
TEACHERS["efficientnet-lite2"] = "distill.teachers.efficientnet_lite:KIND"
TEACHERS["lingua"] = "distill.teachers.lingua:KIND"


def open_teacher(
    settings: config.Teacher,
    classes: int,
    image_size: int,
    *,
    onnx_path: Path | None = None,
    threads: int = 0,
) -> Teacher:
    """The teacher that a recipe asks for, its contract checked before its first answer.

    image_size is the side in pixels of the pictures it will see. onnx_path is the file of a
    teacher that is another recipe's student (whoever builds knows it); it goes before
    `settings.onnx`. threads: cores that a file answers on (0: all).
    """
    return _open(settings, Asked("pictures", classes, (), image_size, onnx_path, threads))


def open_text_teacher(settings: config.Teacher, classes: tuple[str, ...]) -> Teacher:
    """The teacher of texts that a recipe asks for; classes are the names of the data's."""
    return _open(settings, Asked("texts", len(classes), classes))


def _open(settings: config.Teacher, asked: Asked) -> Teacher:
    fields = ("recipe", "onnx", "callable", "module")
    if settings.pretrained in fields:
        raise DistillError(f"no pretrained teacher is called {settings.pretrained!r}")
    name = settings.pretrained or next(key for key in fields if getattr(settings, key))
    kind = TEACHERS.load(name)
    if asked.what not in kind.reads:
        raise DistillError(
            f"{getattr(settings, name, name)} is not a teacher of {asked.what}",
            "give one that is in distill.teachers.TEACHERS, or callable: module:function",
        )
    return kind.open(settings, asked)
