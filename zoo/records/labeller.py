"""Which file of a teacher answered, where an 8-bit one was tried, and by what it was chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zoo.records.names import check, check_fraction, check_hex


@dataclass(frozen=True)
class Labeller:
    """The file whose answers were kept; the figures are those of the 8-bit file that was tried."""

    precision: Literal["fp32", "int8"]  # of the file that labels
    sha256: str  # of that file
    n: int  # different drawn views that were there to judge on
    attempt: str  # at 8 bits, by its name in the ladder; empty: none was measured
    agreement: float | None  # fraction of the n with the fp32 file's first answer
    speed_ratio: float | None  # time over the fp32 file's, interleaved, in parts as it labels
    speed_ratio_low: float | None  # 95 % interval
    speed_ratio_high: float | None
    reason: str  # why the fp32 file labels; empty where the 8-bit one does

    def __post_init__(self) -> None:
        check_hex(self.sha256, 64, "sha256")
        if self.agreement is not None:
            check_fraction(self.agreement, "agreement")
        chosen = self.precision == "int8"
        check(chosen == (not self.reason), "the fp32 file labels for a reason, the 8-bit one not")
