"""compress: attempts at 8 bits until one passes every gate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.chain.export import files
from zoo.chain.job import Job, Step, code
from zoo.chain.learn import Learner
from zoo.chain.made import Compressed, Exported, Steps
from zoo.errors import GateError
from zoo.measure import bench
from zoo.records import plain
from zoo.records.names import FILES

if TYPE_CHECKING:
    import numpy as np

    from compress.config import Gates
    from compress.ladder import Judgement
    from zoo.records.measures import Score

ROUNDS = 30  # of interleaved timing


def run(exported: Exported, job: Job, *, compress: Any, gates: Gates) -> Steps[Compressed]:
    """A GateError, with every attempt's reason, where none passes."""
    from compress import processor

    data = exported.distilled.labelled.data
    learner = Learner(exported.distilled.labelled, job)

    def make(out: Path) -> dict[str, Any]:
        judge = Judge(exported, job)
        climb = job.maker.climb(exported.folder, data.train, out, judge, learner)
        for checkpoint in out.rglob("checkpoint.pt"):
            checkpoint.unlink()
        winner = climb.winner.name if climb.winner else ""
        return {"attempts": plain.to_dict(climb.attempts), "winner": winner}

    reads = {
        "exported": files(exported),
        "compress": plain.to_dict(compress),
        "gates": plain.to_dict(gates),
        "data": [data.train.sha256, data.validation.sha256],
        "load": job.meter.loads(data.validation)[0].facts(),
        "code": [code("compress"), *job.task_code],
    } | processor.narrowed()
    if any(rung.epochs for rung in getattr(compress, "rungs", ())):
        reads["learns"] = learner.reads()
    done = yield Step("compress", "quantizing", reads, make)
    attempts, winner = done.result["attempts"], done.result["winner"]
    for tried in attempts:
        job.say(f"  {tried['name']}: {tried['verdict']} {tried['reason']}".rstrip())
    if not winner:
        reasons = "; ".join(f"{a['name']}: {a['reason']}" for a in attempts)
        raise GateError(
            f"{job.name} is not published, no attempt passed every gate ({reasons})",
            "add an attempt with more float_layers, train longer, or think again about the gates",
        )
    return Compressed(exported, done.folder, done.folder / winner, attempts)


class Judge:
    """Measures an int8 file against the fp32 file on the validation split."""

    def __init__(self, exported: Exported, job: Job) -> None:
        self.fp32, self.job = exported.folder / FILES["fp32"], job
        self.validation = job.maker.held_out(exported.distilled.labelled.data.validation)
        self.expected = job.meter.outputs(self.fp32, self.validation)

    def __call__(self, path: Path) -> Judgement:
        from compress.ladder import Judgement

        self.job.say(f"  {path.stem}: accuracy and speed on validation")
        found = self.job.meter.outputs(path, self.validation)
        before, after = self._score(self.expected), self._score(found)
        load = self.job.meter.loads(self.validation)[0]
        row = bench.measure({"fp32": self.fp32, "int8": path}, load, rounds=ROUNDS)[-1]
        return Judgement(
            accuracy=after.value,
            agreement=self.job.task.agree(found, self.expected),
            drop_points=after.scale.points(before.value, after.value),
            speed_ratio=row.ratio_to_fp32 or float("nan"),
            speed_ratio_low=row.ratio_low or float("nan"),
            speed_ratio_high=row.ratio_high or float("nan"),
        )

    def _score(self, outputs: np.ndarray) -> Score:
        return self.job.meter.score(outputs, self.validation, "", "validation")
