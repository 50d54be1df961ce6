"""The two records of a measurement: a score on data, a latency on a device. No heavy imports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from zoo.records.names import check
from zoo.records.plain import LATER


@dataclass(frozen=True)
class Scale:
    """How the values of a metric are read."""

    unit: str = "%"  # of values as people see them; "%": the value is a fraction; "": none
    best: Literal["highest", "lowest"] = "highest"
    low: float = 0.0  # the least value that there can be
    high: float | None = 1.0  # and the largest; None: there is none

    def __post_init__(self) -> None:
        check(self.high is None or self.low < self.high, "high must be above low")
        if self.unit == "%":
            inside = self.high is not None and self.low >= 0 and self.high <= 1
            check(inside, 'low and high of the unit "%" are fractions in [0, 1]')
        plain = self.unit.isprintable() and len(self.unit) <= 16
        check(plain, "unit must be a word of at most 16 characters")

    @property
    def factor(self) -> int:
        """From a value to the number that people see."""
        return 100 if self.unit == "%" else 1

    def shown(self, value: float | None) -> str:
        """The number that people see, without its unit; "-" where there is none."""
        if value is None:
            return "-"
        return f"{100 * value:.2f}" if self.unit == "%" else f"{value:.3g}"

    def points(self, before: float, after: float) -> float:
        """How much worse `after` is, in the unit that people see; negative where it is better."""
        worse = before - after if self.best == "highest" else after - before
        return self.factor * worse

    def check(self, value: float, name: str) -> None:
        """Refuse a value outside the range."""
        if self == FRACTION:
            check(0 <= value <= 1, f"{name} is a fraction in [0, 1], not {value}")
        ok = self.low <= value and (self.high is None or value <= self.high)
        check(ok, f"{name} must lie in [{self.low}, {self.high}], not {value}")


FRACTION = Scale()


@dataclass(frozen=True)
class Score:
    """A metric with its 95 % interval."""

    metric: str  # "top-1 accuracy", "agreement", ...
    dataset: str  # "CIFAR-10"
    split: str  # "test", "validation"
    n: int  # examples
    value: float  # on the scale, as are the next two
    low: float  # lower end of the 95 % interval: Wilson's, or of a mean over classes
    high: float  # upper end
    scale: Scale = field(default=FRACTION, metadata={LATER: True})

    @property
    def is_accuracy(self) -> bool:
        """Whether it counts right answers; other scores are called by their metric."""
        return self.metric.endswith("accuracy")

    @property
    def of_teacher(self) -> bool:
        """Whether it counts answers that are its teacher's too: another one gives other answers."""
        return self.metric.startswith("agreement")

    @property
    def name(self) -> str:
        """What people call it in a table: "accuracy", or the metric."""
        return "accuracy" if self.is_accuracy else self.metric


@dataclass(frozen=True)
class Measurement:
    """Latency of one file on one device, timed in the same rounds as its fp32 reference.

    A ratio is this file's latency over the reference's; the control is the reference against a
    second session of itself and shows how far a ratio of 1 was off in this very run.
    """

    device: str  # "cpu" or "cuda"
    device_name: str  # "AMD EPYC", "NVIDIA H100"
    precision: str  # "fp32", "int8", "plain-fp32": the label of the file
    batch: int  # inputs a call
    threads: int  # intra-op threads of the runtime
    image_size: int | None  # pixels a side; None: texts
    p50_ms: float  # median milliseconds of one call
    p95_ms: float  # 95th percentile of one call
    n: int  # timed calls
    isa: str  # what the processor offers 8-bit arithmetic: "avx2 avx512f avx512_vnni"
    runtime: str  # "onnxruntime" or "torch"
    runtime_version: str  # "1.31.1"
    os: str  # "Linux 6.8 x86_64"
    date: str  # ISO date
    ratio_to_fp32: float | None  # None where the run had no reference
    ratio_low: float | None  # 95 % bootstrap interval of the ratio
    ratio_high: float | None
    control_ratio: float | None  # reference over its own second session
    control_low: float | None
    control_high: float | None
    text_length: int | None = None  # code points a text; None: pictures
