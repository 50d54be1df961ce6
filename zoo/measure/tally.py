"""Right and wrong answers of a classifier, counted as they come: memory grows with the labels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from zoo.measure.verify import MACRO, Z95, wilson

Interval = tuple[float, float, float]  # a share, and the ends of its 95 % interval
LARGEST = 5  # confusions that people are shown


@dataclass
class Tally:
    """How often each class was answered by each label."""

    source: str = ""  # where the examples are
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)  # (class, answer)

    def add(self, wanted: str, answered: str) -> None:
        """Count one answer."""
        self.counts[wanted, answered] += 1

    @property
    def n(self) -> int:
        """Answers that were counted."""
        return self.counts.total()

    @property
    def right(self) -> int:
        """Answers that name the class."""
        return sum(n for (wanted, answered), n in self.counts.items() if wanted == answered)

    def by_class(self) -> dict[str, tuple[int, int]]:
        """Class -> examples, and how many of them are answered right; sorted by name."""
        found = {wanted: (0, 0) for wanted in sorted({wanted for wanted, _ in self.counts})}
        for (wanted, answered), n in self.counts.items():
            every, right = found[wanted]
            found[wanted] = (every + n, right + n * (wanted == answered))
        return found

    def confusions(self) -> list[tuple[str, str, int]]:
        """(class, wrong answer, how often), the largest first."""
        found = [(*pair, n) for pair, n in self.counts.items() if pair[0] != pair[1]]
        return sorted(found, key=lambda one: (-one[2], one))

    def scores(self) -> dict[str, Interval]:
        """Accuracy and, where classes have unlike numbers of examples, its mean over them."""
        if not self.n:
            return {}
        found = {"accuracy": (self.right / self.n, *wilson(self.right, self.n))}
        classes = list(self.by_class().values())
        if len({n for n, _ in classes}) > 1:
            shares = [(right / n, n) for n, right in classes]
            value = sum(share for share, _ in shares) / len(shares)
            half = Z95 * math.sqrt(sum(p * (1 - p) / n for p, n in shares)) / len(shares)
            found[MACRO] = (value, max(0.0, value - half), min(1.0, value + half))
        return found

    def as_data(self) -> dict[str, Any]:
        """All of it, for JSON; intervals are of 95 %, of accuracy Wilson's."""
        found: dict[str, Any] = {}
        for name, (value, low, high) in self.scores().items():
            key = name.replace("-", "_").replace(" ", "_")
            found[key] = {"n": self.n, "value": value, "low": low, "high": high}
        none = {"n": 0, "value": None, "low": None, "high": None}
        found["accuracy"] = {**found.get("accuracy", none), "right": self.right}
        classes = [{"class": c, "n": n, "right": r} for c, (n, r) in self.by_class().items()]
        wrong = [{"class": c, "answer": a, "n": n} for c, a, n in self.confusions()]
        return {**found, "classes": classes, "confusions": wrong}

    def lines(self, what: str = "pictures") -> Iterator[str]:
        """Accuracy and the largest confusions, for people; `what` was answered."""
        if not self.n:
            yield f"accuracy: none of the {what} of a class was answered"
            return
        low, high = (f"{100 * end:.2f}" for end in wilson(self.right, self.n))
        counted = f"{self.right:,} of {self.n:,} {what}"
        yield f"accuracy {100 * self.right / self.n:.2f} % ({low} to {high}, 95 %): {counted}"
        yield from self.wrong()

    def wrong(self) -> Iterator[str]:
        """The largest confusions, a line each, and how many there are beside them."""
        classes, wrong = self.by_class(), self.confusions()
        for wanted, answered, n in wrong[:LARGEST]:
            yield f"  {wanted} taken for {answered}: {n:,} of {classes[wanted][0]:,}"
        if rest := wrong[LARGEST:]:
            others = f"{len(rest):,} other confusions, {sum(n for *_, n in rest):,} times"
            yield f"  {others}: --json has them all"
