"""Who answers: uint8 pictures or texts in, logits out, with source, hash and licence.

`TEACHERS` lists every kind; `open_teacher` is the door for pictures, `open_text_teacher` for texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from distill import config, own_code
from distill.errors import DistillError
from distill.files import expanded
from distill.table import Table
from distill.teachers import classes as names_of
from distill.teachers.teacher import Answer, Asked, Kind, Teacher

__all__ = [
    "TEACHERS",
    "Answer",
    "Asked",
    "Kind",
    "Teacher",
    "check",
    "open_teacher",
    "open_text_teacher",
]

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
    names: tuple[str, ...] = (),
    onnx_path: Path | None = None,
    threads: int = 0,
) -> Teacher:
    """The teacher that a recipe asks for, its contract checked before its first answer.

    image_size is the side in pixels of the pictures it will see. names are those of the data's
    classes, which answers are matched to where the teacher's own are known. onnx_path is the
    file of a teacher that is another recipe's student (whoever builds knows it); it goes before
    `settings.onnx`. threads: cores that a file answers on (0: all).
    """
    return _open(settings, Asked("pictures", classes, names, image_size, onnx_path, threads))


def open_text_teacher(settings: config.Teacher, classes: tuple[str, ...]) -> Teacher:
    """The teacher of texts that a recipe asks for; classes are the names of the data's."""
    return _open(settings, Asked("texts", len(classes), classes))


def check(settings: config.Teacher, what: str) -> None:
    """Refuse a teacher of "pictures" or "texts" that is not there; it is not opened."""
    kind = _kind(settings, what)
    with _blamed("pretrained"):
        kind.check(settings)
    with _blamed("classes"):
        names_of.own(settings.classes)
    takes = "uint8 (n, h, w, 3) and gives logits (n, classes)"
    wanted = {
        "onnx": "",
        "callable": f"it takes {takes}",
        "module": f"it gives an nn.Module that takes {takes}",
    }
    for key in (key for key in wanted if getattr(settings, key)):
        address = getattr(settings, key)
        with _blamed(key):
            if key == "onnx" or address.endswith(".pt2"):
                _check_file(address)
            else:
                own_code.find(address, wanted[key])


def _check_file(path: str) -> None:
    if not expanded(path).is_file():
        hint = "a relative path starts at the working directory"
        raise DistillError(f"there is no file {path}", hint)


@contextmanager
def _blamed(key: str) -> Iterator[None]:
    """An error is that of a key of the recipe's teacher."""
    try:
        yield
    except DistillError as error:
        raise DistillError(str(error), error.hint, ("teacher", key)) from error


def _open(settings: config.Teacher, asked: Asked) -> Teacher:
    kind = _kind(settings, asked.what)
    own = names_of.own(settings.classes)
    if own and not asked.names:
        raise DistillError("teacher.classes is given, but the data's classes have no names")
    width = len(own) or asked.classes
    return _matched(kind.open(settings, asked._replace(labels=own, classes=width)), asked, own)


def _matched(teacher: Teacher, asked: Asked, own: tuple[str, ...]) -> Teacher:
    """With answers in the order of the data's classes, where both have names."""
    known = own or teacher.labels
    if known and len(known) != teacher.classes:
        raise DistillError(
            f"the teacher {teacher.name} gives {teacher.classes} answers, and has names for "
            f"{len(known)}",
            "teacher.classes says all of its classes, in its order",
        )
    teacher = replace(teacher, labels=known)
    if known and asked.names:
        return names_of.answering(teacher, asked.names)
    if teacher.classes != asked.classes:
        raise DistillError(
            f"{teacher.name} names {teacher.classes} classes; the data has {asked.classes}"
        )
    return teacher


def _kind(settings: config.Teacher, what: str) -> Kind:
    """How such a teacher is opened, which reads `what`."""
    fields = ("recipe", "onnx", "callable", "module")
    field = next((key for key in fields if getattr(settings, key)), "pretrained")
    key = ("teacher", field)
    if settings.pretrained in fields:
        raise DistillError(f"no pretrained teacher is called {settings.pretrained!r}", "", key)
    name = settings.pretrained or field
    if name not in TEACHERS:
        raise DistillError(f"no {TEACHERS.what} {name!r}", TEACHERS.near(name), key)
    kind: Kind = TEACHERS.load(name)
    if what not in kind.reads:
        raise DistillError(
            f"{getattr(settings, field)} is not a teacher of {what}",
            "give one that is in distill.teachers.TEACHERS, or callable: module:function",
            key,
        )
    return kind
