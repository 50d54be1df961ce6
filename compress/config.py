"""What this stage can be told: frozen dataclasses without heavy imports, each checked when made.

A value out of its range is a `ValueError` that names the field. `zoo` reads these from YAML.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

Calibration = Literal["minmax", "percentile", "entropy"]
Codec = Literal["linear", "dynamic-2015", "dynamic-bnb"]


def _check(ok: bool, message: str) -> None:
    if not ok:
        raise ValueError(message)


_LATER = {"later": True}  # a field that is no part of a hash while it holds its default


@dataclass(frozen=True)
class Attempt:
    """One rung of the ladder: how the ranges are found, what stays float, and what learns."""

    name: str  # unique in its ladder; also the stem of the attempt's file
    calibration: Calibration = "minmax"  # how the seen values of an activation give its range
    percentile: float = 99.99  # percent of the seen values kept inside; read by "percentile" only
    float_layers: int = 0  # Conv and Gemm left in float: the N most damaging by measurement
    epochs: int = field(
        default=0,  # of training with all rounded as in 8 bits; 0: the weights stay as they are
        metadata=_LATER,
    )
    learning_rate: float = field(
        default=0.003,  # of that training, falling by half a cosine (SGD)
        metadata=_LATER,
    )

    def __post_init__(self) -> None:
        plain = self.name.replace("-", "").replace("_", "").replace(".", "")
        _check(
            plain.isascii() and plain.isalnum(),
            f"name must be letters, digits, '-', '_' or '.', not {self.name!r}",
        )
        _check(
            self.calibration in get_args(Calibration),
            f"calibration must be one of {', '.join(get_args(Calibration))}, "
            f"not {self.calibration!r}",
        )
        _check(
            50 < self.percentile <= 100, f"percentile must lie in (50, 100], not {self.percentile}"
        )
        _check(self.float_layers >= 0, f"float_layers must be >= 0, not {self.float_layers}")
        _check(self.epochs >= 0, f"epochs must be >= 0, not {self.epochs}")
        _check(self.learning_rate > 0, f"learning_rate must be > 0, not {self.learning_rate}")


LADDER = (
    Attempt("minmax", "minmax"),
    Attempt("percentile", "percentile", percentile=99.99),
    Attempt("entropy", "entropy"),
    Attempt("minmax-float2", "minmax", float_layers=2),
    Attempt("percentile-float4", "percentile", percentile=99.99, float_layers=4),
)


@dataclass(frozen=True)
class Compress:
    """The ladder, from fastest to safest."""

    ladder: tuple[Attempt, ...] = LADDER  # tried in this order until one passes every gate
    calibration_images: int = 512  # pictures of the train split that set the ranges
    last: Attempt | None = field(
        default=Attempt("trained", epochs=2),  # tried where answers are lost by all of the ladder
        metadata=_LATER,
    )

    def __post_init__(self) -> None:
        _check(bool(self.ladder), "ladder must have at least one attempt")
        names = [attempt.name for attempt in self.rungs]
        _check(len(set(names)) == len(names), f"ladder has two attempts of one name: {names}")
        _check(
            self.calibration_images >= 1,
            f"calibration_images must be >= 1, not {self.calibration_images}",
        )

    @property
    def rungs(self) -> tuple[Attempt, ...]:
        """Every attempt in order; without `last` where the ladder itself has one that trains."""
        trains = any(attempt.epochs for attempt in self.ladder)
        return self.ladder if self.last is None or trains else (*self.ladder, self.last)


@dataclass(frozen=True)
class Rows:
    """How a text student's table is stored: each codec is measured, the first that passes wins."""

    codecs: tuple[Codec, ...] = get_args(Codec)  # tried in this order; see compress/codec.py

    def __post_init__(self) -> None:
        _check(bool(self.codecs), "codecs must have at least one codec")
        _check(len(set(self.codecs)) == len(self.codecs), f"codecs repeats one: {self.codecs}")
        unknown = [codec for codec in self.codecs if codec not in get_args(Codec)]
        _check(not unknown, f"codecs must be of {', '.join(get_args(Codec))}, not {unknown}")


@dataclass(frozen=True)
class Gates:
    """What an attempt must reach on held-out data; all of it, or nothing is published."""

    max_drop_points: float = 0.3  # percentage points of accuracy below the fp32 file
    min_agreement: float = 0.985  # fraction of pictures with the fp32 file's top-1
    max_speed_ratio: float = 1.0  # int8 latency / fp32 latency, the measured point value
    max_size_bytes: int = 0  # of the int8 file; 0: no limit
    min_accuracy: float = field(
        default=0.0,  # fraction that the int8 file must have right; 0: no bound
        metadata=_LATER,
    )
    max_gap_points: float | None = field(
        default=None,  # points of accuracy below the teacher; none: no bound
        metadata=_LATER,
    )

    def __post_init__(self) -> None:
        _check(
            0 <= self.min_accuracy <= 1,
            f"min_accuracy is a fraction in [0, 1], not {self.min_accuracy}",
        )
        _check(
            self.max_gap_points is None or self.max_gap_points >= 0,
            f"max_gap_points must be >= 0, not {self.max_gap_points}",
        )
        _check(
            self.max_drop_points >= 0, f"max_drop_points must be >= 0, not {self.max_drop_points}"
        )
        _check(
            0 <= self.min_agreement <= 1,
            f"min_agreement is a fraction in [0, 1], not {self.min_agreement}",
        )
        _check(self.max_speed_ratio > 0, f"max_speed_ratio must be > 0, not {self.max_speed_ratio}")
        _check(self.max_size_bytes >= 0, f"max_size_bytes must be >= 0, not {self.max_size_bytes}")
