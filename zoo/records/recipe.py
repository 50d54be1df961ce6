"""A recipe says what to do: data, teacher, student, loss, training, compression, gates.

    recipe = recipe.find("cifar10-shufflenet-v2-x0.5.kd")   # or a path of your own file

Each task has its own kind (`zoo.records.task`). The sections are the frozen configs of the stages
themselves; they are imported when a recipe is read, and none of them needs torch. Reading a recipe
touches neither data nor weights.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.errors import NotFound, RecipeError
from zoo.files import PACKAGE
from zoo.records import plain, reader, task
from zoo.records.names import check_name
from zoo.records.override import OPTION, override
from zoo.records.text import Document, load_yaml

if TYPE_CHECKING:
    from compress.config import Gates
    from distill.config import Labels, Loss, Student, Teacher, Train


def _labels() -> Labels:
    from distill.config import Labels

    return Labels()


def _loss() -> Loss:
    from distill.config import Loss

    return Loss()


_DEFAULT = "image-classification"


@dataclass(frozen=True, kw_only=True)
class Recipe:
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
    task: str = ""  # what kind of student it is
    data: Any  # the examples; at least `source`, `home` and `licence`

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
        if self.teacher is None and self.gates and self.gates.max_gap_points is not None:
            raise ValueError("gates has max_gap_points, but there is no teacher to be near to")
        if (self.compress is None) != (self.gates is None):
            raise ValueError("compress and gates belong together: give both, or neither")


class Written(NamedTuple):
    """A recipe, and what it was read from."""

    recipe: Recipe
    document: Document  # tells the line of a key


def read(path: str | Path) -> Recipe:
    """The recipe in a YAML file."""
    return bind(load_yaml(path, RecipeError))


def bind(document: Document) -> Recipe:
    """The recipe in a document, such as the one that run.json keeps."""
    data = document.data if isinstance(document.data, dict) else {}
    name = data.get("task", _DEFAULT)
    try:
        found = task.find(name if isinstance(name, str) else _DEFAULT)  # the reader refuses it
    except NotFound:
        where = document.where(("task",))
        hint = reader.near(name, task.names())
        raise RecipeError(f'{where}: no task is called "{name}"', hint) from None
    return reader.read(found.part("recipe", Recipe), document, RecipeError, _sections())


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


def written(name_or_path: str | Path, settings: Sequence[str] = ()) -> Written:
    """The same with its document, and KEY=VALUE settings over those of the file."""
    document = override(load_yaml(path_of(name_or_path), RecipeError), settings, RecipeError)
    try:
        return Written(bind(document), document)
    except RecipeError as error:
        if not settings or OPTION in str(error):
            raise
        options = ", ".join(f"{OPTION} {setting}" for setting in settings)
        raise RecipeError(f"{error} (with {options})", error.hint) from None


def _folder() -> Path:
    return PACKAGE / "recipes"


def _sections() -> dict[str, Any]:
    """The stages' configs by the names that `Recipe` uses; a task's own kind imports its own."""
    from compress.config import Gates
    from distill import config

    shared = (Gates, config.Labels, config.Loss, config.Student, config.Teacher, config.Train)
    return {section.__name__: section for section in shared}
