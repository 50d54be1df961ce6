"""Files beside the one that came in: what was measured of them, and which bounds they miss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import ModelProto
from onnxruntime import InferenceSession

from compress import answers, calibrate, graph
from compress.answers import Accuracy, Agreement, Kind, Rows
from compress.config import Gates
from compress.errors import CompressError
from compress.examples import Examples
from compress.ladder import Judgement
from compress.source import Source

MIN_AGREEMENT: dict[Kind, float] = {"top-1": 0.9, "cosine": 0.98, "closeness": 0.98}
MOVED = 0.5  # of what differs between examples, where a file that sees nothing would pass
ANSWER_BYTES = 1_000_000_000  # of the float file's answers that are kept; as many of each attempt
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

    @property
    def doubt(self) -> float:
        """The factor that two sessions of one file are surely apart in these rounds, >= 1.

        What moved them may have moved the ratio as far. nan where the control is none.
        """
        ends = np.array([1.0, self.control_low, 1 / self.control_high if self.control_high else 0])
        return float(ends.max())


def opened(file: Path | ModelProto) -> InferenceSession:
    """The very file, its weights inside; or a model."""
    return calibrate.session(graph.read(file) if isinstance(file, Path) else file)


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
        session = opened(given.path)
        self.given, self.speed, self.real = given, speed, real
        self.examples = _that_fit(session, held_out)
        self.wanted = answers.run(session, self.examples)
        _check_numbers(self.wanted)
        floats = answers.floats(self.wanted)
        if real and len(floats) > 1 and not answers.differ(floats):
            raise CompressError(
                "the file that came in gives one answer to all examples: nothing can be judged",
                "are they prepared as it wants?",
            )
        self.kind = answers.kind_of(
            [a[None] for a in floats[0]], len(given.inputs), answers.float_outputs(session)[0]
        )
        self.labels = None if labels is None else self._checked(np.asarray(labels))
        self.gates = gates.gates(MIN_AGREEMENT[self.kind])
        blind = answers.agreement(answers.blind(floats, self.kind), floats, self.kind)
        self.passes_blind = blind.low >= self.gates.min_agreement
        self.seen: dict[Path, tuple[Agreement, Accuracy | None, Speed]] = {}

    def _checked(self, labels: np.ndarray) -> np.ndarray:
        """The labels of the examples that judge."""
        classes = answers.floats(self.wanted)[0][0].size
        if self.kind != "top-1":
            raise CompressError("the file's first output has no classes", "leave the labels out")
        hint = "a label is the place in the file's answer, from 0"
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise CompressError(f"labels are {labels.dtype} of shape {labels.shape}", hint)
        wrong = labels[(labels < 0) | (labels >= classes)]
        if len(wrong):
            raise CompressError(
                f"label {max(wrong, key=abs)} is no output of the file, which has {classes}", hint
            )
        return labels[self.examples.rows]

    def __call__(self, path: Path) -> Judgement:
        """What was measured of one file, and which bounds it misses."""
        found = answers.run(opened(path), self.examples)
        mine, theirs = answers.floats(found), answers.floats(self.wanted)
        same = answers.agreement(mine, theirs, self.kind)
        right = None
        if self.labels is not None:
            right = answers.accuracy(mine, theirs, self.labels)
        timed = self.speed(path)
        self.seen[path] = same, right, timed
        quality = [*self._unsure(same), *self._others(found), *self._blind(mine, theirs)]
        return Judgement(
            accuracy=right.after if right else None,
            agreement=same.value,
            drop_points=right.drop_points if right else None,
            speed_ratio=timed.ratio,
            speed_ratio_low=timed.low,
            speed_ratio_high=timed.high,
            missed=(*(quality if self.real else [RANDOM]), *self._slow(timed)),
        )

    def _unsure(self, same: Agreement) -> list[str]:
        """What the ladder's own gate, which reads the point value, does not see."""
        least = self.gates.min_agreement
        if not same.value >= least or same.low >= least:
            return []
        return [
            f"agreement {same.value:.2%} on {same.n} examples is sure to be {same.low:.2%} "
            f"only, {least:.2%} is wanted: give more examples"
        ]

    def _slow(self, timed: Speed) -> list[str]:
        """The same of latency; and a machine on which one file is not as fast as itself."""
        most = min(1.0, self.gates.max_speed_ratio)
        if not timed.ratio <= self.gates.max_speed_ratio:
            return []
        if not timed.high < most:
            return [f"speed ratio {timed.ratio:.3f} may be {timed.high:.3f}, not < {most:.3f}"]
        if not timed.high * timed.doubt < most:
            return [
                f"not measured: speed ratio {timed.ratio:.3f}, but the file that came in is "
                f"{timed.control:.3f} ({timed.control_low:.3f} to {timed.control_high:.3f}) of "
                "itself: the machine is too busy"
            ]
        return []

    def _others(self, found: Rows) -> list[str]:
        """What the first output does not see: classes' other outputs, and all that are no floats.

        The first by their cosine, the others by the share of places that are the same.
        """
        missed = []
        mine, theirs = answers.floats(found), answers.floats(self.wanted)
        if self.kind == "top-1" and len(theirs[0]) > 1:
            after = ([row[1:] for row in rows] for rows in (mine, theirs))
            same = answers.agreement(next(after), next(after), "cosine")
            least = min(self.gates.min_agreement, MIN_AGREEMENT["cosine"])
            if not same.low >= least:
                missed.append(
                    f"the outputs after the first have a cosine of {same.low:.4f} < {least:.4f}"
                )
        least = min(self.gates.min_agreement, MIN_AGREEMENT["top-1"])
        alike = answers.alike(found, self.wanted)
        if not alike >= least:
            missed.append(f"whole numbers that are the same: {alike:.2%} < {least:.2%}")
        return missed

    def _blind(self, mine: Rows, theirs: Rows) -> list[str]:
        """Where one answer to everything would reach the gate, what differs must be kept."""
        if not self.passes_blind:
            return []
        moved = answers.moved(mine, theirs)
        if moved <= MOVED:
            return []
        return [
            "one answer to all examples would reach the gate; "
            f"of what differs between them 8 bits change {moved:.0%} > {MOVED:.0%}"
        ]


def _that_fit(session: InferenceSession, held_out: Examples) -> Examples:
    """As many of the examples, from all over them, as their answers fit in ANSWER_BYTES."""
    (row,) = answers.run(session, held_out.take(np.arange(1)))
    most = max(1, ANSWER_BYTES // max(1, sum(array.nbytes for array in row)))
    if len(held_out) <= most:
        return held_out
    return held_out.take(np.linspace(0, len(held_out) - 1, most).astype(int))


def _check_numbers(wanted: Rows) -> None:
    if any(np.isnan(array).any() for row in answers.floats(wanted) for array in row):
        raise CompressError(
            "the file that came in answers nan to an example", "did training diverge?"
        )
