"""Anybody's ONNX file to 8 bits: faster and as good by measurement, or refused with the reasons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from onnx import ModelProto
from onnxruntime import InferenceSession

from compress import answers, calibrate, exact, graph, rungs, settle, source
from compress.answers import Accuracy, Agreement, Kind
from compress.config import Gates
from compress.errors import CompressError
from compress.examples import Example, Examples, Feed, examples, fixed_batch
from compress.ladder import File, Judgement, try_out
from compress.parity import same_contract
from compress.source import Port, Source

CALIBRATION, JUDGED = 256, 1000  # examples at most
MIN_AGREEMENT: dict[Kind, float] = {"top-1": 0.9, "cosine": 0.98, "closeness": 0.98}
ROUNDED = 0.02  # of an output's largest number: what float16 made float32 may move
RANDOM = "the examples are random: they show speed only"


@dataclass(frozen=True)
class FileGates:
    """What an attempt at somebody else's file must reach, on examples that calibrated nothing."""

    max_drop_points: float = 0.5  # percentage points of accuracy lost, where there are labels
    min_agreement: float | None = None  # lower end of its interval; None: MIN_AGREEMENT
    max_speed_ratio: float = 1.0  # latency over that of the file that came in, its upper end

    def __post_init__(self) -> None:
        self.gates(0.0)

    def gates(self, min_agreement: float) -> Gates:
        """The same as the ladder reads it; `min_agreement` where nothing is said of it."""
        if not self.max_speed_ratio <= 1:
            raise ValueError(f"max_speed_ratio must be <= 1, not {self.max_speed_ratio}")
        least = min_agreement if self.min_agreement is None else self.min_agreement
        return Gates(self.max_drop_points, least, self.max_speed_ratio)


@dataclass(frozen=True)
class Speed:
    """Latency of one file over that of the file that came in, from interleaved rounds."""

    ratio: float
    low: float  # 95 % interval
    high: float
    control: float  # the file that came in, over itself
    control_low: float
    control_high: float
    before_ms: float  # p50
    after_ms: float


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
        return next((tried for tried in self.attempts if tried.verdict == "pass"), None)

    @property
    def refused(self) -> str:
        """Why nothing was written, "" where something was."""
        if self.winner:
            return ""
        return "; ".join(f"{tried.name}: {tried.reason}" for tried in self.attempts)


def compress(
    path: Path,
    pictures: Sequence[Example],
    *,
    out: Path,
    speed: Callable[[Path], Speed],
    gates: FileGates = FileGates(),
    labels: np.ndarray | None = None,
    real: bool = True,
    pin: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Write the 8-bit twin of `path` to `out` if one passes every gate.

    `pictures[i]` is one example as the file reads it, without the batch: an array, or arrays by
    the names of the inputs. Some calibrate, the others judge. `labels` int (n,) are indices of the
    first output. `speed` measures a file beside the one that came in. Where `real` is False the
    examples say nothing of quality, and nothing is written. `pin`: a file that takes pictures of
    any size takes those of the examples' size after it, and is faster for it.
    """
    given = source.read(Path(path))
    if labels is not None and len(labels) != len(pictures):
        raise CompressError(f"{len(labels)} labels for {len(pictures)} examples", "one for each")
    calibration, held_out = _parted(examples(given.inputs, pictures))
    _check_read(given, calibration.take(np.arange(min(3, len(calibration)))))
    with TemporaryDirectory() as folder:
        ready, pinned = _ready(given, calibration, pin)
        judge = Judge(given, held_out, labels, gates, speed, real)
        tried: list[Attempted] = []
        for rung in rungs.of(ready.model, calibration, Path(folder)):
            say(rung.name)
            tried.append(_attempt(rung, given, judge))
            if tried[-1].verdict == "pass" or not real or _is_slow(tried[-1], gates):
                break
        passed = tried and tried[-1].verdict == "pass"
        written = graph.copy(rung.path, Path(out)) if passed else None
    return Report(
        source=given.path,
        size_bytes=given.size_bytes,
        path=written,
        calibrated_on=len(calibration),
        judged_on=len(held_out),
        notes=(*given.notes, *pinned),
        left_out=ready.left_out,
        off=ready.off,
        attempts=tuple(tried),
    )


def _is_slow(tried: Attempted, gates: FileGates) -> bool:
    """Whether it is surely too slow: the attempts that follow leave more in float."""
    static = "calibration" in tried.settings
    return static and tried.speed is not None and tried.speed.low > gates.max_speed_ratio


def _parted(given: Examples) -> tuple[Examples, Examples]:
    """(to calibrate on, to judge on), evenly over all, never one example in both."""
    n = len(given)
    if n < 2:
        raise CompressError(
            "one example cannot calibrate and judge", "give at least two, better hundreds"
        )
    count = min(CALIBRATION, max(1, n // 3))
    first = np.unique(np.linspace(0, n - 1, count).astype(int))
    rest = np.setdiff1d(np.arange(n), first)
    if len(rest) > JUDGED:
        rest = rest[np.linspace(0, len(rest) - 1, JUDGED).astype(int)]
    return given.take(first), given.take(rest)


def _check_read(given: Source, some: Examples) -> None:
    """That the file as it was read, raised and made float32, answers as the one that came in."""
    original, read = (answers.run(_opened(f), some) for f in (given.path, given.model))
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


def _opened(file: Path | ModelProto) -> InferenceSession:
    """The very file, its weights inside; or a model."""
    return calibrate.session(graph.read(file) if isinstance(file, Path) else file)


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
    feeds = sizes(moving, proof[0], fixed_batch(given.inputs))
    return exact.rewrite(model, feeds, proof), tuple(notes)


def sizes(moving: Sequence[Port], feed: Feed, batch: int | None) -> list[Feed]:
    """Feeds of every size that may come: other batches, and other sizes of what is free in
    `moving`; the batch is fixed where it is given.
    """
    wide = dict(feed)
    for port in moving:
        wide[port.name] = _longer(feed[port.name], port)
    found = [feed] if all(wide[name] is feed[name] for name in feed) else [feed, wide]
    if batch is None:
        found = [
            {k: np.repeat(a, n, 0) for k, a in one.items()} for one in found for n in (1, 2, 3)
        ]
    return found


def _longer(array: np.ndarray, port: Port) -> np.ndarray:
    for axis, size in enumerate(port.shape[1:], 1):
        if size is None:
            array = np.concatenate([array, array], axis)
    return array


class Judge:
    """Holds files beside the one that came in, on examples that calibrated nothing."""

    def __init__(
        self,
        given: Source,
        held_out: Examples,
        labels: np.ndarray | None,
        gates: FileGates,
        speed: Callable[[Path], Speed],
        real: bool,
    ) -> None:
        self.given, self.examples, self.speed, self.real = given, held_out, speed, real
        self.wanted = answers.run(_opened(given.path), held_out)
        self.kind = answers.kind_of([a[None] for a in self.wanted[0]], len(given.inputs))
        self.labels = None if labels is None else self._checked(np.asarray(labels))
        self.gates = gates.gates(MIN_AGREEMENT[self.kind])
        self.seen: dict[Path, tuple[Agreement, Accuracy | None, Speed]] = {}

    def _checked(self, labels: np.ndarray) -> np.ndarray:
        """The labels of the examples that judge."""
        classes = self.wanted[0][0].size
        if self.kind != "top-1":
            raise CompressError("the file's first output has no classes", "leave the labels out")
        if not ((labels >= 0) & (labels < classes)).all():
            raise CompressError(
                f"label {labels.max()} is no output of the file, which has {classes}",
                "a label is the place in the file's answer, from 0",
            )
        return labels[self.examples.rows]

    def __call__(self, path: Path) -> Judgement:
        """What was measured of one file, and which bounds it misses."""
        found = answers.run(calibrate.session(graph.read(path)), self.examples)
        same = answers.agreement(found, self.wanted, self.kind)
        right = None
        if self.labels is not None:
            right = answers.accuracy(found, self.wanted, self.labels)
        timed = self.speed(path)
        self.seen[path] = same, right, timed
        return Judgement(
            accuracy=right.after if right else None,
            agreement=same.value,
            drop_points=right.drop_points if right else None,
            speed_ratio=timed.ratio,
            speed_ratio_low=timed.low,
            speed_ratio_high=timed.high,
            missed=(*self._missed(same, timed), *self._others(found)),
        )

    def _missed(self, same: Agreement, timed: Speed) -> list[str]:
        """What the ladder's own gates, which read point values, do not see."""
        found = [] if self.real else [RANDOM]
        least, most = self.gates.min_agreement, min(1.0, self.gates.max_speed_ratio)
        if self.real and same.value >= least and not same.low >= least:
            found.append(
                f"agreement {same.value:.2%} on {same.n} examples is sure to be {same.low:.2%} "
                f"only, {least:.2%} is wanted: give more examples"
            )
        if timed.ratio <= self.gates.max_speed_ratio and not timed.high < most:
            found.append(f"speed ratio {timed.ratio:.3f} may be {timed.high:.3f}, not < {most:.3f}")
        return found

    def _others(self, found: list[list[np.ndarray]]) -> list[str]:
        """What the first output's classes do not see: the outputs after it, by their cosine."""
        if self.kind != "top-1" or len(self.wanted[0]) == 1 or not self.real:
            return []
        mine, theirs = ([row[1:] for row in rows] for rows in (found, self.wanted))
        same = answers.agreement(mine, theirs, "cosine")
        least = min(self.gates.min_agreement, MIN_AGREEMENT["cosine"])
        if same.low >= least:
            return []
        return [f"the outputs after the first have a cosine of {same.low:.4f} < {least:.4f}"]


def _attempt(rung: rungs.Rung, given: Source, judge: Judge) -> Attempted:
    def make() -> File:
        made = rung.make()
        graph.save(same_contract(graph.read(made.path), given), made.path)
        return made

    tried = try_out(rung.name, rung.settings, make, judge.gates, judge)
    same, right, timed = judge.seen.get(rung.path, (None, None, None))
    made = Attempted(tried.name, tried.settings, tried.verdict, tried.reason, tried.size_bytes)
    return replace(made, agreement=same, accuracy=right, speed=timed)
