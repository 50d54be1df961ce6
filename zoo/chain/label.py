"""label: the teacher is opened, by the file that labels, and asked about every view once."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.chain import answer, check, quicken
from zoo.chain.job import Job, Step, code
from zoo.chain.made import Exported, Labelled, Read, Steps
from zoo.errors import RecipeError
from zoo.files import sha256
from zoo.records import plain
from zoo.records.names import FILES
from zoo.records.recipe import Recipe, digest
from zoo.records.run import TeacherRun, Training

if TYPE_CHECKING:
    from distill import config
    from distill.labels import Kept
    from distill.teachers import Teacher
    from distill.trial import Trial


class Elder(NamedTuple):
    """A recipe whose student is the teacher, and what was made of it."""

    recipe: Recipe
    file: Path  # fp32
    training: Training

    @classmethod
    def of(cls, recipe: Recipe, made: Exported) -> Elder:
        """Without the data that it learned from."""
        training = made.distilled.seeds[recipe.train.seeds[0]]
        return cls(recipe, made.folder / FILES["fp32"], training)


def read(job: Job) -> Read:
    """The data that is trained on, and what is held out of it; what is doubtful of it is told."""
    job.tell(f"reading {job.recipe.data.source}")
    train = job.maker.load("train", job.data)
    validation = job.maker.load("validation", job.data)
    found = job.maker.doubts(train, validation, job.data)
    for doubt in found.said:
        job.say(f"  warning: {doubt}")
    return Read(train, validation, job.maker.labels(train), found.doubles, found.skipped)


def run(
    before: tuple[Read, Elder | None],
    job: Job,
    *,
    teacher: config.Teacher | None,
    labels: config.Labels,
) -> Steps[Labelled]:
    """What was kept before is asked for again only in part, as an audit, in every build."""
    data, elder = before
    if teacher is None:
        job.folder.mkdir(parents=True, exist_ok=True)
        return Labelled(data, job.folder, None, None, None)
    if job.maker.unlabelled:
        data = replace(data, labels=job.maker.class_names(elder.file if elder else None))
        check.labels(job, data.labels)
    opened, record = yield from _chosen(job, elder, data)
    if job.maker.unlabelled:
        data = yield from answer.run(data, job, opened)
    opened = yield from _tried(job, opened, data)
    folder = job.root / "labels"
    fresh: list[Kept] = []

    def make(out: Path) -> dict[str, Any]:
        fresh.append(job.maker.keep(opened, data.train, folder))
        return {"key": fresh[0].key}

    reads = job.maker.reads() | {
        "teacher": opened.sha256,
        "data": data.train.sha256,
        "labels": plain.essentials(labels),
    }
    says = f"{opened.name} labels {labels.views} views"
    done = yield Step("label", says, reads, make)
    if not done.fresh and (folder / done.result["key"][:16]).is_dir():
        fresh.append(_audited(job, opened, data, folder))
    return Labelled(data, folder, opened, record, fresh[0] if fresh else None)


def _chosen(job: Job, elder: Elder | None, data: Read) -> Steps[tuple[Teacher, TeacherRun]]:
    """Who answers, by the file that labels, and its record."""
    opened, record = _known(job, elder, data.labels)
    if elder is None:
        return opened, record
    file, labeller = yield from quicken.run(job, data, elder.recipe.name, elder.file)
    opened, record = _open(job, elder._replace(file=file), data.labels)
    return opened, replace(record, labeller=labeller)


def _known(job: Job, elder: Elder | None, labels: tuple[str, ...]) -> tuple[Teacher, TeacherRun]:
    """As `_open`; what was decided of it without being asked is told."""
    opened, record = _open(job, elder, labels)
    for note in opened.notes:
        job.say(f"  {note}")
    return opened, record


def tried(job: Job) -> tuple[Teacher, Trial]:
    """The teacher of a recipe, and what it says of labelled examples; nothing is kept.

    `RecipeError` where there is none, or none yet.
    """
    asked = job.recipe.teacher
    if asked is None or asked.recipe:
        problem = (
            f"is the student of {asked.recipe}, which a build makes first" if asked else "none"
        )
        hint = "`zoo build` tries it before it labels" if asked else "add a teacher"
        raise RecipeError(f"{job.name}: its teacher is {problem}", hint)
    what = "its data has no labels, so no answer is right or wrong"
    if job.maker.unlabelled:
        raise RecipeError(f"{job.document.where(('data', 'labelled'))}: {what}")
    job.tell(f"reading {job.recipe.data.source}")
    train = job.maker.load("train", job.data)
    labels = job.maker.labels(train)
    if not labels:
        raise RecipeError(f"{job.name}: {what}")
    opened, _ = _known(job, None, labels)
    return opened, job.maker.try_teacher(opened, train)


def _tried(job: Job, teacher: Teacher, data: Read) -> Steps[Teacher]:
    """The teacher, known for what it gives; `DistillError` where nobody should learn from it."""
    if not data.labels:
        return teacher

    def make(out: Path) -> dict[str, Any]:
        trial = job.maker.try_teacher(teacher, data.train)
        trial.check()
        return plain.to_dict(trial)  # type: ignore[no-any-return]

    reads = {
        "code": [code("distill.trial"), code("distill.teachers.preparation")],
        "teacher": teacher.sha256,
        "data": data.train.sha256,
    }
    says = f"{teacher.name} is tried on some examples"
    found = (yield Step("try", says, reads, make)).result
    right = f"right in {found['accuracy']:.1%} of {found['n']}, "
    shown = "" if job.maker.unlabelled else right  # these labels are its own answers
    job.say(f"  {shown}its mean confidence is {found['confidence']:.2f}")
    if found["gives"] == "probabilities":
        job.say("  it gives probabilities: their logarithms are learned from")
    for warning in found["warnings"]:
        job.say(f"  warning: {warning}")
    return teacher.giving(found["gives"])


def _open(job: Job, elder: Elder | None, labels: tuple[str, ...]) -> tuple[Teacher, TeacherRun]:
    """Who answers, under the sha256 of its file, and its record, as `TeacherRun` has it."""
    if elder is None:
        found = _depending(job, job.maker.teacher(labels, None))
        return found, _record(found)
    recipe, file, training = elder
    found = replace(
        job.maker.teacher(labels, file),
        name=recipe.name,
        source=recipe.summary,
        licence=recipe.licence,
    )
    record = replace(
        _record(found),
        sha256=training.weights_sha256,
        recipe=plain.to_dict(recipe),
        recipe_sha256=digest(recipe),
        training=training,
    )
    return found, record


def _depending(job: Job, teacher: Teacher) -> Teacher:
    """The teacher, known by the files too that the recipe says its answers depend on."""
    names = job.recipe.teacher.depends if job.recipe.teacher else ()
    if not names:
        return teacher
    found = hashlib.sha256(teacher.sha256.encode())
    for name in names:
        found.update(f"{name}\0{sha256(job.beside(name))}\0".encode())
    return replace(teacher, sha256=found.hexdigest())


def _audited(job: Job, teacher: Teacher, data: Read, folder: Path) -> Kept:
    """What was kept, compared with the live teacher: it may be another by now."""
    kept = job.maker.keep(teacher, data.train, folder)
    found = kept.audit
    job.say(f"  {found.rows:,} answers asked again: {found.agreement:.2%} alike")
    return kept


def _record(teacher: Teacher) -> TeacherRun:
    facts = (teacher.name, teacher.source, teacher.sha256, teacher.licence)
    return TeacherRun(*facts, recipe=None, recipe_sha256=None, training=None)
