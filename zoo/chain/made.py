"""What each stage of the chain hands to the next; every record holds the one before it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from zoo.chain.job import Done, Step
from zoo.records.card import Card
from zoo.records.measures import Score
from zoo.records.run import TeacherRun, Training

if TYPE_CHECKING:
    from distill.labels import Kept
    from distill.teachers import Teacher


T = TypeVar("T")
Steps = Generator[Step, Done, T]
"""A stage at work: steps come out, each comes back done, and in the end there is a record"""


@dataclass(frozen=True)
class Read:
    """Data, before anything is done with it."""

    train: Any  # a split, as the task's maker loads it
    validation: Any
    labels: tuple[str, ...]  # names of the classes, empty where there are none
    doubles: int = 0  # examples of the test split that are trained on, or chosen by, too
    skipped: int = 0  # pictures of all splits that cannot be read and were left out


@dataclass(frozen=True)
class Labelled:
    """What the teacher said of every view."""

    data: Read
    folder: Path  # below which it is kept
    teacher: Teacher | None  # with the sha256 of what answers; None: nobody was asked
    teacher_run: TeacherRun | None
    fresh: Kept | None  # what it said just now; None: it lies in `folder`


@dataclass(frozen=True)
class Distilled:
    """Weights."""

    labelled: Labelled
    folder: Path  # of the first seed
    seeds: dict[int, Training]  # the first one is exported
    weights: dict[int, Path]  # state dict of each seed


@dataclass(frozen=True)
class Exported:
    """The fp32 file, and what else the task's export wrote, proved equal to the weights."""

    distilled: Distilled
    folder: Path
    parity: float  # largest difference of a number


@dataclass(frozen=True)
class Known:
    """What others do on the data that 8-bit files are judged on."""

    fp32: Score
    teacher: Score | None = None  # None: there is none
    agreement: float | None = None  # fraction that both answer alike


@dataclass(frozen=True)
class Compressed:
    """The 8-bit file that passed every gate."""

    exported: Exported
    folder: Path  # of all attempts
    winner: Path
    attempts: list[dict[str, Any]]  # as `records.card.Attempt` has them
    known: Known


@dataclass(frozen=True)
class Measured:
    """The files to be published, and every figure of theirs."""

    compressed: Compressed
    folder: Path  # the student's files, fp32, int8 and golden.npz
    found: dict[str, Any]  # scores, latency, when and where, as plain data


@dataclass(frozen=True)
class Carded:
    """A folder that says what it holds."""

    measured: Measured
    folder: Path  # everything that is published
    card: Card


@dataclass(frozen=True)
class Stored:
    """The student in the store and the registry."""

    carded: Carded
    folder: Path  # in the store
