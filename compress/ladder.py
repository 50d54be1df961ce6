"""The ladder: attempts from the fastest to the safest; the first that passes every gate wins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from compress import calibrate, int8, sensitivity
from compress.config import Compress, Gates
from compress.errors import CompressError


@dataclass(frozen=True)
class Judgement:
    """What the caller measured of one int8 file, on held-out data, against the fp32 file."""

    accuracy: float | None  # fraction; None: there are no labels
    agreement: float  # fraction of pictures with the fp32 file's top-1
    drop_points: float | None  # percentage points of accuracy lost; negative where it gained
    speed_ratio: float  # latency over the fp32 file's, from interleaved rounds
    speed_ratio_low: float  # 95 % interval of that ratio
    speed_ratio_high: float
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
) -> Climb:
    """Try `config.ladder` in order; every attempt's file stays in `out_dir` as NAME.onnx.

    `calibration` yields uint8 (b, h, w, 3) from the train split; its first
    `config.calibration_images` pictures are used. `judge` measures one int8 file.
    """
    batches = calibrate.first_pictures(calibration, config.calibration_images)
    ranked: list[str] | None = None
    tried: list[Tried] = []
    for attempt in config.ladder:
        if attempt.float_layers and ranked is None:
            ranked = [name for name, _ in sensitivity.rank(fp32_path, batches)]
        exclude = tuple((ranked or [])[: attempt.float_layers])
        path = Path(out_dir) / f"{attempt.name}.onnx"
        settings = {k: v for k, v in asdict(attempt).items() if k != "name"}
        settings |= {"calibration_images": sum(map(len, batches)), "float_nodes": list(exclude)}
        make = partial(int8.quantize, fp32_path, path, batches, attempt, exclude)
        tried.append(try_out(attempt.name, settings, make, gates, judge))
        if tried[-1].verdict == "pass":
            return Climb(tuple(tried), path)
    return Climb(tuple(tried), None)


def try_out(
    name: str,
    settings: dict[str, Any],
    make: Callable[[], Path],
    gates: Gates,
    judge: Callable[[Path], Judgement],
) -> Tried:
    """Make one file, measure it and hold it against the gates."""
    try:
        path = make()
        judged = judge(path)
    except CompressError as error:
        return Tried(name=name, settings=settings, verdict="error", reason=str(error))
    size = path.stat().st_size
    missed = misses(judged, size, gates)
    return Tried(
        name=name,
        settings=settings,
        size_bytes=size,
        verdict="fail" if missed else "pass",
        reason="; ".join(missed),
        **{key: value for key, value in asdict(judged).items() if key != "missed"},
    )


def misses(judged: Judgement, size_bytes: int, gates: Gates) -> list[str]:
    """Every gate that this attempt does not reach, in words; a nan reaches none."""
    found = []
    if judged.drop_points is not None and not judged.drop_points <= gates.max_drop_points:
        found.append(f"drop {judged.drop_points:.2f} points > {gates.max_drop_points:.2f}")
    if not judged.agreement >= gates.min_agreement:
        found.append(f"agreement {judged.agreement:.2%} < {gates.min_agreement:.2%}")
    if not judged.speed_ratio <= gates.max_speed_ratio:
        found.append(f"speed ratio {judged.speed_ratio:.3f} > {gates.max_speed_ratio:.3f}")
    if gates.max_size_bytes and size_bytes > gates.max_size_bytes:
        found.append(f"size {size_bytes} bytes > {gates.max_size_bytes}")
    return [*found, *judged.missed]
