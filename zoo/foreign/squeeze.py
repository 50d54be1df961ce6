"""The whole way of `zoo compress`: what the file reads, examples for it, 8 bits, the report."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import InputError
from zoo.foreign import examples, timing
from zoo.foreign.preprocess import Asked, Preprocess, settled

if TYPE_CHECKING:
    import numpy as np

    from compress.foreign import Report
    from compress.source import Port, Source

ARRAYS = (".npz", ".npy")
RANDOM_PICTURES = 24


@dataclass(frozen=True)
class Wish:
    """What was asked for, beside the file and its data."""

    asked: Asked = field(default_factory=Asked)
    labels: Path | None = None
    raw: bool = False  # the result reads bytes (n, h, w, 3) of any size
    max_drop_points: float = 0.5
    max_speed_ratio: float = 1.0
    min_agreement: float | None = None  # None: 0.9 of first answers, a cosine of 0.98
    threads: int = 1
    rounds: int = timing.ROUNDS


@dataclass(frozen=True)
class Done:
    """The report, and what it is about."""

    report: Report
    data: str  # what the examples were
    prepared: str  # where the preprocessing is from, "" where there is none
    threads: int


def squeeze(
    path: Path,
    data: Path | None,
    out: Path,
    wish: Wish,
    say: Callable[[str], None] = lambda line: None,
) -> Done:
    """Write the 8-bit twin of `path` to `out`, or say why not; without `data` nothing is written.

    `data` is a folder of pictures, or an .npz of arrays as the file reads them.
    """
    from compress import graph, source

    given = source.read(path)
    graph.check_target(out, given.files)
    with tempfile.TemporaryDirectory() as folder:
        work = _work(given, data, wish, Path(folder))
        report = _compress(work, out, wish, data is not None, say)
    if work.raw:  # what was compressed is the file with a head: it is about the one that came in
        notes = (*given.notes, *report.notes)
        report = replace(report, source=path, size_bytes=given.size_bytes, notes=notes)
    return Done(report, work.told, work.prepared, wish.threads)


@dataclass(frozen=True)
class _Work:
    """What goes through the stage."""

    before: Path  # the file that came in
    float_file: Path  # what is quantized: the same, or with a head for raw pictures
    pictures: Sequence[Any]  # as `float_file` reads them
    labels: np.ndarray | None
    feed: dict[str, np.ndarray]  # one example for `before`
    after: dict[str, np.ndarray]  # the same for `float_file`
    told: str
    prepared: str
    raw: bool = False


def _work(given: Source, data: Path | None, wish: Wish, folder: Path) -> _Work:
    ports, path = given.inputs, given.path
    if data is not None and data.is_dir():
        return _of_pictures(given, data, wish, folder)
    if wish.raw or wish.labels is not None:
        raise InputError("--raw and --labels need pictures", "give --data FOLDER")
    if data is None:
        size = wish.asked.size
        rows = examples.random(ports, size, RANDOM_PICTURES)
        told = f"{len(rows)} random examples"
    elif data.suffix.lower() in ARRAYS:
        rows = examples.arrays(data, ports)
        told = f"{len(rows)} examples of {data.name}"
    else:
        hint = "--data is a folder of pictures, or an .npz of arrays named like the file's inputs"
        problem = "no such file or folder" if not data.exists() else "neither folder nor arrays"
        raise InputError(f"{data}: {problem}", hint)
    feed = _one(rows[0], ports)
    return _Work(path, path, rows, None, feed, feed, told, "")


def _one(row: Mapping[str, np.ndarray], ports: Sequence[Port]) -> dict[str, np.ndarray]:
    """One example as a call takes it: as often as a fixed batch wants."""
    from compress.examples import fixed_batch

    count = fixed_batch(tuple(ports)) or 1
    return {name: array[None].repeat(count, 0) for name, array in row.items()}


def _of_pictures(given: Source, data: Path, wish: Wish, folder: Path) -> _Work:
    from zoo.inputs import pictures

    ports, path = given.inputs, given.path
    if len(ports) != 1 or len(ports[0].shape) != 4:
        names = ", ".join(port.name for port in ports)
        hint = f"give --data FILE.npz with arrays named {names}"
        raise InputError(f"{path} reads no pictures", hint)
    (port,) = ports
    nchw = examples.channels_first(port)
    how, prepared = settled(wish.asked, path, port.kind != "uint8")
    how = _gray(how, port, nchw)
    size = _size(port, nchw, how)
    paths = pictures.found([data])
    labels = None if wish.labels is None else examples.labels(wish.labels, data, paths)
    rows = examples.Planes(paths, how, size, port, nchw)
    feed, told = _one({port.name: rows[0]}, ports), f"{len(paths)} pictures of {data}"
    if not wish.raw:
        return _Work(path, path, rows, labels, feed, feed, told, prepared)
    return _with_head(given, rows, labels, told, prepared, feed, folder / "raw.onnx")


def _with_head(
    given: Source, rows: examples.Planes, labels: Any, told: str, prepared: str, feed: Any, to: Path
) -> _Work:
    """The file behind a head for raw pictures, both proved on the pictures."""
    from compress import foreign
    from compress.examples import examples as examples_of
    from zoo.foreign import raw

    (port,), path, paths, how = given.inputs, given.path, rows.paths, rows.how
    foreign.check_read(given, examples_of(given.inputs, rows[: min(3, len(rows))]))
    headed = raw.headed(path, port, how, rows.size, rows.nchw, to)
    raw.prove(headed, paths, rows)
    bytes_ = examples.Whole(paths, how, rows.size)
    after = _one({raw.IMAGE: bytes_[0]}, given.inputs)
    return _Work(path, headed, bytes_, labels, feed, after, told, prepared, raw=True)


def _gray(how: Preprocess, port: Port, nchw: bool) -> Preprocess:
    return replace(how, color="gray") if port.shape[1 if nchw else 3] == 1 else how


def _size(port: Port, nchw: bool, how: Preprocess) -> tuple[int, int]:
    """(height, width) of the file; where it takes any, what was asked for."""
    height, width = port.shape[2:] if nchw else port.shape[1:3]
    if how.size is None:
        if height is None or width is None:
            raise InputError(f"input {port.name!r} takes any size", "give --size")
        return height, width
    if height not in (None, how.size[0]) or width not in (None, how.size[1]):
        raise InputError(
            f"input {port.name!r} is {height} x {width} pixels, not {how.size[0]} x {how.size[1]}",
            f"give --size {height or how.size[0]}x{width or how.size[1]}, as the file has it",
        )
    return how.size


def _compress(work: _Work, out: Path, wish: Wish, real: bool, say: Callable[[str], None]) -> Report:
    from compress import foreign

    values = wish.max_drop_points, wish.min_agreement, wish.max_speed_ratio
    try:
        gates = foreign.FileGates(*values)
    except ValueError as problem:
        raise InputError(str(problem), "see `zoo compress --help`") from None
    speed = timing.Beside(work.before, work.feed, work.after, wish.threads, wish.rounds)
    return foreign.compress(
        work.float_file,
        work.pictures,
        out=out,
        speed=speed,
        gates=gates,
        labels=work.labels,
        real=real,
        pin=not work.raw,
        say=say,
    )
