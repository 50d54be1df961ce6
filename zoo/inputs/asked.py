"""What `zoo run` was given, before anybody has read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


def _as_they_are(items: Iterator[Any], total: int) -> Iterator[Any]:
    return items


@dataclass(frozen=True)
class Asked:
    """The files, texts and wishes of one call."""

    files: Sequence[Path] = ()  # pictures, folders or text files, as the task has it
    texts: Sequence[str] = ()  # given by --text
    top: int | None = None  # answers to show; None: the task's own number
    batch: int | None = None  # inputs at a time; None: the task's own number
    as_json: bool = False  # one JSON object an input
    as_csv: bool = False  # a table: a line of names, and then a row an input
    watched: Callable[[Iterator[Any], int], Iterator[Any]] = _as_they_are  # items, total: a bar


class Remark(str):
    """A line for people, beside the answers."""

    __slots__ = ()


class Form(Protocol):
    """How answers are written."""

    def head(self) -> Iterator[str]:
        """Lines before the first answer."""

    def row(self, given: Any, answer: Any) -> str:
        """The line, or the lines, of one answer; `given` is what people call its input."""

    def end(self) -> Iterator[str]:
        """Lines after the last answer."""
