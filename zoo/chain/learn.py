"""The first half of a build: data, teacher, kept labels, training, export. Needs torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import tasks
from zoo.chain import stage
from zoo.errors import RecipeError
from zoo.files import sha256
from zoo.records import plain, reader
from zoo.records import recipe as recipes
from zoo.records.recipe import Recipe
from zoo.records.run import KeptLabels, TeacherRun, Training, commit, versions

if TYPE_CHECKING:
    from torch import nn

    from distill.data import Dataset
    from distill.data.texts import Texts
    from distill.labels import Kept
    from distill.teachers import Teacher

    Data = Dataset | Texts

TRAIN_FORMAT = 1  # counts up when training changes what it makes of the same settings
FP32, FLOAT8 = "model.fp32.onnx", "float.onnx"  # published; what the quantizer starts from

Say = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """Where a build reads and works."""

    data: Path | None  # folder that holds the data; None: ZOO_DATA
    work: Path  # what the stages keep
    say: Say  # a line for whoever watches


@dataclass(frozen=True)
class Learned:
    """A trained, exported student and what led to it."""

    recipe: Recipe
    train: Data
    validation: Data
    teacher: Teacher | None
    teacher_run: TeacherRun | None
    seeds: dict[int, Training]  # the first one is exported
    weights: dict[int, Path]  # state dict of each seed
    folder: Path  # holds FP32, and what else the task's export writes
    parity: float  # largest difference of a logit


def learn(recipe: Recipe, place: Place) -> Learned:
    """Train every seed of `recipe` and export the first; what was done before is not done again."""
    task = tasks.of(recipe)
    _check_lineage(recipe)
    place.say(f"{recipe.name}: reading {recipe.data.source}")
    train = task.load(recipe, "train", place.data)
    validation = task.load(recipe, "validation", place.data)
    teacher, teacher_run = teacher_of(recipe, train, place)
    _check_labels(teacher, train)
    seeds, weights = _train(recipe, train, validation, teacher, place)
    exported = _export(recipe, train, validation, weights[recipe.train.seeds[0]], place)
    return Learned(
        recipe=recipe,
        train=train,
        validation=validation,
        teacher=teacher,
        teacher_run=teacher_run,
        seeds=seeds,
        weights=weights,
        folder=exported.folder,
        parity=exported.result["parity"],
    )


def device() -> tuple[str, str]:
    """("cuda" or "cpu", its name): training takes a GPU where there is one."""
    import torch

    from zoo.measure.machine import cpu_name

    if torch.cuda.is_available():
        return "cuda", torch.cuda.get_device_name()
    return "cpu", cpu_name()


# --- teacher -------------------------------------------------------------------------------------


def _check_lineage(recipe: Recipe) -> None:
    """`RecipeError` if a recipe comes back among the teachers of its teacher."""
    names, digests = [recipe.name], [recipes.digest(recipe)]
    while recipe.teacher and recipe.teacher.recipe:
        recipe = recipes.find(recipe.teacher.recipe)
        names.append(recipe.name)
        if recipes.digest(recipe) in digests:
            raise RecipeError(
                f"{' learns from '.join(names)}: nobody begins", "give one of them another teacher"
            )
        digests.append(recipes.digest(recipe))


def teacher_of(
    recipe: Recipe, train: Data, place: Place
) -> tuple[Teacher | None, TeacherRun | None]:
    """Who answers, and its record; a teacher that is another recipe's student is built first."""
    from dataclasses import replace

    if recipe.teacher is None:
        return None, None
    task = tasks.of(recipe)
    if not recipe.teacher.recipe:
        found = task.open_teacher(recipe, train.classes)
        return found, _teacher_run(found)
    other = learn(recipes.find(recipe.teacher.recipe), place)
    found = task.open_teacher(recipe, train.classes, other.folder / FP32)
    found = replace(
        found,
        name=other.recipe.name,
        source=other.recipe.summary,
        sha256=other.seeds[other.recipe.train.seeds[0]].weights_sha256,
        licence=other.recipe.licence,
    )
    return found, _teacher_run(found, other)


def _teacher_run(teacher: Teacher, other: Learned | None = None) -> TeacherRun:
    """The record of a teacher; other is what its own recipe made."""
    return TeacherRun(
        name=teacher.name,
        source=teacher.source,
        sha256=teacher.sha256,
        licence=teacher.licence,
        recipe=plain.to_dict(other.recipe) if other else None,
        recipe_sha256=recipes.digest(other.recipe) if other else None,
        training=other.seeds[other.recipe.train.seeds[0]] if other else None,
    )


def _check_labels(teacher: Teacher | None, train: Data) -> None:
    """The teacher's classes, where its file names them, are those of the data in the same order."""
    said = teacher.labels if teacher else ()
    for theirs, ours in zip(said, train.classes, strict=False):
        if teacher and theirs != ours:
            raise RecipeError(
                f'{teacher.name} says "{theirs}" where the data says "{ours}"',
                "a teacher and its student have the same classes in the same order",
            )


def _kept(recipe: Recipe, train: Data, teacher: Teacher, place: Place) -> Kept:
    from distill import labels

    place.say(f"{recipe.name}: {teacher.name} labels {recipe.labels.views} views")
    return labels.keep(
        teacher,
        teacher.sha256,
        train,
        tasks.of(recipe).views(recipe),
        recipe.labels,
        place.work / "labels",
    )


# --- training ------------------------------------------------------------------------------------


def _train(
    recipe: Recipe,
    train: Data,
    validation: Data,
    teacher: Teacher | None,
    place: Place,
) -> tuple[dict[int, Training], dict[int, Path]]:
    kept = cache(lambda: _kept(recipe, train, teacher, place) if teacher else None)
    seeds: dict[int, Training] = {}
    weights: dict[int, Path] = {}
    for seed in recipe.train.seeds:
        place.say(f"{recipe.name}: training, seed {seed}")
        done = stage.run(
            place.work / recipe.name,
            f"train-seed{seed}",
            _reads(recipe, train, validation, teacher, seed),
            lambda out, seed=seed: _fit(recipe, train, validation, kept(), seed, out),  # type: ignore[misc]
        )
        seeds[seed] = reader.read(
            Training, reader.Document(done.result, str(done.folder)), RecipeError
        )
        weights[seed] = done.folder / "student.pt"
    return seeds, weights


def _reads(
    recipe: Recipe, train: Data, validation: Data, teacher: Teacher | None, seed: int
) -> dict[str, Any]:
    """All that decides the weights of one seed."""
    settings = plain.essentials(recipe.train)
    del settings["seeds"]
    return tasks.of(recipe).reads(recipe) | {
        "format": TRAIN_FORMAT,
        "student": asdict(recipe.student),
        "data": [train.sha256, validation.sha256],
        "teacher": teacher.sha256 if teacher else "",
        "labels": plain.essentials(recipe.labels) if teacher else {},
        "loss": asdict(recipe.loss),
        "train": settings,
        "seed": seed,
    }


def _fit(
    recipe: Recipe,
    train: Data,
    validation: Data,
    kept: Kept | None,
    seed: int,
    out: Path,
) -> dict[str, Any]:
    import torch

    from distill.train import Plan, fit, save

    task = tasks.of(recipe)
    where, name = device()
    began = commit()
    torch.manual_seed(seed)
    net = task.network(recipe, len(train.classes))
    views = recipe.labels.views if kept else 0
    plan = Plan(recipe.loss, task.views(recipe), recipe.train, seed, views)
    curves = fit(net, train, validation, plan, out, kept, where)
    temperature = task.calibrate(recipe, net.to("cpu"), validation)
    save(net.state_dict(), out / "student.pt")
    (out / "checkpoint.pt").unlink(missing_ok=True)
    return plain.to_dict(
        Training(
            weights_sha256=digest_of(net),
            commit=began,
            device=f"{where}: {name}",
            versions=versions(),
            seconds=round(sum(row["seconds"] for row in curves), 1),
            curves=tuple(curves),
            labels=_about(kept) if kept else None,
            temperature=temperature,
        )
    )


def _about(kept: Kept) -> KeptLabels:
    return KeptLabels(
        key=kept.key,
        views=len(kept.logits),
        top_k=kept.logits.shape[2],
        size_bytes=kept.size_bytes,
        audit_rows=kept.audit.rows,
        audit_agreement=kept.audit.agreement,
        audit_max_difference=kept.audit.max_difference,
    )


def digest_of(net: nn.Module) -> str:
    """sha256 of a network's state: names, shapes and numbers, whatever file they came in."""
    found = hashlib.sha256()
    for name, value in net.state_dict().items():
        array = value.detach().cpu().contiguous().numpy()
        found.update(json.dumps([name, str(array.dtype), list(array.shape)]).encode())
        found.update(array.tobytes())
    return found.hexdigest()


# --- export --------------------------------------------------------------------------------------


def _export(
    recipe: Recipe, train: Data, validation: Data, weights: Path, place: Place
) -> stage.Stage:
    task = tasks.of(recipe)
    reads = {
        "recipe": recipes.digest(recipe),
        "weights": sha256(weights),
        "labels": list(train.classes),
        "code": stage.code("export"),
    }
    place.say(f"{recipe.name}: exporting")

    def make(out: Path) -> dict[str, Any]:
        net = task.network(recipe, len(train.classes), weights)
        about = metadata(recipe, train.classes)
        return {"parity": task.write_files(recipe, net, about, validation, out)}

    return stage.run(place.work / recipe.name, "export", reads, make)


def metadata(recipe: Recipe, labels: tuple[str, ...]) -> dict[str, str]:
    """What stands in the file itself: all that a program needs to use it."""
    return {
        "studentzoo.format": "1",
        "studentzoo.name": recipe.name,
        "studentzoo.task": recipe.task,
        "studentzoo.labels": json.dumps(labels),
        "studentzoo.licence": recipe.licence,
        "studentzoo.recipe": recipes.digest(recipe),
        **tasks.of(recipe).metadata(recipe),
    }
