"""The first half of a build: data, teacher, kept labels, training, export. Needs torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import recipe as recipes
from zoo import records, stage
from zoo.errors import RecipeError
from zoo.files import sha256
from zoo.recipe import Recipe
from zoo.run import KeptLabels, TeacherRun, Training, commit, versions

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from distill.data import Dataset
    from distill.labels import Kept
    from distill.teachers import Teacher

TRAIN_FORMAT = 1  # counts up when training changes what it makes of the same settings
TOLERANCE = 1e-3  # largest difference of a logit between torch and ONNX
FP32, FLOAT8 = "model.fp32.onnx", "float.onnx"  # published; what the quantizer starts from
PLAIN = "plain.onnx"  # torch.onnx.export and nothing else: the yardstick

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
    train: Dataset
    validation: Dataset
    teacher: Teacher | None
    teacher_run: TeacherRun | None
    seeds: dict[int, Training]  # the first one is exported
    weights: dict[int, Path]  # state dict of each seed
    folder: Path  # holds FP32, FLOAT8, PLAIN
    parity: float  # largest difference of a logit


def learn(recipe: Recipe, place: Place) -> Learned:
    """Train every seed of `recipe` and export the first; what was done before is not done again."""
    from distill.data import load

    _check_lineage(recipe)
    place.say(f"{recipe.name}: reading {recipe.data.source}")
    train = load(recipe.data, "train", place.data)
    validation = load(recipe.data, "validation", place.data)
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


def network(recipe: Recipe, classes: int, weights: Path | None = None) -> nn.Module:
    """The recipe's student, fresh or with the state dict in `weights`."""
    import torch

    from distill.students import create

    facts = recipe.student
    net = create(facts.architecture, classes, recipe.data.image_size, facts.options)
    if weights is not None:
        net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        return net.eval()
    if facts.init == "imagenet":
        from distill.teachers.efficientnet_lite import load_imagenet

        load_imagenet(net, str(facts.options.get("variant", "lite0")))
    return net


def device() -> tuple[str, str]:
    """("cuda" or "cpu", its name): training takes a GPU where there is one."""
    import torch

    from zoo.machine import cpu_name

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
    recipe: Recipe, train: Dataset, place: Place
) -> tuple[Teacher | None, TeacherRun | None]:
    """Who answers, and its record; a teacher that is another recipe's student is built first."""
    from dataclasses import replace

    from distill.teachers import open_teacher

    if recipe.teacher is None:
        return None, None
    classes, size = len(train.classes), recipe.data.image_size
    if not recipe.teacher.recipe:
        found = open_teacher(recipe.teacher, classes, size)
        return found, _teacher_run(found)
    other = learn(recipes.find(recipe.teacher.recipe), place)
    found = open_teacher(recipe.teacher, classes, size, onnx_path=other.folder / FP32)
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
        recipe=records.to_dict(other.recipe) if other else None,
        recipe_sha256=recipes.digest(other.recipe) if other else None,
        training=other.seeds[other.recipe.train.seeds[0]] if other else None,
    )


def _check_labels(teacher: Teacher | None, train: Dataset) -> None:
    """The teacher's classes, where its file names them, are those of the data in the same order."""
    said = teacher.labels if teacher else ()
    for theirs, ours in zip(said, train.classes, strict=False):
        if teacher and theirs != ours:
            raise RecipeError(
                f'{teacher.name} says "{theirs}" where the data says "{ours}"',
                "a teacher and its student have the same classes in the same order",
            )


def _kept(recipe: Recipe, train: Dataset, teacher: Teacher, place: Place) -> Kept:
    from distill import labels

    place.say(f"{recipe.name}: {teacher.name} labels {recipe.labels.views} views")
    return labels.keep(
        teacher, teacher.sha256, train, recipe.augment, recipe.labels, place.work / "labels"
    )


# --- training ------------------------------------------------------------------------------------


def _train(
    recipe: Recipe,
    train: Dataset,
    validation: Dataset,
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
        seeds[seed] = records.read(
            Training, records.Document(done.result, str(done.folder)), RecipeError
        )
        weights[seed] = done.folder / "student.pt"
    return seeds, weights


def _reads(
    recipe: Recipe, train: Dataset, validation: Dataset, teacher: Teacher | None, seed: int
) -> dict[str, Any]:
    """All that decides the weights of one seed."""
    settings = asdict(recipe.train)
    del settings["seeds"]
    init = {"init": _imagenet(recipe)} if recipe.student.init else {}
    return init | {
        "format": TRAIN_FORMAT,
        "student": asdict(recipe.student),
        "image_size": recipe.data.image_size,
        "data": [train.sha256, validation.sha256],
        "teacher": teacher.sha256 if teacher else "",
        "labels": asdict(recipe.labels) if teacher else {},
        "augment": asdict(recipe.augment),
        "loss": asdict(recipe.loss),
        "train": settings,
        "seed": seed,
    }


def _imagenet(recipe: Recipe) -> str:
    """sha256 of the pretrained weights that the student starts from."""
    from distill.teachers.efficientnet_lite import sha256

    return sha256(str(recipe.student.options.get("variant", "lite0")))


def _fit(
    recipe: Recipe,
    train: Dataset,
    validation: Dataset,
    kept: Kept | None,
    seed: int,
    out: Path,
) -> dict[str, Any]:
    import torch

    from distill.train import Plan, fit

    where, name = device()
    began = commit()
    torch.manual_seed(seed)
    net = network(recipe, len(train.classes))
    views = recipe.labels.views if kept else 0
    plan = Plan(recipe.loss, recipe.augment, recipe.train, seed, views)
    curves = fit(net, train, validation, plan, out, kept, where)
    (out / "checkpoint.pt").unlink(missing_ok=True)
    return records.to_dict(
        Training(
            weights_sha256=digest_of(net),
            commit=began,
            device=f"{where}: {name}",
            versions=versions(),
            seconds=round(sum(row["seconds"] for row in curves), 1),
            curves=tuple(curves),
            labels=_about(kept) if kept else None,
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
    recipe: Recipe, train: Dataset, validation: Dataset, weights: Path, place: Place
) -> stage.Stage:
    reads = {
        "recipe": recipes.digest(recipe),
        "weights": sha256(weights),
        "labels": list(train.classes),
        "code": stage.code("export"),
    }
    place.say(f"{recipe.name}: exporting")

    def make(out: Path) -> dict[str, Any]:
        net = network(recipe, len(train.classes), weights)
        return {"parity": write_files(recipe, net, train.classes, validation.images, out)}

    return stage.run(place.work / recipe.name, "export", reads, make)


def write_files(
    recipe: Recipe, net: nn.Module, labels: tuple[str, ...], images: np.ndarray, out: Path
) -> float:
    """FP32, FLOAT8 and PLAIN of `net` into `out`; the largest difference of a logit to torch.

    images uint8 (n, s, s, 3) are the real pictures that parity is shown on, at the network's own
    size: a resized one may differ by one level of 255 between torch and onnxruntime.
    """
    import numpy as np
    from PIL import Image

    from export import onnx_file, parity, rewrite
    from export.files import save

    size = int(recipe.student.options.get("image_size", recipe.data.image_size))
    plain = onnx_file.core(net, size)
    save(plain, out / PLAIN)
    model = rewrite.optimize(onnx_file.finish(plain, size, metadata(recipe, labels, size)))
    save(model, out / FP32)
    save(rewrite.prepare_int8(model), out / FLOAT8)
    pictures = [
        np.asarray(Image.fromarray(image).resize((size, size))) for image in spread(images, 40)
    ]
    return max(parity.check(net, out / name, pictures, TOLERANCE) for name in (FP32, FLOAT8))


def spread(images: np.ndarray, count: int) -> np.ndarray:
    """`count` pictures evenly over a split, and so over its classes: images (n, s, s, 3)."""
    import numpy as np

    return images[np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)]


def metadata(recipe: Recipe, labels: tuple[str, ...], size: int) -> dict[str, str]:
    """What stands in the file itself: all that a program needs to use it."""
    contract = {"name": "image", "dtype": "uint8", "layout": "NHWC", "color": "RGB", "size": size}
    return {
        "studentzoo.format": "1",
        "studentzoo.name": recipe.name,
        "studentzoo.task": recipe.task,
        "studentzoo.labels": json.dumps(labels),
        "studentzoo.input": json.dumps(contract),
        "studentzoo.licence": recipe.licence,
        "studentzoo.recipe": recipes.digest(recipe),
    }
