"""export: the first seed's weights as an ONNX file that is the whole model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo.chain.job import Job, code
from zoo.chain.made import Distilled, Exported
from zoo.files import sha256


def run(distilled: Distilled, job: Job) -> Exported:
    """Proved equal to torch on held-out data, or an error."""
    labelled, weights = distilled.labelled, next(iter(distilled.weights.values()))
    reads = {
        "recipe": job.digest,
        "weights": sha256(weights),
        "labels": list(labelled.labels),
        "code": code("export"),
    }
    job.tell("exporting")

    def make(out: Path) -> dict[str, Any]:
        net = job.maker.network(labelled.labels, weights)
        about = metadata(job, labelled.labels)
        return {"parity": job.maker.export(net, about, labelled.validation, out)}

    done = job.once("export", reads, make)
    return Exported(distilled, done.folder, done.result["parity"])


def metadata(job: Job, labels: tuple[str, ...]) -> dict[str, str]:
    """What stands in the file itself: all that a program needs to use it."""
    return {
        "studentzoo.format": "1",
        "studentzoo.name": job.name,
        "studentzoo.task": job.task.name,
        **({"studentzoo.labels": json.dumps(labels)} if labels else {}),
        "studentzoo.licence": job.recipe.licence,
        "studentzoo.recipe": job.digest,
        **job.maker.metadata(),
    }


def files(exported: Exported) -> dict[str, str]:
    """sha256 of every file that the export wrote."""
    return {path.name: sha256(path) for path in sorted(exported.folder.glob("*.onnx"))}
