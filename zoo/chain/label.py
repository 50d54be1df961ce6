"""label: data is read, the teacher opened, and asked about every view once."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from zoo.chain.job import Job
from zoo.chain.made import Exported, Labelled
from zoo.errors import RecipeError
from zoo.records import plain
from zoo.records.names import FILES
from zoo.records.recipe import Recipe, digest
from zoo.records.run import TeacherRun

if TYPE_CHECKING:
    from distill import config
    from distill.labels import Kept
    from distill.teachers import Teacher

Elder = tuple[Recipe, Exported]  # a recipe that is a teacher, and what the chain made of it


def run(
    elder: Elder | None, job: Job, *, teacher: config.Teacher | None, labels: config.Labels
) -> Labelled:
    """`elder` is the teacher where it is another recipe's student."""
    maker = job.maker
    job.tell(f"reading {job.recipe.data.source}")
    train, validation = maker.load("train", job.data), maker.load("validation", job.data)
    names = maker.labels(train)
    opened, record = _open(job, elder, names) if teacher else (None, None)
    _check_labels(opened, names)
    folder = job.root / "labels"

    @cache
    def kept() -> Kept | None:
        if opened is None:
            return None
        job.tell(f"{opened.name} labels {labels.views} views")
        return maker.keep(opened, train, folder)

    return Labelled(folder, train, validation, names, opened, record, kept)


def _open(job: Job, elder: Elder | None, labels: tuple[str, ...]) -> tuple[Teacher, TeacherRun]:
    """Who answers, and its record."""
    if elder is None:
        found = job.maker.teacher(labels, None)
        return found, _record(found)
    recipe, made = elder
    training = made.distilled.seeds[recipe.train.seeds[0]]
    found = replace(
        job.maker.teacher(labels, made.folder / FILES["fp32"]),
        name=recipe.name,
        source=recipe.summary,
        sha256=training.weights_sha256,
        licence=recipe.licence,
    )
    record = _record(found)
    return found, replace(
        record, recipe=plain.to_dict(recipe), recipe_sha256=digest(recipe), training=training
    )


def _record(teacher: Teacher) -> TeacherRun:
    facts = (teacher.name, teacher.source, teacher.sha256, teacher.licence)
    return TeacherRun(*facts, recipe=None, recipe_sha256=None, training=None)


def _check_labels(teacher: Teacher | None, labels: tuple[str, ...]) -> None:
    """The teacher's classes, where its file names them, are those of the data in the same order."""
    said = teacher.labels if teacher else ()
    for theirs, ours in zip(said, labels, strict=False):
        if teacher and theirs != ours:
            raise RecipeError(
                f'{teacher.name} says "{theirs}" where the data says "{ours}"',
                "a teacher and its student have the same classes in the same order",
            )
