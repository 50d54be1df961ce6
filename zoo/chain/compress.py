"""compress: attempts at 8 bits until one passes every gate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.chain import table
from zoo.chain.export import files
from zoo.chain.job import Job, Step, code
from zoo.chain.learn import Learner
from zoo.chain.made import Compressed, Exported, Known, Steps
from zoo.errors import GateError, RecipeError
from zoo.measure import bench
from zoo.records import plain, reader
from zoo.records.names import FILES
from zoo.records.text import Document

if TYPE_CHECKING:
    import numpy as np

    from compress.config import Gates
    from compress.ladder import Judgement
    from zoo.records.measures import Score

ROUNDS = 30  # of interleaved timing
HOPELESS = 1.0  # points that an fp32 file may miss a gate by, and its 8-bit files are tried yet
HINT = "add an attempt with more float_layers, train longer, or think again about the gates"


def run(exported: Exported, job: Job, *, compress: Any, gates: Gates) -> Steps[Compressed]:
    """A GateError, with every attempt's reason, where none passes."""
    data = exported.distilled.labelled.data
    learner = Learner(exported.distilled.labelled, job)
    known = yield from _known(exported, job)
    _check_fp32(known, gates, exported, job)

    def make(out: Path) -> dict[str, Any]:
        judge = Judge(exported, job, known)
        climb = job.maker.climb(exported.folder, data.train, out, judge, learner)
        for checkpoint in out.rglob("checkpoint.pt"):
            checkpoint.unlink()
        winner = climb.winner.name if climb.winner else ""
        return {"attempts": plain.to_dict(climb.attempts), "winner": winner}

    reads = _reads(exported, job, compress, gates, known, learner)
    done = yield Step("compress", "quantizing", reads, make)
    attempts, winner = done.result["attempts"], done.result["winner"]
    for tried in attempts:
        job.say(f"  {tried['name']}: {tried['verdict']} {tried['reason']}".rstrip())
    made = Compressed(exported, done.folder, done.folder / winner, attempts, known)
    if not winner:
        reasons = "; ".join(f"{a['name']}: {a['reason']}" for a in attempts)
        table.tell(job, made, f"not published: {reasons}")
        what = f"{job.name} is not published, no attempt passed every gate ({reasons})"
        raise GateError(what, HINT)
    return made


def _reads(
    exported: Exported, job: Job, compress: Any, gates: Gates, known: Known, learner: Learner
) -> dict[str, Any]:
    """All that decides which attempt wins."""
    from compress import processor

    data = exported.distilled.labelled.data
    reads = {
        "exported": files(exported),
        "compress": plain.to_dict(compress),
        "gates": plain.essentials(gates),
        "data": [data.train.sha256, data.validation.sha256],
        "load": job.meter.loads(data.validation)[0].facts(),
        "code": [code("compress"), *job.task_code],
    } | processor.narrowed()
    if any(rung.epochs for rung in getattr(compress, "rungs", ())):
        reads["learns"] = learner.reads()
    if job.quick:
        reads["timed"] = False
    if gates.max_gap_points is not None:
        reads["teacher"] = plain.to_dict(known.teacher)
    labelled = exported.distilled.labelled
    if job.maker.unlabelled and labelled.teacher is not None:  # its answers are the labels
        reads["answers"] = labelled.teacher.sha256
    return reads


def _known(exported: Exported, job: Job) -> Steps[Known]:
    """What the fp32 file and the teacher do on the data that attempts are judged on."""
    labelled = exported.distilled.labelled
    teacher, validation = labelled.teacher, labelled.data.validation

    def make(out: Path) -> dict[str, Any]:
        held_out = job.maker.held_out(validation)
        outputs = job.meter.outputs(exported.folder / FILES["fp32"], held_out)
        found: dict[str, Any] = {"fp32": job.meter.score(outputs, held_out, "", "validation")}
        if teacher is not None:
            said = job.maker.said(teacher, held_out)
            found["teacher"] = job.meter.score(said, held_out, "", "validation")
            found["agreement"] = job.task.agree(outputs, said)
        return plain.to_dict(found)

    reads = {
        "fp32": files(exported)[FILES["fp32"]],
        "teacher": teacher.sha256 if teacher else "",
        "data": validation.sha256,
        "code": job.task_code,
    }
    done = yield Step("held-out", "answers to what is held out", reads, make)
    return reader.read(Known, Document(done.result, str(done.folder)), RecipeError)


def _check_fp32(known: Known, gates: Gates, exported: Exported, job: Job) -> None:
    """A student that surely misses a gate in fp32 is not quantized: a `GateError`."""
    score = known.fp32
    if gates.min_accuracy and (score.scale.best, score.scale.unit) != ("highest", "%"):
        where = job.document.where(("gates", "min_accuracy"))
        hint = "max_gap_points bounds any metric, by its distance to the teacher's"
        raise RecipeError(f"{where}: {score.metric} is no fraction that is right", hint)
    missed = []
    if score.value < gates.min_accuracy - HOPELESS / 100:
        missed.append(f"accuracy {score.value:.2%} < {gates.min_accuracy:.2%}")
    if gap := gap_of(known, score, gates, HOPELESS):
        missed.append(gap)
    if missed:
        reasons = "; ".join(missed)
        made = Compressed(exported, exported.folder, exported.folder / "none", [], known)
        table.tell(job, made, f"not published: its fp32 file misses {reasons}")
        hint = "train longer, or give it a larger student; then think again about the gates"
        raise GateError(f"{job.name} is not published, its fp32 file misses {reasons}", hint)


def gap_of(known: Known, score: Score, gates: Gates, slack: float = 0.0) -> str:
    """What a score misses of `max_gap_points`, in words; "" where it misses nothing."""
    if gates.max_gap_points is None or known.teacher is None:
        return ""
    gap = score.scale.points(known.teacher.value, score.value)
    if gap <= gates.max_gap_points + slack:
        return ""
    best = score.scale.shown(known.teacher.value)
    return f"{gap:.2f} points below the teacher's {best} > {gates.max_gap_points:.2f}"


class Judge:
    """Measures an int8 file against the fp32 file on the validation split."""

    def __init__(self, exported: Exported, job: Job, known: Known) -> None:
        self.fp32, self.job, self.known = exported.folder / FILES["fp32"], job, known
        self.validation = job.maker.held_out(exported.distilled.labelled.data.validation)
        self.expected = job.meter.outputs(self.fp32, self.validation)

    def __call__(self, path: Path) -> Judgement:
        from compress.ladder import Judgement

        what = "accuracy" if self.job.quick else "accuracy and speed"
        self.job.say(f"  {path.stem}: {what} on validation")
        found = self.job.meter.outputs(path, self.validation)
        before, after = self._score(self.expected), self._score(found)
        ratio, low, high = self._ratio(path)
        gates = self.job.recipe.gates
        gap = gap_of(self.known, after, gates) if gates else ""
        return Judgement(
            accuracy=after.value,
            agreement=self.job.task.agree(found, self.expected),
            drop_points=after.scale.points(before.value, after.value),
            speed_ratio=ratio,
            speed_ratio_low=low,
            speed_ratio_high=high,
            missed=(gap,) if gap else (),
        )

    def _ratio(self, path: Path) -> tuple[float | None, float | None, float | None]:
        """Of the fp32 file's latency, and its interval; None where nothing is timed."""
        if self.job.quick:
            return None, None, None
        load = self.job.meter.loads(self.validation)[0]
        row = bench.measure({"fp32": self.fp32, "int8": path}, load, rounds=ROUNDS)[-1]
        nan = float("nan")
        return row.ratio_to_fp32 or nan, row.ratio_low or nan, row.ratio_high or nan

    def _score(self, outputs: np.ndarray) -> Score:
        return self.job.meter.score(outputs, self.validation, "", "validation")
