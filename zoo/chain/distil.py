"""distil: every seed's weights, trained on the kept answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.chain.job import Job, Step, folder_of
from zoo.chain.made import Distilled, Labelled, Read, Steps
from zoo.chain.maker import Maker
from zoo.errors import RecipeError
from zoo.records import plain, reader
from zoo.records.run import KeptLabels, Training, commit, versions
from zoo.records.text import Document

if TYPE_CHECKING:
    from torch import nn

    from distill import config
    from distill.labels import Kept

TRAIN_FORMAT = 2  # counts up when training changes what it makes of the same settings
MOST = 64  # processes of a run begun elsewhere that is looked for


def run(
    labelled: Labelled,
    job: Job,
    *,
    student: config.Student,
    labels: config.Labels,
    loss: config.Loss,
    train: config.Train,
) -> Steps[Distilled]:
    """Every seed."""
    train = settled(labelled, job)
    if job.maker.stays_here(labelled.data.train):
        job.say(f"  {student.architecture} cannot be copied: one process trains it")
    maker = type(job.maker)(replace(job.recipe, train=train))
    kept = cache(partial(answers, labelled, job))
    begun = {seed: begin(labelled, job, train, seed) for seed in train.seeds}
    done = {}
    for seed in train.seeds:
        make, says = _Fit(maker, labelled.data, kept, seed), f"training, seed {seed}"
        done[seed] = yield Step(_name(seed), says, begun[seed], make)
    return Distilled(
        labelled,
        done[train.seeds[0]].folder,
        {seed: _training(one.result, one.folder) for seed, one in done.items()},
        {seed: one.folder / "student.pt" for seed, one in done.items()},
    )


def settled(labelled: Labelled, job: Job) -> config.Train:
    """The recipe's, with the number of processes: its own, that of a run begun here, or as many as
    this machine has use for.
    """
    train, where = job.recipe.train, device()[0]
    own = replace(train, processes=job.maker.processes(labelled.data.train, where))
    if train.processes or where != "cpu":
        return own
    found = (own, *(replace(train, processes=n) for n in train.counts(MOST)))
    return next((one for one in found if _folder(labelled, job, one).exists()), own)


def _folder(labelled: Labelled, job: Job, train: config.Train) -> Path:
    """Of the first seed."""
    seed = train.seeds[0]
    return folder_of(job.folder, _name(seed), begin(labelled, job, train, seed))


def _name(seed: int) -> str:
    return f"train-seed{seed}"


def begin(labelled: Labelled, job: Job, train: config.Train, seed: int) -> dict[str, Any]:
    """All that decides the weights of a seed; `train` is settled."""
    fresh = job.maker.own_state(labelled.data.labels, seed)
    return reads(labelled, job, train) | {"seed": seed} | fresh


def reads(labelled: Labelled, job: Job, train: config.Train) -> dict[str, Any]:
    """What of it is the same for every seed."""
    teacher, data, settings = labelled.teacher, labelled.data, plain.essentials(train)
    student, labels, loss = job.recipe.student, job.recipe.labels, job.recipe.loss
    del settings["seeds"]
    own = job.maker.reads() | job.maker.own_code()
    return own | {
        "format": [TRAIN_FORMAT, job.maker.train_format],
        "student": plain.essentials(student),
        "data": [data.train.sha256, data.validation.sha256],
        "teacher": teacher.sha256 if teacher else "",
        "labels": plain.essentials(labels) if teacher else {},
        "loss": plain.essentials(loss),
        "train": settings,
    }


def answers(labelled: Labelled, job: Job) -> Kept | None:
    """What the teacher said: just now, or as it was kept and is audited here; None without one."""
    if labelled.fresh or labelled.teacher is None:
        return labelled.fresh
    return job.maker.keep(labelled.teacher, labelled.data.train, labelled.folder)


class _Fit:
    """One seed of a student."""

    def __init__(
        self, maker: Maker[Any, Any], data: Read, answers: Callable[[], Kept | None], seed: int
    ) -> None:
        self.maker, self.data, self.answers, self.seed = maker, data, answers, seed

    def __call__(self, out: Path) -> dict[str, Any]:
        import torch

        from distill.train import save

        kept, data, maker = self.answers(), self.data, self.maker
        where, name = device()
        began = commit()
        torch.manual_seed(self.seed)
        net = maker.network(data.labels).to(where)
        curves = maker.fit(net, data.train, data.validation, self.seed, out, kept)
        temperature = maker.calibrate(net.to("cpu"), data.validation)
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
                processes=maker.recipe.train.processes,
                labels=_about(kept) if kept else None,
                temperature=temperature,
            )
        )


def device() -> tuple[str, str]:
    """("cuda" or "cpu", its name): training takes a GPU where there is one."""
    import torch

    from zoo.measure.machine import cpu_name

    if torch.cuda.is_available():
        return "cuda", torch.cuda.get_device_name()
    return "cpu", cpu_name()


def _training(result: dict[str, Any], folder: Path) -> Training:
    return reader.read(Training, Document(result, str(folder)), RecipeError)


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
    from distill import state

    return state.sha256(net)
