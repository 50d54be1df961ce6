"""The sections of a card's page that only text students have. Pure text, no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from zoo.card.markdown import capital, duration, number, paragraphs, percent, ratio, size, table
from zoo.records.card import Card, Teaching
from zoo.records.measures import Measurement
from zoo.records.peers import Peer
from zoo.tasks.text_classification.languages import are_languages, named

WORD_LENGTH = 20  # code points; a longer text that was timed is called a sentence
_COLUMNS = 5  # of the table of classes


def classes(card: Card) -> str:
    """What its answers are called, in the plural."""
    return "languages" if are_languages(card.labels) else "labels"


def times(rows: Iterable[Measurement]) -> str:
    """`**12 µs** a word of 8 characters, ... on one thread of X`; empty where nothing was timed."""
    rows = sorted(rows, key=lambda row: row.text_length or 0)
    told = [f"**{duration(row.p50_ms)}** {_timed(row.text_length or 0)}" for row in rows]
    return f"{', '.join(told)} on one thread of {rows[0].device_name}" if rows else ""


def _timed(length: int) -> str:
    kind = "word" if length <= WORD_LENGTH else "sentence"
    return f"a {kind} of {length} characters"


# --- use -----------------------------------------------------------------------------------------


def use(card: Card) -> str:
    """How to run it, with and without this package."""
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
the shorter ones of a batch filled up with 0. It folds upper case, takes what is no letter for the
end of a word, hashes the n-grams of the letters and answers with float32 logits
`(n, {len(card.labels)})`. There is no tokenizer and no vocabulary beside it."""


# --- accuracy ------------------------------------------------------------------------------------


def metric_explained(card: Card) -> str:
    """What is averaged, and what the interval holds."""
    if not card.variants["fp32"].accuracy.metric.startswith("macro-averaged"):
        return ""
    kinds = classes(card)
    return (
        f"Macro-averaged: the mean over the {len(card.labels)} {kinds} of the accuracy on each "
        "one's own texts, so that each weighs the same however many texts it has. The interval is "
        "1.96 standard errors to either side; it is about other texts of the same kind, not about "
        "other kinds of text."
    )


def other_tests(card: Card) -> str:
    """The test sets beside the one of the headline."""
    rows = [
        (
            f"`{variant.file}` ({precision})",
            score.dataset if score.split == "test" else f"{score.dataset}, {score.split}",
            capital(score.metric),
            percent(score.value),
            f"{percent(score.low)} to {percent(score.high)}",
            f"{score.n:,}",
        )
        for precision, variant in card.by_use()
        for score in variant.also
    ]
    head = ("File", "Test set", "Metric", "%", "95 % interval", "n")
    lead = "On other texts, which nothing was trained, chosen or calibrated on either:"
    return paragraphs(lead, table(head, rows)) if rows else ""


def unknown(card: Card) -> str:
    """The threshold, in words."""
    rule = card.unknown
    if rule is None:
        return "It always answers: no threshold was set under which an answer is `unknown`."
    return (
        "Probabilities are the softmax of the logits, which hold a temperature fitted on the "
        f"validation split. Where none reaches {rule.below:g}, `zoo` answers `unknown`: on the "
        "validation split, cut into words, snatches and sentences as in training, to "
        f"{percent(rule.share)} % of the texts. The likeliest label would have been right for "
        f"{percent(rule.right)} % of those. The file itself has no such answer: a program of one's "
        "own applies the threshold (`studentzoo.unknown_below` in the file's metadata)."
    )


def by_class(card: Card, pictures: Iterable[str]) -> str:
    """Accuracy of each label, the worst first, down the columns; `pictures` follow it."""
    if not card.per_class:
        return ""
    score = card.variants[card.best].accuracy
    kind = classes(card)[:-1]
    cells = [(named(label), percent(value)) for label, value in ranked(card.per_class)]
    columns = min(_COLUMNS, len(cells))
    height = -(-len(cells) // columns)
    cells += [("", "")] * (height * columns - len(cells))
    rows = [sum(cells[row::height], ()) for row in range(height)]
    lead = (
        f"Accuracy in % of the {card.best} file on the texts of each {kind} in {score.dataset}, "
        "the lowest first, down the columns."
    )
    grid = table((capital(kind), "%") * columns, rows)
    return paragraphs(f"## By {kind}", lead, grid, *pictures)


def ranked(per_class: dict[str, float]) -> list[tuple[str, float]]:
    """(label, accuracy), the lowest first."""
    return sorted(per_class.items(), key=lambda item: (item[1], item[0]))


# --- other tools ---------------------------------------------------------------------------------


def peers(card: Card) -> str:
    """Other tools on the same test, a table for each run."""
    if not card.peers:
        return ""
    kinds = classes(card)
    notes = (
        f"All: the mean over all {len(card.labels)} {kinds} of this card, where one that a tool "
        "does not know counts as wrong, for so it is to whoever has such a text. Own: the mean "
        f"over the {kinds} that the tool knows; the texts of the others are left out, so each "
        "tool is asked something else, and the fewer it knows the easier that is. A tool may know "
        f"{kinds} beyond these and chooses among all of them: in both columns that is to its "
        "disadvantage. Time is processor time, with one thread asked for; a tool that takes one "
        "text at a time only was timed so."
    )
    return paragraphs("## Beside other tools", peer_tables(card), notes)


def peer_tables(card: Card) -> str:
    """The tables alone, each under a line that tells its run."""
    runs = groupby(sorted(card.peers, key=_run), key=_run)
    return paragraphs(*(part for run, rows in runs for part in _peer_table(card, run, list(rows))))


def _run(peer: Peer) -> tuple[str, int, str]:
    """Peers of one table were measured on the same of these."""
    return (peer.dataset, peer.n, peer.date)


def _peer_table(card: Card, run: tuple[str, int, str], rows: list[Peer]) -> list[str]:
    dataset, n, date = run
    head = ("Tool", "Licence", capital(classes(card)), "All, %", "Own, %", "Time a text", "Texts")
    lead = f"Measured in one run by `docs/compare_langid.py` on {dataset}, {n:,} texts, {date}:"
    best_first = sorted(rows, key=lambda peer: -peer.accuracy)
    found = table((*head, "Size"), [_peer_row(card, peer) for peer in best_first])
    return [lead, found, *_speed_table(card, best_first)]


def _tool(card: Card, peer: Peer) -> str:
    tool = f"{peer.name} {peer.version}".strip()
    return f"**{tool}**" if card.name in peer.name else tool


def _speed_table(card: Card, rows: list[Peer]) -> list[str]:
    """Ratios to CLD3 and memory, where the run told them."""
    cells = [
        (
            *(ratio(*(r or (None,) * 3)) for r in (p.word_ratio, p.sentence_ratio, p.batch_ratio)),
            number(p.peak_memory_mb, ".0f"),
        )
        for p in rows
    ]
    told = [(_tool(card, peer), *row) for peer, row in zip(rows, cells, strict=True)]
    if not any(set(row) - {"-"} for row in cells):
        return []
    head = ("Tool", "A word", "A sentence", "Many sentences at once", "Peak memory, MB")
    lead = (
        "Speed in that run: processor time a text as a ratio to that of CLD3, which takes one text "
        "at a time (95 % interval; below 1 is faster). Peak memory: of a fresh process that opens "
        "the tool and answers once."
    )
    return [lead, table(head, told)]


def _peer_row(card: Card, peer: Peer) -> tuple[str, ...]:
    spent = peer.microseconds
    return (
        _tool(card, peer),
        peer.licence,
        str(peer.classes),
        percent(peer.accuracy),
        percent(peer.own_accuracy),
        "-" if spent is None else duration(spent / 1000),
        "many at once" if peer.batched else "one by one",
        "-" if peer.size_bytes is None else size(peer.size_bytes),
    )


# --- how it was made -----------------------------------------------------------------------------


def codecs(card: Card) -> str:
    """Which storage code the file uses, and what each other one would have cost."""
    used = [attempt for attempt in card.attempts if attempt.verdict == "pass"][:1]
    others = [attempt for attempt in card.attempts if attempt not in used]
    told = [f"`{a.name}`: {_cost(a.drop_points, a.size_bytes, a.speed_ratio)}" for a in others]
    lines = [
        "An attempt is a code in which the rows of the table are stored, 8 bits a number; all are "
        "tried. Scores are on the validation split, cut as in training; speed ratios are against "
        "the fp32 file, in interleaved rounds.",
        *[f"The file uses `{a.name}`." for a in used],
        "" if used else "None passed: there is no int8 file.",
        f"What the others would have cost: {'; '.join(told)}." if used and told else "",
    ]
    return " ".join(line for line in lines if line)


def _cost(drop: float | None, size_bytes: int | None, speed: float | None) -> str:
    """What an attempt loses, weighs and takes, in words."""
    told = [
        "" if drop is None else f"{number(drop, '.2f')} points less than fp32",
        "" if size_bytes is None else size(size_bytes),
        "" if speed is None else f"{number(speed, '.2f')} times its latency",
    ]
    return ", ".join(part for part in told if part) or "not measured"


def taught(card: Card) -> str:
    """From which labels it learned."""
    if card.teacher is None:
        return "the label of each text's source, alone"
    if card.teaching is None:
        return f"labels, and probabilities by {card.teacher.name}; how is the recipe's, in run.json"
    return f"{_answered(card.teaching, card.teacher.name)}; the schedule is in run.json"


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


def origins(card: Card) -> list[tuple[str, str]]:
    """Rows of the lineage: where single words come from, and what was kept out of a test."""
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


def limits(card: Card) -> str:
    """What it is not to be trusted with."""
    kinds, score = classes(card), card.variants[card.best].accuracy
    tested = [score, *card.variants[card.best].also]
    data = " and ".join(dict.fromkeys(one.dataset for one in tested))
    knows = ", ".join(card.labels)
    lines = [
        "## Limits",
        f"It knows {len(card.labels)} {kinds} ({knows}) and nothing else: a text of another one "
        "gets the nearest of these, often with a high probability, for `unknown` is a matter of "
        "the probability and not of what was never seen.",
        _language_limits(card) if kinds == "languages" else "",
        f"It was measured on {data} only. Text of another kind (chat, transliteration, names, "
        "lists, scanned pages) gives worse answers, by how much is not known, and "
        "its probabilities are not to be relied on there. It is meant for research, teaching and "
        "as a part of systems that check it on their own texts first.",
        _drawn(card),
    ]
    if "int8" in card.variants:
        lines.append(
            "The int8 file is 8 bits wide where it is stored and computes in float. After a pull "
            "its golden outputs are compared on the user's own processor all the same; where they "
            "differ, the fp32 file is used."
        )
    return paragraphs(*lines)


def _language_limits(card: Card) -> str:
    worst = ranked(card.per_class or {})[:5]
    told = ", ".join(f"{named(label)} {percent(value)} %" for label, value in worst)
    return (
        "A single word is often a word of several languages, and a short text may be one of them "
        "by chance: the shorter the text, the less an answer is worth. Closely related languages "
        f"are taken for each other{f' (the lowest accuracies here: {told})' if told else ''}. A "
        "text in two languages gets one answer, and the other language is not found."
    )


def _drawn(card: Card) -> str:
    if not card.data.drawn:
        return ""
    return (
        f"{card.data.drawn:,} of the texts that it learned from are single words drawn from the "
        "n-gram counts behind the teacher, which were made of web text: a benchmark of web text is "
        "close to what it learned from, more so than other texts are."
    )
