"""What the task of a student decides about its card and pages: words, and which rows there are.

Everything has a default that is true of any student, so the card of one whose task is not known
here has a page too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.card.markdown import ms, paragraphs
from zoo.errors import ZooError
from zoo.records import task
from zoo.records.card import Card
from zoo.records.measures import Measurement, Score


class Words:
    """Says everything that a card's page, its figures and the Hub's metadata say differently."""

    one, many = "an input", "inputs"  # what it answers to
    alike = "answered alike"  # of two files, what agreement counts
    example = "FILE"  # what stands behind `zoo run NAME`
    single = "One input"  # what the headline row of the latencies is of
    tested_elsewhere = False  # on other data sets than it comes from, which have one split
    time_unit = (1, "ms an input")  # of the figure: factor of milliseconds, unit
    hub_metric = ""  # its id on the Hub; empty: none is known
    pipeline_tag = ""  # the Hub's name for the task; empty: the task's own

    def __init__(self, card: Card, title: str = "") -> None:
        self.card, self.title = card, title or card.task  # of the task, for people

    # --- the figures of the page's head ---

    def answers(self) -> str:
        """What its answers are called, in the plural."""
        return "labels"

    def named(self, label: str) -> str:
        """A label as people read it."""
        return label

    def known(self) -> str:
        """How many answers it knows, behind the headline; empty: not said there."""
        return ""

    def times(self, rows: Sequence[Measurement]) -> str:
        """The headline's latencies, the headline row first; at least one."""
        return f"**{ms(rows[0].p50_ms)} ms** {self.one} on one thread of {rows[0].device_name}"

    def split(self, score: Score) -> str:
        """The split that a score was measured on, where that needs to be said; else empty."""
        return "" if self.tested_elsewhere and score.split == "test" else score.split

    # --- sections ---

    def use(self) -> str:
        """How to run it, with and without this package."""
        card = self.card
        return f"""## Use

```python
import zoo  # pip install studentzoo

student = zoo.load("{card.name}")
```

From a shell: `zoo run {card.name} {self.example}`. The file `{card.variants[card.best].file}` takes
`{card.input.name}`, {card.input.dtype} in the layout {card.input.layout}, in any ONNX runtime."""

    def scores(self) -> str:
        """The heading over them."""
        return "Accuracy"

    def accuracy(self) -> str:
        """What the metric means, under its first line; empty: it needs no words."""
        return ""

    def accuracy_notes(self) -> str:
        """What is to be known of the answers beside their score; empty: nothing."""
        return ""

    def peak_memory(self) -> str:
        """Of what process peak memory is."""
        return (
            "of a fresh process that runs the file once in a bare onnxruntime session, without "
            "this package and its golden check"
        )

    def peers(self) -> str:
        """Other tools on the same test; empty: none was measured."""
        return ""

    def ladder(self) -> str:
        """How the attempts at 8 bits were made, and which is published."""
        passed = [a.name for a in self.card.attempts if a.verdict == "pass"]
        outcome = f"Published: `{passed[0]}`." if passed else "None passed: there is no int8 file."
        return (
            "Attempts from the fastest to the safest; the first that passes every gate is "
            "published. Scores are on the validation split, speed ratios against the fp32 file in "
            f"interleaved rounds. {outcome}"
        )

    def macs_of(self) -> str:
        """What the multiply-accumulates are counted for."""
        return self.one

    def lineage(self) -> list[tuple[str, str]]:
        """Rows of the lineage between the data's and its hash."""
        return []

    def limits(self) -> str:
        """What it is not to be trusted with."""
        score = self.card.variants["fp32"].accuracy
        return paragraphs(
            "## Limits",
            f"It was measured on {score.dataset} only: on {self.many} from elsewhere it will be "
            "worse, by how much is not known. It is meant for research, teaching and as a part of "
            "systems that check it on their own data first.",
            self.int8_limits() if "int8" in self.card.variants else "",
        )

    def int8_limits(self) -> str:
        """What is to be known of the 8-bit file."""
        return (
            "8-bit arithmetic differs between processors. After a pull the golden outputs are "
            "compared on the user's own; where int8 does not reproduce them, the fp32 file is used."
        )

    # --- the Hub ---

    def hub_metadata(self) -> dict[str, Any]:
        """More keys of the front matter, after the licence."""
        return {}

    def hub_tags(self) -> list[str]:
        """More tags."""
        return []


def words(card: Card) -> Words:
    """The words of the card's task; of one that cannot be used here, those that fit any."""
    try:
        found = task.find(card.task)
    except ZooError:
        return Words(card)
    return found.part("words", Words)(card, found.title)
