"""The ladder: attempts from the fastest to the safest; the first that passes every gate wins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from compress import calibrate, graph, int8, processor, sensitivity, training
from compress.config import Attempt, Compress, Gates
from compress.errors import CompressError


@dataclass(frozen=True)
class Judgement:
    """What the caller measured of one int8 file, on held-out data, against the fp32 file."""

    accuracy: float | None  # fraction; None: there are no labels
    agreement: float  # fraction of pictures with the fp32 file's top-1
    drop_points: float | None  # percentage points of accuracy lost; negative where it gained
    speed_ratio: float | None  # latency over the fp32 file's, interleaved rounds; None: not timed
    speed_ratio_low: float | None  # 95 % interval of that ratio
    speed_ratio_high: float | None
    missed: tuple[str, ...] = ()  # bounds of the caller's own that it does not reach, in words


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One attempt as the card shows it; the measured fields are None where the attempt failed."""

    name: str
    settings: dict[str, Any]  # the attempt's own, with the nodes that stayed float
    accuracy: float | None = None
    agreement: float | None = None
    drop_points: float | None = None
    size_bytes: int | None = None
    speed_ratio: float | None = None
    speed_ratio_low: float | None = None
    speed_ratio_high: float | None = None
    verdict: Literal["pass", "fail", "error"]
    reason: str  # "" for a pass, else every gate that was missed


@dataclass(frozen=True)
class File:
    """One attempt's file, and what was settled while it was made."""

    path: Path
    settings: dict[str, Any]


@dataclass(frozen=True)
class Climb:
    """What was tried, in order, and the file that won."""

    attempts: tuple[Tried, ...]
    winner: Path | None  # None: no attempt passed


def climb(
    fp32_path: Path,
    out_dir: Path,
    calibration: Iterable[np.ndarray],
    config: Compress,
    gates: Gates,
    judge: Callable[[Path], Judgement],
    train: training.Train | None = None,
) -> Climb:
    """Try `config.ladder` in order; every attempt's file stays in `out_dir` as NAME.onnx.

    `calibration` yields batches of what the file reads, from the train split; its first
    `config.calibration_images` examples are used. `judge` measures one int8 file. An attempt whose
    file cannot be made, or is not as the float file, has the verdict `error`, and the next follows.
    `config.last` follows where there is who can `train` it, and answers were lost.
    """
    reads = graph.the_input(graph.load(Path(fp32_path)), fp32_path)
    batches = calibrate.first_pictures(calibration, config.calibration_images, reads)
    rank = cache(lambda: [name for name, _ in sensitivity.rank(fp32_path, batches)])
    tried: list[Tried] = []
    for attempt in config.rungs:
        if attempt is config.last and (train is None or not any(_lost(t, gates) for t in tried)):
            break
        path = Path(out_dir) / f"{attempt.name}.onnx"
        settings = settings_of(attempt, batches)
        how = {"train": train} if attempt.epochs else {}
        make = partial(make_attempt, fp32_path, path, batches, attempt, rank, **how)
        tried.append(try_out(attempt.name, settings, make, gates, judge))
        if tried[-1].verdict == "pass":
            return Climb(tuple(tried), path)
    return Climb(tuple(tried), None)


def settings_of(attempt: Attempt, batches: list[np.ndarray]) -> dict[str, Any]:
    """What is known of an attempt before it is made."""
    unread = {"name"} if attempt.epochs else {"name", "epochs", "learning_rate"}
    settings = {k: v for k, v in asdict(attempt).items() if k not in unread}
    settings |= {"calibration_images": sum(map(len, batches)), "float_nodes": []}
    return settings | processor.narrowed()


def make_attempt(
    fp32_path: Path,
    path: Path,
    batches: list[np.ndarray],
    attempt: Attempt,
    rank: Callable[[], list[str]],
    *,
    train: training.Train | None = None,
    **how: Any,
) -> File:
    """The attempt's file, and what stayed float in it; `how`: see `int8.make`."""
    float_nodes = tuple(rank()[: attempt.float_layers] if attempt.float_layers else ())
    if attempt.epochs:
        if train is None:
            raise CompressError("there is nothing to train with", "give the attempt 0 epochs")
        made, more = training.make(fp32_path, path, batches, attempt, float_nodes, train)
        return File(made.path, {"float_nodes": list(made.float_nodes), **more})
    made = int8.make(fp32_path, path, batches, attempt, float_nodes, **how)
    return File(made.path, {"float_nodes": list(made.float_nodes)})


def try_out(
    name: str,
    settings: dict[str, Any],
    make: Callable[[], File],
    gates: Gates,
    judge: Callable[[Path], Judgement],
) -> Tried:
    """Make one file, measure it and hold it against the gates."""
    try:
        made = make()
        judged = judge(made.path)
    except CompressError as error:
        return Tried(name=name, settings=settings, verdict="error", reason=str(error))
    size = made.path.stat().st_size
    missed = misses(judged, size, gates)
    return Tried(
        name=name,
        settings=settings | made.settings,
        size_bytes=size,
        verdict="fail" if missed else "pass",
        reason="; ".join(missed),
        **{key: value for key, value in asdict(judged).items() if key != "missed"},
    )


def _lost(tried: Tried, gates: Gates) -> bool:
    """Whether an attempt gave wrong answers, or none: then training may help."""
    if tried.agreement is None:
        return True
    return bool(_wrong(tried.drop_points, tried.agreement, gates))


def _wrong(drop_points: float | None, agreement: float, gates: Gates) -> list[str]:
    found = []
    if drop_points is not None and not drop_points <= gates.max_drop_points:
        found.append(f"drop {drop_points:.2f} points > {gates.max_drop_points:.2f}")
    if not agreement >= gates.min_agreement:
        found.append(f"agreement {agreement:.2%} < {gates.min_agreement:.2%}")
    return found


def misses(judged: Judgement, size_bytes: int, gates: Gates) -> list[str]:
    """Every gate that this attempt does not reach, in words; a nan reaches none."""
    found = _wrong(judged.drop_points, judged.agreement, gates)
    if judged.accuracy is not None and not judged.accuracy >= gates.min_accuracy:
        found.append(f"accuracy {judged.accuracy:.2%} < {gates.min_accuracy:.2%}")
    if judged.speed_ratio is not None and not judged.speed_ratio <= gates.max_speed_ratio:
        found.append(f"speed ratio {judged.speed_ratio:.3f} > {gates.max_speed_ratio:.3f}")
    if gates.max_size_bytes and size_bytes > gates.max_size_bytes:
        found.append(f"size {size_bytes} bytes > {gates.max_size_bytes}")
    return [*found, *judged.missed]
