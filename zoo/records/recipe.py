"""A recipe says what to do: data, teacher, student, loss, training, compression, gates.

    recipe = recipe.find("cifar10-shufflenet-v2-x0.5.kd")   # or a path of your own file

There are two kinds, told apart by `task`: of students that read pictures (`ImageRecipe`) and of
students that read texts (`TextRecipe`). The sections are the frozen configs of the stages
themselves; they are imported when a recipe is read, and none of them needs torch. Reading a recipe
touches neither data nor weights.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zoo.errors import NotFound, RecipeError
from zoo.files import PACKAGE
from zoo.records import plain, reader
from zoo.records.names import check_name

if TYPE_CHECKING:
    from compress.config import Compress, Gates, Rows
    from distill.config import (
        Augment,
        Data,
        Labels,
        Loss,
        Pieces,
        Student,
        Teacher,
        TextData,
        Train,
    )


def _augment() -> Augment:
    from distill.config import Augment

    return Augment()


def _labels() -> Labels:
    from distill.config import Labels

    return Labels()


def _loss() -> Loss:
    from distill.config import Loss

    return Loss()


def _pieces() -> Pieces:
    from distill.config import Pieces

    return Pieces()


@dataclass(frozen=True, kw_only=True)
class _Recipe:
    """What `zoo build` does for any student. A variant is a second file."""

    name: str  # of the student, as in registry.yaml: <data>-<architecture>-<size>.<tag>
    summary: str  # one line for people
    licence: str  # SPDX id under which the student is published
    student: Student  # what learns
    train: Train  # how long, how fast
    teacher: Teacher | None = None  # who answers; none: the student learns from the labels alone
    labels: Labels = field(default_factory=_labels)  # what is kept of the teacher
    loss: Loss = field(default_factory=_loss)  # what is minimised
    compress: Any = None  # how 8 bits are reached, by kind; none: an fp32 file only
    gates: Gates | None = None  # what an 8-bit file must reach to be published

    def __post_init__(self) -> None:
        check_name(self.name)
        for key in ("summary", "licence"):
            if not getattr(self, key).strip():
                raise ValueError(f"{key} must not be empty")
        if self.teacher is None and self.loss.name != "ce":
            raise ValueError(
                f'teacher is missing: the loss "{self.loss.name}" learns from one; '
                'add a teacher, or set loss.name to "ce"'
            )
        if self.teacher is not None and self.loss.name == "ce":
            raise ValueError('teacher is given, but the loss "ce" does not learn from one')
        if (self.compress is None) != (self.gates is None):
            raise ValueError("compress and gates belong together: give both, or neither")


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(_Recipe):
    """Of a student that reads pictures."""

    task: Literal["image-classification"] = "image-classification"  # where none is named, this one
    data: Data  # the labelled pictures
    augment: Augment = field(default_factory=_augment)  # how a view is drawn from a picture
    compress: Compress | None = None  # the ladder to 8 bits; none: an fp32 file only


@dataclass(frozen=True, kw_only=True)
class TextRecipe(_Recipe):
    """Of a student that reads texts."""

    task: Literal["text-classification"] = "text-classification"  # must be named
    data: TextData  # the labelled texts
    pieces: Pieces = field(default_factory=_pieces)  # how a view is cut from a text
    unknown_below: float = 0.5  # an answer of a smaller probability is called unknown
    compress: Rows | None = None  # the 8-bit codecs to try; none: an fp32 file only

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.unknown_below < 1:
            raise ValueError(f"unknown_below must lie in [0, 1), not {self.unknown_below}")


Recipe = ImageRecipe | TextRecipe
KINDS = {"image-classification": ImageRecipe, "text-classification": TextRecipe}


def read(path: str | Path) -> Recipe:
    """The recipe in a YAML file."""
    return bind(reader.load_yaml(path, RecipeError))


def bind(document: reader.Document) -> Recipe:
    """The recipe in a document, such as the one that run.json keeps."""
    data = document.data if isinstance(document.data, dict) else {}
    task = data.get("task", "image-classification")
    if isinstance(task, str) and task not in KINDS:
        where = document.where(("task",))
        raise RecipeError(f'{where}: no task is called "{task}"', reader.near(task, KINDS))
    kind = KINDS.get(str(task), ImageRecipe)  # what is no text is refused by the reader
    return reader.read(kind, document, RecipeError, _configs())


def digest(recipe: Recipe) -> str:
    """sha256 of the resolved recipe: the same for two files that mean the same."""
    return hashlib.sha256(plain.canonical(recipe).encode()).hexdigest()


def recipes(folder: Path | None = None) -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(path.stem for path in (folder or _folder()).glob("*.yaml"))


def path_of(name_or_path: str | Path) -> Path:
    """Where a recipe's file is: a path as given, or the packaged recipe of that name.

    A path is a Path, has a separator, or ends in .yaml or .yml; anything else is a name.
    """
    given = Path(name_or_path)
    separators = {os.sep, os.altsep or os.sep, "/"}
    named = isinstance(name_or_path, str) and not separators & set(name_or_path)
    if given.suffix in (".yaml", ".yml") or not named:
        if not given.is_file():
            raise NotFound(f"{given}: no such recipe file", "`zoo build` takes a path or a name")
        return given
    packaged = _folder() / f"{name_or_path}.yaml"
    if not packaged.is_file():
        hint = reader.near(str(name_or_path), recipes())
        raise NotFound(f'no recipe is called "{name_or_path}"', hint)
    return packaged


def find(name_or_path: str | Path) -> Recipe:
    """The recipe of that name, or in that file."""
    return read(path_of(name_or_path))


def _folder() -> Path:
    return PACKAGE / "recipes"


def _configs() -> dict[str, Any]:
    """The stages' configs by the names that the annotations above use."""
    from compress import config as compress
    from distill import config as distill

    sections = (
        *(compress.Compress, compress.Gates, compress.Rows),
        *(distill.Augment, distill.Data, distill.Labels, distill.Loss, distill.Pieces),
        *(distill.Student, distill.Teacher, distill.TextData, distill.Train),
    )
    return {section.__name__: section for section in sections}
