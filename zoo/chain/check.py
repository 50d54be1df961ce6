"""check: the whole of a recipe, before the first stage and before its teacher labels anything.

What is wrong is one error with file, line and key of the recipe. `folder` looks at where a build
writes, `recipe` at what the recipe says, `data` at what only its data shows.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.chain.job import Job
from zoo.chain.made import Read
from zoo.errors import RecipeError, StoreError
from zoo.records.text import KeyPath

ID_BYTES, LOGIT_BYTES = 2, 2  # of an answer that is kept: its class and its logit


def folder(what: str, path: Path | None) -> None:
    """Refuse a place, of the option `what`, in which no folder can be written."""
    if path is None:
        return
    above = _standing(path)
    if not above.is_dir():
        hint = f"give another place by {what}, or move that file away"
        raise StoreError(f"{path} cannot be a folder: {above} is a file", hint)
    if not os.access(above, os.W_OK | os.X_OK):
        raise StoreError(f"{path}: {above} may not be written to", f"give another place by {what}")


def _standing(path: Path) -> Path:
    """It, or the nearest above it that is there."""
    return next(one for one in (path, *path.absolute().parents) if os.path.lexists(one))


def recipe(job: Job) -> None:
    """The student can be made, its teacher and its data are there."""
    given, maker = job.recipe, job.maker
    _check_gates(job)
    with _blamed(job, ("student",)):
        maker.check()
    if given.teacher is not None and maker.asks:
        from distill import teachers

        with _blamed(job, ("teacher",)):
            teachers.check(given.teacher, maker.asks)
        _check_depends(job, given.teacher.depends)
    with _blamed(job, ("data", "source")):
        maker.check_places(job.data)


def _check_gates(job: Job) -> None:
    """A bound that is a fraction is for a metric that is one."""
    gates, scale = job.recipe.gates, job.meter.scale
    if gates and gates.min_accuracy and (scale.best, scale.unit) != ("highest", "%"):
        where = job.document.where(("gates", "min_accuracy"))
        hint = "max_gap_points bounds any metric, by its distance to the teacher's"
        raise RecipeError(f"{where}: the metric is no fraction that is right", hint)


def _check_depends(job: Job, names: tuple[str, ...]) -> None:
    for number, name in enumerate(names):
        if not job.beside(name).is_file():
            where = job.document.where(("teacher", "depends", number))
            raise RecipeError(f"{where}: there is no file {name} beside the recipe")


def data(job: Job, read: Read) -> None:
    """There is enough of it, and what the teacher says has room on the disk."""
    with _blamed(job, ("data",)):
        job.maker.check_data(read.train)
    labels(job, read.labels)
    if job.recipe.teacher is not None:
        _check_room(job, read)


def labels(job: Job, names: tuple[str, ...]) -> None:
    """The student can choose among these classes; of data without labels the teacher names them."""
    with _blamed(job, ("student",)):
        job.maker.check_labels(names)


def _check_room(job: Job, read: Read) -> None:
    """Answers take views x rows x (top_k classes and logits, and what the others share)."""
    kept, asked = job.root / "labels", job.recipe.labels
    width = min(asked.top_k, len(read.labels) or asked.top_k)
    row = width * (ID_BYTES + LOGIT_BYTES) + LOGIT_BYTES
    need = round(asked.views * len(read.train) * asked.share) * row
    there = sum(one.stat().st_size for one in kept.rglob("*.npz"))  # these perhaps
    free = shutil.disk_usage(_standing(job.root)).free
    if need > free + there:
        where = job.document.where(("labels",))
        raise StoreError(
            f"{where}: what the teacher says takes about {_shown(need)}, and {job.root} has "
            f"{_shown(free)} free",
            "make room, lower labels.views or labels.top_k, or give another place by --work",
        )


def _shown(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.1f} MB"


@contextmanager
def _blamed(job: Job, key: KeyPath) -> Iterator[None]:
    """An error of a stage tells the line of the key that it blames, or of `key`."""
    from distill.errors import DistillError

    try:
        yield
    except DistillError as error:
        where = job.document.where(error.key or key)
        raise DistillError(f"{where}: {error}", error.hint) from error
