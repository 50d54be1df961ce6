"""Other tools on a card: what was measured of each, and how a comparison comes onto it. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.errors import CardError
from zoo.records.names import check, check_fraction, check_hex

Ratio = tuple[float, float, float]  # value, and its 95 % interval's lower and upper end


@dataclass(frozen=True)
class Peer:
    """Another tool, measured on the student's test set in the same run as the student.

    A ratio is its processor time over that of CLD3, which takes one text at a time, in that run.
    """

    name: str  # as its package is called; of a student "NAME PRECISION"
    version: str
    licence: str  # SPDX id, or plain words
    classes: int  # of the student's labels that it knows
    accuracy: float  # macro-averaged over all the student's labels; one it does not know is wrong
    own_accuracy: float  # macro-averaged over the labels that it knows
    n: int  # texts, of all labels
    microseconds: float | None  # CPU time a text, one thread
    batched: bool  # whether the texts were handed over many at once, or one by one
    size_bytes: int | None  # of its model on disk; None: not known
    dataset: str
    date: str  # ISO date
    word_ratio: Ratio | None = None  # of one word
    sentence_ratio: Ratio | None = None  # of one sentence
    batch_ratio: Ratio | None = None  # of many sentences at once, a text
    peak_memory_mb: float | None = None  # 1e6 bytes, of a process that opens it and answers once

    def __post_init__(self) -> None:
        for key in ("accuracy", "own_accuracy"):
            check_fraction(getattr(self, key), key)
        check(self.classes > 0, f"classes must be positive, not {self.classes}")
        for key in ("word_ratio", "sentence_ratio", "batch_ratio"):
            ratio = getattr(self, key)
            check(
                ratio is None or (len(ratio) == 3 and 0 <= ratio[1] <= ratio[2]),
                f"{key} is a value, then the two ends of its interval, not {ratio}",
            )


@dataclass(frozen=True)
class Comparison:
    """What `benchmarks/compare_langid.py --json` writes: tools measured in one run."""

    format: int  # 1
    peers: tuple[Peer, ...]  # the students among them
    detail: dict[str, Any]  # machine, intervals, every speed; not on the card
    files: dict[str, str] = field(default_factory=dict)  # peer -> sha256 of a student's ONNX file

    def __post_init__(self) -> None:
        check(self.format == 1, f"format must be 1, not {self.format}")
        check(bool(self.peers), "peers must not be empty")
        for name, digest in self.files.items():
            check_hex(digest, 64, f"files.{name}")


def merged(
    name: str, files: Mapping[str, str], peers: tuple[Peer, ...], comparison: Comparison
) -> tuple[Peer, ...]:
    """The peers of the student `name` after a comparison, which replaces all of its data sets.

    `files` are precision -> sha256 of the student: what was compared under its name must be these.
    """
    precisions = {f"{name} {precision}": precision for precision in ("fp32", "int8")}
    there = [peer.name for peer in comparison.peers if peer.name in precisions]
    if not there:
        raise CardError(
            f"{name} was not measured in this comparison",
            hint=f"compare again with --student {name}",
        )
    for peer in there:
        _check_same_bytes(peer, files.get(precisions[peer]), comparison.files.get(peer))
    again = {peer.dataset for peer in comparison.peers}
    return tuple(peer for peer in peers if peer.dataset not in again) + comparison.peers


def _check_same_bytes(peer: str, published: str | None, measured: str | None) -> None:
    if published is None:
        raise CardError(
            f"the card has no such file as {peer}, which was compared",
            hint="build and compare the same student",
        )
    if measured != published:
        found = f"is of {measured[:12]}" if measured else "does not say of which file it is"
        raise CardError(
            f"{peer} in the comparison {found}, the card's file is {published[:12]}",
            hint="pull the published files and compare again: benchmarks/compare_langid.py",
        )
