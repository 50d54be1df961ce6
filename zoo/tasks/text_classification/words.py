"""What the cards of students that classify texts say. Pure text, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.card.markdown import duration, number, paragraphs, percent, size
from zoo.card.words import Words
from zoo.records.card import Nothing, Teaching
from zoo.records.measures import Measurement
from zoo.tasks.text_classification import peers
from zoo.tasks.text_classification.languages import are_languages, named

WORD_LENGTH = 20  # code points; a longer text that was timed is called a sentence


class TextWords(Words):
    """Of texts; where the labels are languages, they are called so."""

    one, many = "a sentence", "texts"
    hub_metric = "accuracy"
    alike = "with the same first answer"
    single = "The longest text alone"
    example = '--text "Où est la bibliothèque ?"'
    tested_elsewhere = True
    time_unit = (1000, "µs a text")

    def answers(self) -> str:
        """What its answers are called, in the plural."""
        return "languages" if are_languages(self.card.labels) else "labels"

    def named(self, label: str) -> str:
        """A label as people read it: of a language its name too."""
        return named(label)

    def known(self) -> str:
        """How many answers it knows, behind the headline."""
        return f", {len(self.card.labels)} {self.answers()}"

    def times(self, rows: Sequence[Measurement]) -> str:
        """`**12 µs** a word of 8 characters, ... on one thread of X`."""
        rows = sorted(rows, key=lambda row: row.text_length or 0)
        told = [f"**{duration(row.p50_ms)}** {_timed(row.text_length or 0)}" for row in rows]
        return f"{', '.join(told)} on one thread of {rows[0].device_name}"

    def use(self) -> str:
        """How to run it, with and without this package."""
        from zoo.inputs.text import PIECE

        card = self.card
        return f"""## Use

```python
import zoo  # pip install studentzoo

student = zoo.load("{card.name}")
print(student("Où est la bibliothèque ?"))  # [(label, probability), ...], the likeliest first
```

From a shell: `zoo run {card.name} --text "Où est la bibliothèque ?"`. Without any code of ours:

```python
import json
import unicodedata

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("{card.variants[card.best].file}")
labels = json.loads(session.get_modelmeta().custom_metadata_map["studentzoo.labels"])
text = unicodedata.normalize("NFC", "Où est la bibliothèque ?")
codes = np.frombuffer(text.encode("utf-32-le"), np.int32)[np.newaxis]
(logits,) = session.run(None, {{"{card.input.name}": codes}})
print(labels[logits[0].argmax()])
```

The file takes texts as {card.input.dtype} Unicode code points `(n, length)`, in NFC, of any length,
the shorter ones of a batch filled up with 0. It folds upper case and letters in other clothes
(fullwidth, mathematical, circled), takes what is no letter for the end of a word, hashes the
n-grams of the letters and answers with float32 logits `(n, {len(card.labels)})`. There is no
tokenizer and no vocabulary beside it. `zoo` leaves out soft hyphens and zero-width signs
before, and answers a text of more than {PIECE} code points by the mean of its pieces'
probabilities, each weighed by its letters."""

    def accuracy(self) -> str:
        """What is averaged, and what the interval holds."""
        if not self.card.variants["fp32"].accuracy.metric.startswith("macro-averaged"):
            return ""
        kinds = self.answers()
        return (
            f"Macro-averaged: the mean over the {len(self.card.labels)} {kinds} of the accuracy on "
            "each one's own texts, so that each weighs the same however many texts it has. The "
            "interval is 1.96 standard errors to either side; it is about other texts of the same "
            "kind, not about other kinds of text."
        )

    def accuracy_notes(self) -> str:
        """The threshold, in words."""
        rule = self.card.unknown
        if rule is None:
            return "It always answers: no threshold was set under which an answer is `unknown`."
        return (
            "Probabilities are the softmax of the logits, which hold a temperature fitted on the "
            f"validation split. Where none reaches {rule.below:g}, `zoo` answers `unknown`: on the "
            "validation split, cut into words, snatches and sentences as in training, to "
            f"{percent(rule.share)} % of the texts. The likeliest label would have been right for "
            f"{percent(rule.right)} % of those. The file itself has no such answer: a program of "
            "one's own applies the threshold (`studentzoo.unknown_below` in the file's metadata)."
            + _of_nothing(rule.nothing)
        )

    def peers(self) -> str:
        """Other tools on the same test, a table for each run."""
        return peers.section(self.card, self.answers())

    def ladder(self) -> str:
        """Which storage code the file uses, and what each other one would have cost."""
        used = [attempt for attempt in self.card.attempts if attempt.verdict == "pass"][:1]
        others = [attempt for attempt in self.card.attempts if attempt not in used]
        told = [f"`{a.name}`: {_cost(a.drop_points, a.size_bytes, a.speed_ratio)}" for a in others]
        lines = [
            "An attempt is a code in which the rows of the table are stored, 8 bits a number; all "
            "are tried. Scores are on the validation split, cut as in training; speed ratios are "
            "against the fp32 file, in interleaved rounds.",
            *[f"The file uses `{a.name}`." for a in used],
            "" if used else "None passed: there is no int8 file.",
            f"What the others would have cost: {'; '.join(told)}." if used and told else "",
        ]
        return " ".join(line for line in lines if line)

    def macs_of(self) -> str:
        """What the multiply-accumulates are counted for."""
        return "a text of 100 letters"

    def lineage(self) -> list[tuple[str, str]]:
        """From which labels it learned, where single words come from, what a test left out."""
        return [("Learned from", self._taught()), *self._origins()]

    def _taught(self) -> str:
        card = self.card
        if card.teacher is None:
            return "the label of each text's source, alone"
        if card.teaching is None:
            given = f"labels, and probabilities by {card.teacher.name}"
            return f"{given}; how is the recipe's, in run.json"
        return f"{_answered(card.teaching, card.teacher.name)}; the schedule is in run.json"

    def _origins(self) -> list[tuple[str, str]]:
        card = self.card
        data, rows = card.data, []
        if data.listed:
            rows.append(("Listed words", f"{data.listed:,} of train, of a list"))
        if data.drawn:
            file = data.counts
            of = f" of `{file.file}`; {file.licence}; sha256 `{file.sha256}`" if file else ""
            rows.append(("Drawn words", f"{data.drawn:,} of train, from the n-gram counts{of}"))
        left_out = [f"{n:,} of {name}" for name, n in (data.dropped or {}).items()]
        if left_out:
            rows.append(
                ("Left out of the tests", f"{', '.join(left_out)}: they stand in train's source")
            )
        return rows

    def limits(self) -> str:
        """What it is not to be trusted with."""
        card = self.card
        kinds, score = self.answers(), card.variants[card.best].accuracy
        tested = [score, *card.variants[card.best].also]
        data = " and ".join(dict.fromkeys(one.dataset for one in tested))
        knows = ", ".join(card.labels)
        lines = [
            "## Limits",
            f"It knows {len(card.labels)} {kinds} ({knows}) and nothing else: a text of another "
            "one gets the nearest of these, often with a high probability, for `unknown` is a "
            "matter of the probability and not of what was never seen.",
            self._language_limits() if kinds == "languages" else "",
            f"It was measured on {data} only. Text of another kind (chat, transliteration, names, "
            "lists, scanned pages) gives worse answers, by how much is not known, and "
            "its probabilities are not to be relied on there. It is meant for research, teaching "
            "and as a part of systems that check it on their own texts first.",
            self._drawn(),
        ]
        if "int8" in card.variants:
            lines.append(self.int8_limits())
        return paragraphs(*lines)

    def int8_limits(self) -> str:
        """What is to be known of the 8-bit file."""
        return (
            "The int8 file is 8 bits wide where it is stored and computes in float. After a pull "
            "its golden outputs are compared on the user's own processor all the same; where they "
            "differ, the fp32 file is used."
        )

    def _language_limits(self) -> str:
        worst = self.card.ranked()[:5]
        told = ", ".join(f"{self.named(label)} {percent(value)} %" for label, value in worst)
        return (
            "A single word is often a word of several languages, and a short text may be one of "
            "them by chance: the shorter the text, the less an answer is worth. Closely related "
            f"languages are taken for each "
            f"other{f' (the lowest accuracies here: {told})' if told else ''}. A text in two "
            "languages gets one answer, and the other language is not found."
        )

    def _drawn(self) -> str:
        if not self.card.data.drawn:
            return ""
        return (
            f"{self.card.data.drawn:,} of the texts that it learned from are single words drawn "
            "from the n-gram counts behind the teacher, which were made of web text: a benchmark "
            "of web text is close to what it learned from, more so than other texts are."
        )

    def hub_metadata(self) -> dict[str, Any]:
        """The languages, where those are its answers."""
        return {"language": list(self.card.labels)} if self.answers() == "languages" else {}

    def hub_tags(self) -> list[str]:
        """That it tells languages."""
        return ["language-identification"] if self.answers() == "languages" else []


def _of_nothing(found: Nothing | None) -> str:
    """How often what is no language gets an answer."""
    if found is None:
        return ""
    before = (
        "" if found.before is None else f" ({percent(found.before)} % before it was trained so)"
    )
    return (
        f" Of {found.texts:,} texts that are no language (shouts, base64, chords, chess, formulas, "
        "Morse code, keyboards, number plates; made by rules that were not trained on: laughter, "
        f"hashes, addresses and letters at random were) {percent(found.confident)} % "
        f"get an answer all the same{before}."
    )


def _timed(length: int) -> str:
    kind = "word" if length <= WORD_LENGTH else "sentence"
    return f"a {kind} of {length} characters"


def _cost(drop: float | None, size_bytes: int | None, speed: float | None) -> str:
    """What an attempt loses, weighs and takes, in words."""
    told = [
        "" if drop is None else f"{number(drop, '.2f')} points less than fp32",
        "" if size_bytes is None else size(size_bytes),
        "" if speed is None else f"{number(speed, '.2f')} times its latency",
    ]
    return ", ".join(part for part in told if part) or "not measured"


def _answered(teaching: Teaching, teacher: str) -> str:
    """Which texts the teacher answered, and what its answers weighed."""
    texts = {"all": "texts", "words": "single words, or strings of them"}[teaching.of]
    asked = f"{100 * teaching.share:g} % of the" if teaching.share < 1 else "all"
    views = f"{teaching.views} views" if teaching.views > 1 else "one view"
    mixed = (
        f"{asked} {texts}, from the probabilities by {teacher} in {views} of each "
        f"(temperature {teaching.temperature:g}, weight {teaching.kd:g}) and the label "
        f"(weight {teaching.ce:g})"
    )
    if teaching.of == "all" and teaching.share == 1:
        return mixed
    rest = "all other texts" if teaching.of == "all" else "all other words and all running text"
    return f"{mixed}; {rest}, from the label alone"
