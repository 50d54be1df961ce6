"""card: everything that was found, as run.json, card.json, page and figures."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from zoo.card import writing
from zoo.chain.job import Job
from zoo.chain.made import Carded, Labelled, Measured, Steps
from zoo.errors import CardError
from zoo.files import sha256, write_text
from zoo.records import card as cards
from zoo.records import plain, reader
from zoo.records.measures import Measurement, Score
from zoo.records.names import FILES
from zoo.records.run import Run, to_json
from zoo.records.text import Document


def run(
    measured: Measured, job: Job, *, summary: str, licence: str, student: Any, data: Any, gates: Any
) -> Steps[Carded]:
    """Beside the student's files; made anew each time."""
    yield from ()
    from distill.students import counts

    exported = measured.compressed.exported
    labelled, found, maker = exported.distilled.labelled, measured.found, job.maker
    write_text(measured.folder / cards.RUN, to_json(_run(measured, job)))
    net = maker.network(labelled.data.labels)
    card = cards.Card(
        format=1,
        name=job.name,
        task=job.task.name,
        summary=summary,
        licence=licence,
        created=found["created"],
        code_commit=found["commit"],
        labels=labelled.data.labels,
        input=maker.input(),
        student=cards.StudentFacts(
            student.architecture, dict(student.options), counts.parameters(net), maker.macs(net)
        ),
        teacher=_teacher(labelled, found),
        data=_data(labelled, data, found, job),
        recipe_sha256=job.digest,
        run_sha256=sha256(measured.folder / cards.RUN),
        variants={precision: _variant(precision, found, measured.folder) for precision in FILES},
        seeds=_spread(found["scores"]["seeds"]),
        attempts=tuple(cards.Attempt(**row) for row in measured.compressed.attempts),
        gates={k: float(v) for k, v in plain.essentials(gates).items() if v is not None},
        latency=tuple(Measurement(**row) for row in found["latency"]),
        **maker.card_facts(found["scores"]["more"]),
    )
    writing.write(card, measured.folder)
    return Carded(measured, measured.folder, card)


def _teacher(labelled: Labelled, found: dict[str, Any]) -> cards.TeacherFacts | None:
    run = labelled.teacher_run
    if run is None:
        return None
    own = found["scores"].get("teacher")
    score = _score(own["accuracy"]) if own else None
    facts = (run.name, run.source, run.sha256, run.licence, score)
    return cards.TeacherFacts(*facts, labeller=run.labeller)


def _data(labelled: Labelled, data: Any, found: dict[str, Any], job: Job) -> cards.DataFacts:
    read = labelled.data
    return cards.DataFacts(
        source=data.source,
        home=data.home,
        licence=data.licence,
        sha256=read.train.sha256,
        train=len(read.train),
        validation=len(read.validation),
        test=found["n"],
        doubles=read.doubles,
        skipped=read.skipped,
        **job.maker.data_facts(read.train, found["dropped"]),
    )


def _variant(precision: str, found: dict[str, Any], folder: Path) -> cards.Variant:
    path = folder / FILES[precision]
    facts = dict(found["scores"][precision])
    score = _score(facts.pop("accuracy"))
    also = tuple(map(_score, facts.pop("also")))
    return cards.Variant(path.name, sha256(path), path.stat().st_size, score, **facts, also=also)


def _score(data: dict[str, Any]) -> Score:
    return reader.read(Score, Document(data, "measure"), CardError)


def _spread(values: list[float]) -> cards.Spread | None:
    if len(values) < 2:
        return None
    return cards.Spread(tuple(values), statistics.fmean(values), statistics.stdev(values))


def _run(measured: Measured, job: Job) -> Run:
    exported, found = measured.compressed.exported, measured.found
    labelled = exported.distilled.labelled
    read = labelled.data
    words = job.maker.data_facts(read.train, found["dropped"])
    return Run(
        format=1,
        name=job.name,
        recipe=plain.to_dict(job.recipe),
        recipe_sha256=job.digest,
        data={
            "train": read.train.sha256,
            "validation": read.validation.sha256,
            **found["test"],
        },
        teacher=labelled.teacher_run,
        versions=found["versions"],
        parity={"max_difference": exported.parity, "tolerance": job.maker.tolerance},
        seeds={str(seed): training for seed, training in exported.distilled.seeds.items()},
        words={key: plain.to_dict(value) for key, value in words.items() if value} or None,
        reader=job.meter.reader(),
    )
