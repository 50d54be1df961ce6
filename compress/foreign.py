"""Anybody's ONNX file to 8 bits: faster and as good by measurement, or refused with the reasons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from compress import answers, exact, graph, rungs, settle, sizes, source
from compress.answers import Accuracy, Agreement
from compress.errors import CompressError
from compress.examples import Example, Examples, examples, fixed_batch
from compress.judge import FileGates, Judge, Speed, opened
from compress.ladder import File, try_out
from compress.parity import same_contract
from compress.source import Source

CALIBRATION, JUDGED = 256, 1000  # examples at most
CALIBRATION_BYTES = 1_000_000_000  # of the examples that calibrate, which are kept in memory
CHANCE = 2.0  # times the share of a blind guess: what is right no more often was read wrongly
GATES = FileGates()
ROUNDED = 0.02  # of an output's largest number: what float16 made float32 may move


@dataclass(frozen=True)
class Attempted:
    """One attempt at 8 bits, with all that was measured of it."""

    name: str
    settings: dict[str, Any]
    verdict: Literal["pass", "fail", "error"]
    reason: str  # "" for a pass
    size_bytes: int | None = None
    agreement: Agreement | None = None
    accuracy: Accuracy | None = None
    speed: Speed | None = None


@dataclass(frozen=True)
class Report:
    """What was tried and measured; `path` is the file that was written, None where refused."""

    source: Path
    size_bytes: int  # of the source, with the weights beside it
    path: Path | None
    calibrated_on: int  # examples
    judged_on: int  # other examples
    notes: tuple[str, ...]  # what the file that came out does not do as the one that came in, ..
    left_out: dict[str, str]  # exact rewrites that were not exact here -> why
    off: float  # of the rewritten float file, as a share of an output's largest number
    attempts: tuple[Attempted, ...]

    @property
    def winner(self) -> Attempted | None:
        """The attempt that was written."""
        return fastest(self.attempts)

    @property
    def refused(self) -> str:
        """Why nothing was written, "" where something was."""
        if self.winner:
            return ""
        return "; ".join(f"{tried.name}: {tried.reason}" for tried in self.attempts)


def fastest(attempts: Sequence[Attempted]) -> Attempted | None:
    """Of those that passed, the one whose latency is the least."""
    passed = [tried for tried in attempts if tried.verdict == "pass" and tried.speed]
    return min(passed, key=lambda tried: tried.speed.ratio, default=None)  # type: ignore[union-attr]


def compress(
    path: Path,
    pictures: Sequence[Example],
    *,
    out: Path,
    speed: Callable[[Path], Speed],
    gates: FileGates = GATES,
    labels: np.ndarray | None = None,
    real: bool = True,
    pin: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Write the 8-bit twin of `path` to `out` if one passes every gate.

    The first that passes is taken. Where layers had to stay in float in it, those that follow are
    tried too, as far as they want all layers in 8 bits, and the fastest is taken.

    `pictures[i]` is one example as the file reads it, without the batch: an array, or arrays by
    the names of the inputs. Some calibrate, the others judge. `labels` int (n,) are indices of the
    first output. `speed` measures a file beside the one that came in. Where `real` is False the
    examples say nothing of quality, and nothing is written. `pin`: a file that takes pictures of
    any size takes those of the examples' size after it, and is faster for it.
    """
    given = source.read(Path(path))
    graph.check_target(Path(out), given.files)
    if labels is not None and len(labels) != len(pictures):
        raise CompressError(f"{len(labels)} labels for {len(pictures)} examples", "one for each")
    calibration, held_out, doubles = _parted(examples(given.inputs, pictures))
    given, calibration, held_out = _in_batches(given, calibration, held_out)
    check_read(given, calibration.take(np.arange(min(3, len(calibration)))))
    with TemporaryDirectory() as folder:
        ready, pinned = _ready(given, calibration, pin)
        judge = Judge(given, held_out, labels, gates, speed, real)
        tried: list[Attempted] = []
        paths: dict[str, Path] = {}
        for rung in rungs.of(ready.model, calibration, Path(folder)):
            if fastest(tried) and not rung.whole:
                break
            say(rung.name)
            paths[rung.name] = rung.path
            tried.append(_attempt(rung, given, judge))
            if not real or _is_last(tried[-1], gates):
                break
        best = fastest(tried)
        written = graph.copy(paths[best.name], Path(out)) if best else None
    return Report(
        source=given.path,
        size_bytes=given.size_bytes,
        path=written,
        calibrated_on=len(calibration),
        judged_on=len(judge.examples),
        notes=(*given.notes, *pinned, *doubles, *_doubtful(tried, judge)),
        left_out=ready.left_out,
        off=ready.off,
        attempts=tuple(tried),
    )


def _is_last(tried: Attempted, gates: FileGates) -> bool:
    """Whether the attempts that follow cannot be faster: they leave no less in float."""
    settings, timed = tried.settings, tried.speed
    if settings.get("float_nodes") and not settings["float_layers"]:
        return False  # other ranges may need none in float
    if tried.verdict == "pass":
        return True
    static = "calibration" in settings
    return static and timed is not None and timed.low / timed.doubt > gates.max_speed_ratio


def _parted(given: Examples) -> tuple[Examples, Examples, tuple[str, ...]]:
    """(to calibrate on, to judge on, what is to be said), evenly over all, none in both.

    Doubles count once: they would make an interval narrower than it is.
    """
    n = len(given)
    if n < 2:
        raise CompressError(
            "one example cannot calibrate and judge", "give at least two, better hundreds"
        )
    count = min(CALIBRATION, max(1, n // 3), max(1, CALIBRATION_BYTES // given.nbytes()))
    first = np.unique(np.linspace(0, n - 1, count).astype(int))
    rest = np.setdiff1d(np.arange(n), first)
    if len(rest) > JUDGED:
        rest = rest[np.linspace(0, len(rest) - 1, JUDGED).astype(int)]
    seen: set[bytes] = set()
    calibration, held_out = (given.take(rows).distinct(seen) for rows in (first, rest))
    doubles = len(first) + len(rest) - len(calibration) - len(held_out)
    if not len(held_out):
        raise CompressError(
            "all examples are the same", "give some that differ, of what the file is for"
        )
    said = f"{doubles} of {len(first) + len(rest)} examples are the same as others: they count once"
    return calibration, held_out, (said,) if doubles else ()


def _in_batches(
    given: Source, calibration: Examples, held_out: Examples
) -> tuple[Source, Examples, Examples]:
    """As one that takes one example a call, where the file says that it takes any number and
    cannot: exporters write a batch of one into its reshapes.
    """
    if fixed_batch(given.inputs) is not None or len(calibration) + len(held_out) < 3:
        return given, calibration, held_out
    some = Examples(given.inputs, held_out.source, np.resize(held_out.rows[:1], 2))
    session = opened(given.path)
    try:
        answers.run(session, some)
    except CompressError:
        inputs = tuple(replace(port, shape=(1, *port.shape[1:])) for port in given.inputs)
        answers.run(session, replace(some, ports=inputs))
        notes = (*given.notes, "the file takes one example at a time only, whatever it says")
        given = replace(given, inputs=inputs, notes=notes)
    calibration, held_out = (replace(p, ports=given.inputs) for p in (calibration, held_out))
    return given, calibration, held_out


def _doubtful(tried: Sequence[Attempted], judge: Judge) -> list[str]:
    """What the reader should know of labels that pass for right."""
    right = next((t.accuracy for t in tried if t.accuracy), None)
    if right is None or right.before > CHANCE / answers.floats(judge.wanted)[0][0].size:
        return []
    return [
        f"the file that came in is right on {right.before:.1%} of the examples only: "
        "are they prepared as it wants, and are labels places in its answer?"
    ]


def check_read(given: Source, some: Examples) -> None:
    """That the file as it was read, raised and made float32, answers as the one that came in."""
    original, read = (
        answers.floats(answers.run(opened(f), some)) for f in (given.path, given.model)
    )
    offs = [
        exact.difference(*({str(k): a for k, a in enumerate(row)} for row in pair))
        for pair in zip(read, original, strict=True)
    ]
    halves = any(port.kind == "float16" for port in (*given.inputs, *given.outputs))
    off = max(offs)
    if not off <= (ROUNDED if halves else exact.TOLERANCE):
        raise CompressError(
            f"{given.path} answers otherwise once it is read ({', '.join(given.notes)}): {off:.2g}",
            "export it again, of opset 17 and in float32",
        )


def _ready(
    given: Source, calibration: Examples, pin: bool
) -> tuple[exact.Rewritten, tuple[str, ...]]:
    """The float file after its exact rewrites, proved on examples; what was fixed for them."""
    some = calibration.take(np.arange(min(3, len(calibration))))
    proof = [next(some.take(np.arange(1)).feeds()), next(some.feeds())]
    model, notes = given.model, []
    fixed = [p for p in given.inputs if pin and len(p.shape) == 4 and None in p.shape[1:]]
    if fixed:
        shapes = {port.name: port.shape for port in given.inputs}
        for port in fixed:
            shapes[port.name] = (port.shape[0], *proof[0][port.name].shape[1:])
            sides = " x ".join(map(str, shapes[port.name][1:]))
            notes.append(f"input {port.name!r} takes {sides} only, where it took any size")
        model = settle.pinned(model, shapes)
    moving = [port for port in given.inputs if port not in fixed]
    batch = fixed_batch(given.inputs)
    feeds = sizes.feeds(model, moving, proof[0], batch)
    return exact.rewrite(model, feeds, [*proof, *sizes.proof(feeds, batch)]), tuple(notes)


def _attempt(rung: rungs.Rung, given: Source, judge: Judge) -> Attempted:
    def make() -> File:
        made = rung.make()
        graph.save(same_contract(graph.read(made.path), given), made.path)
        return made

    tried = try_out(rung.name, rung.settings, make, judge.gates, judge)
    same, right, timed = judge.seen.get(rung.path, (None, None, None))
    made = Attempted(tried.name, tried.settings, tried.verdict, tried.reason, tried.size_bytes)
    return replace(made, agreement=same, accuracy=right, speed=timed)
