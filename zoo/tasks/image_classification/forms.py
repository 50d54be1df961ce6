"""How `zoo run` writes the answers to pictures: as text, as a table, as JSON.

What stands in a folder of its class is counted, and the count follows the answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from zoo.inputs.asked import Asked, Remark
from zoo.inputs.classes import Classes
from zoo.measure.tally import Tally
from zoo.said import as_csv, as_json, shown
from zoo.students.classifier import Prediction

OTHERS = 3  # folders that are named, of those that are no class


class Text:
    """A line for each answer: file, probability and label, tabs between them."""

    def __init__(self, labels: Sequence[str], top: int, known: Classes | None) -> None:
        self.answers = min(top, len(labels))  # of each picture
        self.known = known  # None: the folders are no classes
        self.tally = Tally()

    def head(self) -> Iterator[str]:
        """Nothing."""
        yield from ()

    def row(self, given: Path, answer: Prediction) -> str:
        """One picture's answers."""
        return self.line(given, self.wanted(given, answer), answer)

    def end(self) -> Iterator[str]:
        """Accuracy and the largest confusions, beside the answers."""
        if self.known:
            yield from map(Remark, (*self.tally.lines(), *_outside(self.known)))

    def wanted(self, given: Path, answer: Prediction) -> str | None:
        """The class of the picture, counted; None: it is not known."""
        found = self.known.of(given) if self.known else None
        if found is not None:
            self.tally.add(found, answer[0][0])
        return found

    def line(self, given: Path, wanted: str | None, answer: Prediction) -> str:
        """One picture's answers, with its class where that is known."""
        file = shown(given)
        return "\n".join(f"{file}\t{share:.4f}\t{shown(label)}" for label, share in answer)


class Table(Text):
    """CSV: a row a picture, its answers beside each other, the likeliest first."""

    def head(self) -> Iterator[str]:
        """The names of the columns."""
        more = [f"{name}_{i}" for i in range(2, self.answers + 1) for name in _PAIR]
        yield as_csv(["file", *(["class"] if self.known else []), *_PAIR, *more])

    def line(self, given: Path, wanted: str | None, answer: Prediction) -> str:
        """One row."""
        cells = [cell for label, share in answer for cell in (label, f"{share:.6g}")]
        return as_csv([given, *([wanted or ""] if self.known else []), *cells])


class Objects(Text):
    """One JSON object a picture, each on a line; the last one counts them all."""

    def end(self) -> Iterator[str]:
        """All that was counted."""
        if self.known:
            yield as_json(self.tally.as_data() | {"not_counted": self.known.outside})

    def line(self, given: Path, wanted: str | None, answer: Prediction) -> str:
        """One object."""
        labels = [{"label": label, "probability": share} for label, share in answer]
        about = {"file": str(given)} | ({"class": wanted} if self.known else {})
        return as_json(about | {"answers": labels})


_PAIR = ("label", "probability")


def form_of(asked: Asked) -> type[Text]:
    """The form that was asked for."""
    return Objects if asked.as_json else Table if asked.as_csv else Text


def _outside(known: Classes) -> Iterator[str]:
    """What is not counted, in words."""
    if known.outside:
        named = ", ".join(known.others[:OTHERS]) + (", ..." if known.others[OTHERS:] else "")
        others = f"; no classes of the student: {named}" if named else ""
        yield f"  {known.outside:,} pictures in no class folder are not counted{others}"
