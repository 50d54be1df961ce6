"""recipe -> label -> distil -> export -> compress -> measure -> card -> store.

    build("digits-shufflenet-v2-x0.5.kd")

A stage says what it does as steps (`job.Step`); here each is told, kept under `work` by the hash of
what it reads, and skipped where that was done before. So a second build skips what has not changed,
and a killed one goes on. Nothing is stored unless every gate is passed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from zoo.chain import card, check, compress, distil, export, label, measure, store, table
from zoo.chain.ends import Told
from zoo.chain.job import Agree, Done, Job, Say, Timed, begun, once
from zoo.chain.made import Compressed, Read, Steps, Stored
from zoo.errors import NotFound, RecipeError, StoreError, disk
from zoo.measure import bench
from zoo.records import reader
from zoo.records import recipe as recipes
from zoo.records.names import FILES
from zoo.records.recipe import Written
from zoo.stores import folders


class Stage(NamedTuple):
    """From the record of the stage before to its own; see `made`."""

    name: str  # as `zoo build --until` has it
    run: Callable[..., Steps[Any]]  # (record before, job, **sections) -> steps, and its record
    sections: tuple[str, ...] = ()  # of the recipe, that it is handed


STAGES = (
    Stage("label", label.run, ("teacher", "labels")),
    Stage("distil", distil.run, ("student", "labels", "loss", "train")),
    Stage("export", export.run, ("licence",)),
    Stage("compress", compress.run, ("compress", "gates")),
    Stage("measure", measure.run, ("data",)),
    Stage("card", card.run, ("summary", "licence", "student", "data", "gates")),
    Stage("store", store.run),
)


def build(
    recipe: str | Path,
    *,
    data: str | Path | None = None,
    work: str | Path = "runs",
    store: str | Path | None = None,
    until: str = "store",
    quick: bool = False,
    settings: Sequence[str] = (),
    agree: Agree = lambda about: False,
    say: Say = lambda line: None,
) -> Path:
    """Make the student of a recipe (a name or a file) and publish it; returns its folder.

    With `until`, the chain ends after that stage, whose folder is returned; with `quick` nothing is
    timed, and it ends before the test split is read. `settings` are KEY=VALUE, put over the
    recipe's; `agree` is asked before a worse student takes the place of a published one.

    A recipe without `compress` is a teacher's: it is trained and exported, and stays in `work`.
    Raises `GateError`, with every attempt's reason, when no attempt passes.
    """
    from filelock import FileLock, Timeout

    names = [stage.name for stage in STAGES]
    if until not in names:
        raise NotFound(f'no stage is called "{until}"', reader.near(until, names))
    wanted, work = recipes.written(recipe, settings), Path(work)
    data, store = (Path(one) if one else None for one in (data, store))
    check.folder("--work", work)
    if store or (until == "store" and wanted.recipe.compress is not None and not quick):
        check.folder("--store", store or folders.default().root)
    with disk(work):
        work.mkdir(parents=True, exist_ok=True)
    path = list(sys.path)
    try:
        look_beside(recipe)
        with FileLock(work / ".lock", timeout=0):
            return chain(wanted, data, work, store, until, say, quick=quick, agree=agree).folder
    except Timeout:
        hint = "wait for it, or give this one a folder of its own: --work"
        raise StoreError(f"{work}: another build is at work here", hint) from None
    finally:
        sys.path[:] = path


def look_beside(recipe: str | Path) -> None:
    """Modules of one's own, as a recipe names them, are found beside its file too."""
    folder = str(recipes.path_of(recipe).resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)


def chain(
    written: Written,
    data: Path | None,
    work: Path,
    store: Path | None = None,
    until: str = "store",
    say: Say = lambda line: None,
    timed: Timed = bench.beside,
    quick: bool = False,
    agree: Agree = lambda about: False,
) -> Any:
    """The record of the last stage; the teachers that are recipes' students are made first.

    All that the recipes say is checked before the first stage (`check`). `timed` judges whether the
    8-bit file of such a teacher labels faster.
    """
    wanted = written.recipe
    if wanted.compress is None and until in ("compress", "measure", "card"):
        hint = "add compress and gates, or end with export"
        raise RecipeError(f"{wanted.name} has no compress section: there is no {until}", hint)
    names = [stage.name for stage in STAGES]
    if quick and wanted.compress is not None:
        until = min(until, "compress", key=names.index)
    jobs = [
        Job(recipe, data, work, store, say, timed, quick, agree, document)
        for recipe, document in _lineage(written)
    ]
    found = _looked_at(jobs)
    elder: label.Elder | None = None
    for job in jobs[:-1]:
        elder = label.Elder.of(job.recipe, _run(job, (found.pop(), elder), "export"))
    made = _run(jobs[-1], (found.pop(), elder), until)
    table.tell(jobs[-1], made, _verdict(made, until, quick))
    return made


def _looked_at(jobs: list[Job]) -> list[Read]:
    """The data of each, that of the last first, once all that the recipes say was checked."""
    for job in reversed(jobs):
        check.folder("--work", job.folder)
        check.recipe(job)
    found = [label.read(job) for job in reversed(jobs)]
    for job, read in zip(reversed(jobs), found, strict=True):
        check.data(job, read)
    return found


def _verdict(made: Any, until: str, quick: bool) -> str:
    """What came of it."""
    if isinstance(made, Stored):
        return f"published: {made.folder}"
    if not isinstance(made, Compressed):
        return f"not published: the build ends with {until}; its files are in {made.folder}"
    why = "nothing was timed (quick)" if quick else f"the build ends with {until}"
    files = f"{made.exported.folder / FILES['fp32']} and {made.winner}"
    return f"not published: {why}; its files are {files}"


def _run(job: Job, made: Any, until: str) -> Any:
    """The stages one after the other, up to `until`."""
    for stage in STAGES:
        given = {key: getattr(job.recipe, key) for key in stage.sections}
        made = _driven(job, stage.run(made, job, **given))
        if stage.name == until:
            break
        if stage.name == "export" and job.recipe.compress is None:
            job.tell("no compress section, so nothing is published")
            break
    return made


def _driven(job: Job, steps: Steps[Any]) -> Any:
    """The record of a stage, once all of its steps are done."""
    done: Done | None = None
    while True:
        try:
            with Told(job.name, "between two steps"):
                step = steps.send(done)  # type: ignore[arg-type]  # None begins
        except StopIteration as end:
            return end.value
        job.tell(step.says)
        root = step.root or job.folder
        if begun(root, step):
            job.say("  was begun before, and goes on with what it kept")
        with Told(job.name, step.says):
            done = once(root, step)
        if not done.fresh:
            job.say("  was done before")


def _lineage(wanted: Written) -> Iterator[Written]:
    """The recipes of its teachers, the oldest first, and itself.

    `RecipeError` if one comes back among the teachers of its teacher.
    """
    found = [wanted]
    while (teacher := found[0].recipe.teacher) and teacher.recipe:
        older = _teacher_of(found[0], teacher.recipe)
        look_beside(teacher.recipe)
        if recipes.digest(older.recipe) in (recipes.digest(one.recipe) for one in found):
            names = [one.recipe.name for one in (*reversed(found), older)]
            raise RecipeError(
                f"{' learns from '.join(names)}: nobody begins", "give one of them another teacher"
            )
        found.insert(0, older)
    yield from found


def _teacher_of(younger: Written, name: str) -> Written:
    try:
        return recipes.written(name)
    except NotFound as error:
        where = younger.document.where(("teacher", "recipe"))
        raise NotFound(f"{where}: {error}", error.hint) from None
