"""ONNX files in place of the names of students: what `zoo bench` and `zoo verify` do with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from zoo.cli import tables
from zoo.cli.app import json_out, talk, text
from zoo.errors import IntegrityError

if TYPE_CHECKING:
    from zoo.cli.tables import Row
    from zoo.measure.files import Timed
    from zoo.measure.look import Looked
    from zoo.measure.tally import Tally

SUFFIX = ".onnx"
TIMED = (
    *("FILE", "INPUT", "THREADS", "P50 MS", "P95 MS", "N"),
    *("OVER FIRST", "CONTROL", "DEVICE"),
)


@dataclass(frozen=True)
class Wish:
    """How latency is measured."""

    device: str
    batch: int  # inputs a call
    threads: int  # of the runtime
    rounds: int


def files(names: Sequence[str]) -> list[Path]:
    """The files that were named; none where it is one name of a student."""
    found = [Path(name) for name in names if name.lower().endswith(SUFFIX)]
    if len(found) not in (0, len(names)) or (len(names) > 1 and not found):
        what = f"give one name of a student, or files that end in {SUFFIX}"
        raise typer.BadParameter(what, param_hint="NAME")
    return found


def bench(paths: Sequence[Path], wish: Wish, as_json: bool) -> None:
    """Latency, side by side."""
    from zoo.cli import progress as bars
    from zoo.measure.files import latency
    from zoo.records import plain

    with bars.steps("rounds") as progress:
        timed = latency(paths, **asdict(wish), progress=progress)
    if as_json:
        return json_out(plain.to_dict(timed))
    return text(tables.columns(_timed(timed), TIMED))


def verify(path: Path, data: Path | None, as_json: bool) -> None:
    """Is it a student, how does it answer, how good is it."""
    from zoo.cli import progress as bars
    from zoo.measure.look import counted, look
    from zoo.records import plain

    found, student = look(path)
    tally = None
    if data is not None:
        with bars.steps("testing") as progress:
            tally = counted(student, data, progress)
    if as_json:
        scored = {"data": tally.source, **tally.as_data()} if tally else {}
        json_out({**plain.to_dict(found), "ok": found.ok, **scored})
    else:
        text(tables.columns(_looked(found, tally), tables.VERDICTS))
        for line in tally.wrong() if tally else ():
            talk(line)
    if not found.ok:
        raise IntegrityError(f"{path} does not answer as a student does", "see above")


def _timed(timed: Timed) -> Iterator[Row]:
    for row in timed.rows:
        yield (
            row.file,
            row.input,
            str(timed.threads),
            f"{row.p50_ms:.3g}",
            f"{row.p95_ms:.3g}",
            str(row.n),
            tables.ratio(*(row.ratio_to_first or (None,))),
            tables.ratio(*(row.control or (None,))),
            f"{timed.device_name}, {timed.runtime} {timed.runtime_version}",
        )


def _looked(found: Looked, tally: Tally | None) -> Iterator[Row]:
    yield f"{found.task}", f"{found.labels} labels", "its metadata", "ok"
    numbers = "numbers" if found.finite else "no numbers among them"
    yield "answers to random inputs", numbers, "numbers", tables.word(found.finite)
    off = "-" if found.difference is None else f"{found.difference:.2g} off"
    yield "answers alone and together", off, "the same first", tables.word(found.same_alone)
    if golden := found.golden:
        off, wanted = f"{golden.max_difference:.2g} off", f"at most {golden.tolerance:.2g}"
        yield "golden outputs", off, wanted, tables.word(golden.ok)
    if tally:
        yield "labelled examples", f"{tally.n:,}", tally.source, "read"
        for name, score in tally.scores().items():
            value, low, high = (f"{number:.4f}" for number in score)
            yield name, f"{value} ({low}-{high}), n {tally.n}", "-", "measured"
