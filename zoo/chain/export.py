"""export: the first seed's weights as an ONNX file that is the whole model."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoo.chain.job import Job, Step, code
from zoo.chain.made import Distilled, Exported, Steps
from zoo.files import sha256


def run(distilled: Distilled, job: Job, *, licence: str) -> Steps[Exported]:
    """Proved equal to torch on held-out data, or an error."""
    data, weights = distilled.labelled.data, next(iter(distilled.weights.values()))
    about = {
        "studentzoo.format": "1",
        "studentzoo.name": job.name,
        "studentzoo.task": job.task.name,
        **({"studentzoo.labels": json.dumps(data.labels)} if data.labels else {}),
        "studentzoo.licence": licence,
        "studentzoo.recipe": job.digest,
        "studentzoo.input": json.dumps(_known(asdict(job.maker.input()))),
        **job.maker.metadata(),
    }

    def make(out: Path) -> dict[str, Any]:
        net = job.maker.network(data.labels, weights)
        return {"parity": job.maker.export(net, about, data.validation, out)}

    reads = {
        "recipe": job.digest,
        "weights": sha256(weights),
        "labels": list(data.labels),
        "code": [code("export"), *job.task_code],
    } | job.maker.own_code()
    done = yield Step("export", "exporting", reads, make)
    return Exported(distilled, done.folder, done.result["parity"])


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if value is not None}


def files(exported: Exported) -> dict[str, str]:
    """sha256 of every file that the export wrote."""
    return {path.name: sha256(path) for path in sorted(exported.folder.glob("*.onnx"))}
