"""How `zoo run` writes the answers to texts: as text, as a table, as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from zoo.inputs.asked import Asked, Remark
from zoo.measure.tally import Tally
from zoo.said import JOINERS, as_csv, as_json, shown
from zoo.students.classifier import Prediction

Decide = Callable[[Prediction], str]  # the label of an answer, or "unknown"


class Text:
    """A line a text: probability, label, text, tabs between. The label may be "unknown".

    Where several answers are asked for, all of them as probability and label, the likeliest first,
    and then the text.
    """

    def __init__(
        self, labels: Sequence[str], decide: Decide, top: int | None, known: bool = False
    ) -> None:
        self.decide, self.pairs = decide, top is not None
        self.answers = min(top or 1, len(labels))  # of each text
        self.known = known  # whether the right answers of some are
        self.wanted: str | None = None  # the right answer of what comes now
        self.tally = Tally()

    def head(self) -> Iterator[str]:
        """Nothing."""
        yield from ()

    def row(self, given: str, answer: Prediction) -> str:
        """One text's answers, counted where its label is known; an empty one has none."""
        if self.wanted is not None and given.strip():
            self.tally.add(self.wanted, answer[0][0])
        return self.line(given, answer)

    def line(self, given: str, answer: Prediction) -> str:
        """One text's answers."""
        cells = [f"{share:.4f}\t{shown(label)}" for label, share in self.decided(answer)]
        return "\t".join([*cells, shown(" ".join(given.splitlines()), keep=JOINERS)])

    def end(self) -> Iterator[str]:
        """Accuracy and the largest confusions, beside the answers."""
        if self.known:
            yield from map(Remark, self.tally.lines("texts"))

    def decided(self, answer: Prediction) -> Prediction:
        """The answers as they are where several are asked for, else the one that holds."""
        return answer if self.pairs else [(self.decide(answer), answer[0][1])]


class Table(Text):
    """CSV: a row a text, its answers beside each other, the likeliest first."""

    def head(self) -> Iterator[str]:
        """The names of the columns."""
        pair = ("label", "probability")
        more = [f"{name}_{i}" for i in range(2, self.answers + 1) for name in pair]
        yield as_csv(["text", *(["class"] if self.known else []), *pair, *more])

    def line(self, given: str, answer: Prediction) -> str:
        """One row."""
        pairs = ((label, f"{share:.6g}") for label, share in self.decided(answer))
        wanted = [self.wanted or ""] if self.known else []
        return as_csv([given, *wanted, *(cell for pair in pairs for cell in pair)])


class Objects(Text):
    """One JSON object a text, each on a line; the last one counts them all."""

    def line(self, given: str, answer: Prediction) -> str:
        """One object."""
        answers = [{"label": label, "probability": value} for label, value in answer]
        wanted = {"class": self.wanted} if self.known else {}
        about = {"text": given, **wanted, "label": self.decide(answer)}
        return as_json(about | {"answers": answers})

    def end(self) -> Iterator[str]:
        """All that was counted."""
        if self.known:
            yield as_json(self.tally.as_data())


def form_of(asked: Asked) -> type[Text]:
    """The form that was asked for."""
    return Objects if asked.as_json else Table if asked.as_csv else Text
