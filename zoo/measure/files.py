"""ONNX files that nobody published, timed side by side; students or not."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import InputError
from zoo.files import sha256
from zoo.measure import bench, machine
from zoo.measure.devices import Call, Runtime, runtime_for
from zoo.measure.loads import Load, OwnLoad
from zoo.measure.meter import Meter
from zoo.records import reader, task
from zoo.records.card import Input
from zoo.records.text import parse_json
from zoo.said import one_line
from zoo.students import metadata, session
from zoo.students.student import open_student

if TYPE_CHECKING:
    from zoo.measure.bench import Blocks

Progress = Callable[[int, int], None]  # done, in all
Interval = tuple[float, float, float]  # a ratio, and the ends of its 95 % interval


@dataclass(frozen=True)
class Row:
    """What one file took for one kind of input, timed in the same rounds as the others."""

    file: str  # as it was given
    input: str  # what one call reads: "uint8 1 x 32 x 32 x 3"
    p50_ms: float  # median milliseconds of one call
    p95_ms: float  # 95th percentile of one call
    n: int  # timed calls
    ratio_to_first: Interval | None  # latency over the first file's; None: it is the only one
    control: Interval | None  # the first file over a second session of itself


@dataclass(frozen=True)
class Timed:
    """Files side by side."""

    device: str  # "cpu" or "cuda"
    device_name: str
    isa: str
    runtime: str
    runtime_version: str
    os: str
    date: str  # ISO date
    batch: int  # inputs a call
    threads: int  # of the runtime
    sha256: dict[str, str]  # by file
    rows: tuple[Row, ...]


def latency(
    paths: Sequence[Path],
    *,
    device: str = "cpu",
    batch: int = 1,
    threads: int = 1,
    rounds: int = 60,
    progress: Progress | None = None,
) -> Timed:
    """Time the files, interleaved; each on its own kind of input."""
    runtime = runtime_for(device, threads)
    loads = {path: loads_of(path, batch) for path in dict.fromkeys(paths)}
    if len({len(found) for found in loads.values()}) > 1:
        raise InputError("some of the files read pictures and some texts", "time them apart")
    _check_runtime(loads, runtime)
    rows: list[Row] = []
    parts = len(next(iter(loads.values())))
    for part in range(parts):
        one = {path: found[part] for path, found in loads.items()}
        rows += _side_by_side(one, runtime, rounds, _part(progress, part, parts))
    return Timed(
        device,
        *(runtime.device_name, runtime.isa, runtime.name, runtime.version, machine.os_name()),
        datetime.datetime.now(datetime.UTC).date().isoformat(),
        batch,
        threads,
        {str(path): sha256(path) for path in loads},
        tuple(rows),
    )


def _check_runtime(loads: dict[Path, list[Load]], runtime: Runtime) -> None:
    for path, found in loads.items():
        bench.check_load(runtime, found[0])
        bench.usable({str(path): path}, runtime)


def _part(progress: Progress | None, place: int, parts: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(place * total + done, parts * total)


def _side_by_side(
    loads: dict[Path, Load], runtime: Runtime, rounds: int, progress: Progress | None
) -> list[Row]:
    calls = {str(path): _call(path, load, runtime) for path, load in loads.items()}
    first = next(iter(loads))
    if len(calls) > 1:
        calls[bench.CONTROL] = _call(first, loads[first], runtime)
    blocks = bench.interleave(calls, rounds, progress=progress)
    return [_row(path, loads[path], blocks, str(first)) for path in loads]


def _call(path: Path, load: Load, runtime: Runtime) -> Call:
    """The file with its input at hand, tried once."""
    call = runtime.open(path, load)
    try:
        call()
    except session.ORT_ERRORS as problem:
        hint = "--batch is how many examples it reads at once"
        raise InputError(f"{path}: cannot run: {one_line(problem, 1000)}", hint) from None
    return call


def _row(path: Path, load: Load, blocks: Blocks, first: str) -> Row:
    ratio = control = None
    if bench.CONTROL in blocks:
        ratio = bench.ratio(blocks[str(path)], blocks[first])
        control = bench.ratio(blocks[first], blocks[bench.CONTROL])
    fed = load.feed(_node(path).type)
    shape = " x ".join(map(str, fed.shape))
    facts = bench.calls_of(blocks[str(path)])
    return Row(str(path), f"{fed.dtype} {shape}", **facts, ratio_to_first=ratio, control=control)


# --- what a file is timed on ---------------------------------------------------------------------


def loads_of(path: Path, batch: int) -> list[Load]:
    """By the sides of what it reads; where they are free, by what it says of itself."""
    node = _node(path)
    first, *rest = node.shape or [None]
    if not all(isinstance(side, int) for side in rest):
        return _as_student(path, node, batch)
    if isinstance(first, int) and first != batch:
        raise InputError(f"{path} reads {first} at once, not {batch}", f"give --batch {first}")
    load = OwnLoad(batch, tuple(rest))
    try:
        load.feed(node.type)
    except InputError as problem:
        raise InputError(f"{path}: {problem}", problem.hint) from None
    return [load]


def _node(path: Path) -> Any:
    """The one input of a file."""
    (node,) = session.open_session(path).get_inputs()
    return node


def _as_student(path: Path, node: Any, batch: int) -> list[Load]:
    try:
        student = open_student(path, "auto", 1)
    except InputError as problem:
        shape = ", ".join(map(str, node.shape))
        what = f"{path}: what is timed is not known, for its {node.name} is ({shape})"
        raise InputError(f"{what}; {problem}", problem.hint) from None
    said = metadata.read(path).get("studentzoo.input")
    given = _input(said, path) if said else Input(node.name, node.type, "")
    return task.find(student.task).part("meter", Meter).loads_of(given, batch)


def _input(said: str, path: Path) -> Input:
    document = parse_json(said, f"{path}: studentzoo.input", InputError)
    return reader.read(Input, document, InputError)
