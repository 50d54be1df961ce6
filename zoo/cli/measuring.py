"""Figures again, on this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from zoo.cli import tables, unpublished
from zoo.cli.app import USE, app, json_out, text
from zoo.cli.arguments import (
    Device,
    Json,
    NameOrFile,
    NamesOrFiles,
    Registry,
    place,
)
from zoo.cli.fetching import pulled
from zoo.cli.unpublished import Wish
from zoo.errors import IntegrityError

_BENCH_JSON = (
    "Of a NAME print what `zoo card NAME --add FILE` reads; with --compare, the comparison."
)


@app.command(rich_help_panel=USE)
def bench(
    names: NamesOrFiles,
    device: Annotated[Device, typer.Option(help="What runs it.")] = Device.cpu,
    batch: Annotated[int, typer.Option(min=1, help="Pictures or texts a call.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Of the runtime.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="In each the files take turns.")] = 60,
    compare: Annotated[bool, typer.Option("--compare", help="Set the card beside it.")] = False,
    registry: Registry = None,
    as_json: Annotated[bool, typer.Option("--json", help=_BENCH_JSON)] = False,
) -> None:
    """Measure latency on this machine.

    The files take turns within each round; the control is the fp32 file against itself. Text
    students are timed on words of 8 and sentences of 100 letters.

    ONNX files that are not published are timed side by side, each beside the first: students on
    what they read, others on random numbers in the shape of their input.
    """
    files = unpublished.files(names)
    if files and compare:
        raise typer.BadParameter("a file has no card", param_hint="--compare")
    wish = Wish(device.value, batch, threads, rounds)
    if files:
        return unpublished.bench(files, wish, as_json)
    return _bench(names[0], wish, compare, registry, as_json)


def _bench(name: str, wish: Wish, compare: bool, registry: list[str] | None, as_json: bool) -> None:
    """Of a published student."""
    from zoo.cli import progress as bars
    from zoo.measure import bench, remeasure
    from zoo.records import plain
    from zoo.records.card import read

    folder = pulled(name, registry=registry, verify=False)
    with bars.steps("rounds") as progress:
        found = remeasure.latency(folder, **asdict(wish), progress=progress)
    beside = bench.compare(read(folder).latency, found.rows) if compare else None
    if as_json:
        return json_out(plain.to_dict(found if beside is None else beside))
    if beside is None:
        return text(tables.columns(map(tables.measured, found.rows), tables.MEASURED))
    return text(tables.columns(map(tables.beside, beside), tables.BESIDE))


@app.command(rich_help_panel=USE)
def verify(
    name: NameOrFile,
    data: Annotated[
        Path | None,
        typer.Option(parser=place, metavar="ROOT", help="Measure accuracy on the data in ROOT."),
    ] = None,
    registry: Registry = None,
    as_json: Json = False,
) -> None:
    """Check a student on this processor.

    Hashes and golden outputs always; accuracy on the test split where --data is given.

    An ONNX file that is not published has no hashes: it is opened, asked and, where --data is a
    folder of labelled examples (LABEL/NAME.jpg, or LABEL.txt with a text a line), scored. What its
    metadata lacks is said, and how to add it.
    """
    if files := unpublished.files([name]):
        return unpublished.verify(files[0], data, as_json)
    return _verify(name, data, registry, as_json)


def _verify(name: str, data: Path | None, registry: list[str] | None, as_json: bool) -> None:
    """Of a published student."""
    from zoo.cli import progress as bars
    from zoo.measure import remeasure
    from zoo.records import plain

    folder = pulled(name, registry=registry, verify=False)  # every byte is hashed here
    golden = remeasure.golden(folder)
    with bars.steps("testing") as progress:
        scores = remeasure.accuracy(folder, data, progress) if data else {}
    if as_json:
        json_out(plain.essentials(tables.verified(name, golden, scores)))
    else:
        text(tables.columns(tables.verdicts(golden, scores), tables.VERDICTS))
    right = [one.ok for one in golden.values()] + [one.ok for one in scores.values()]
    if not all(score.same_data for score in scores.values()):
        older = any(score.older for score in scores.values())
        problem = f"{data} holds other test data than the card's{_OLDER if older else ''}"
        raise IntegrityError(problem, hint=_DATA_HINT)
    if not all(right):
        raise IntegrityError(f"{name} is not here what its card says", hint=_VERIFY_HINT)


_VERIFY_HINT = (
    "int8 answers depend on processor and onnxruntime: see `zoo doctor`; fp32 should hold"
)
_OLDER = ", or resized data: the card was made by an earlier reader of pictures"
_DATA_HINT = (
    "names, labels and pixels or texts make the hash; `zoo card NAME` says where the data is from"
)


@app.command(rich_help_panel=USE)
def doctor(as_json: Json = False) -> None:
    """Show what a bug report needs.

    Versions, processor, cache, and where students come from.
    """
    from zoo.cli.doctor import examine

    facts = examine()
    return json_out(facts) if as_json else text(tables.columns(tables.facts(facts)))
