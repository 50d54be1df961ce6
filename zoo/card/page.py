"""card.json as a page of markdown. Pure text, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.card import latency
from zoo.card.markdown import capital, ms, number, paragraphs, percent, ratio, size, table
from zoo.card.metadata import front_matter
from zoo.records.card import Attempt, Card, Variant
from zoo.records.measures import Score
from zoo.tasks.text_classification import page

_NO_LIMIT = ("max_size_bytes", 0)
_FIGURES = {
    "latency.svg": "Latency and accuracy of the published files",
    "curves.svg": "Training curves",
    "classes.svg": "Accuracy by label",
}


def render(card: Card, figures: Sequence[str] = ()) -> str:
    """README.md of `card`; `figures` are the names of the pictures that stand beside it."""
    parts = [
        front_matter(card),
        f"# {card.name}\n\n{card.summary}",
        _facts(card),
        page.use(card) if card.of_texts else _use(card),
        _accuracy(card),
        page.by_class(card, _pictures(figures, "classes.svg")),
        page.peers(card),
        latency.section(card, _pictures(figures, "latency.svg")),
        _ladder(card),
        _lineage(card, figures),
        _again(card),
        page.limits(card) if card.of_texts else _limits(card),
    ]
    return paragraphs(*parts) + "\n"


# --- sections ------------------------------------------------------------------------------------


def _facts(card: Card) -> str:
    """One line to decide by."""
    variant = card.variants[card.best]
    facts = [
        f"**{percent(variant.accuracy.value)} %** {variant.accuracy.metric} on {_set(card)}",
        f"**{size(variant.size_bytes)}** in one {card.best} file",
    ]
    if card.of_texts:
        facts[0] += f", {len(card.labels)} {page.classes(card)}"
    row = latency.single_latency(card.latency, card.best)
    if row and card.of_texts:
        facts.append(page.times(latency.beside(card, row)))
    elif row:
        facts.append(f"**{ms(row.p50_ms)} ms** a picture on one thread of {row.device_name}")
    return " · ".join(facts)


def _set(card: Card, comma: str = " ", after: str = "") -> str:
    """Data set and split of the headline; a set of texts that is only tested on has one split."""
    score = card.variants[card.best].accuracy
    if card.of_texts and score.split == "test":
        return score.dataset
    return f"{score.dataset}{comma}{score.split}{after}"


def _use(card: Card) -> str:
    size = card.input.size
    return f"""## Use

```python
import zoo  # pip install studentzoo

student = zoo.load("{card.name}")
print(student("photo.jpg"))  # [(label, probability), ...], the likeliest first
```

From a shell: `zoo run {card.name} photo.jpg`. Without any code of ours:

```python
import json

import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession("{card.variants[card.best].file}")
labels = json.loads(session.get_modelmeta().custom_metadata_map["studentzoo.labels"])
pictures = np.asarray(Image.open("photo.jpg").convert("RGB"))[np.newaxis]
(logits,) = session.run(None, {{"{card.input.name}": pictures}})
print(labels[logits[0].argmax()])
```

The file takes {card.input.dtype} {card.input.color} pictures `(n, height, width, 3)` of any size,
resizes them to {size} x {size} pixels, normalises them and answers with float32 logits
`(n, {len(card.labels)})`. There is no preprocessing to get wrong."""


def _accuracy(card: Card) -> str:
    what = "texts" if card.of_texts else "pictures"
    head = ["File", "Accuracy, %", "95 % interval", "n", "Agrees with teacher, %"]
    head += ["Agrees with fp32, %", "ECE, %", "Size", "Peak memory, MB"]
    rows = [_accuracy_row(precision, variant) for precision, variant in card.by_use()]
    if card.teacher:
        rows.append(("teacher", *_score_cells(card.teacher.accuracy), "-", "-", "-", "-", "-"))
    score = card.variants["fp32"].accuracy
    return paragraphs(
        "## Accuracy",
        f"{capital(score.metric)} on {_set(card, ', ', ' split')}, which nothing was "
        "trained, chosen or calibrated on. The weights are those of the last epoch.",
        page.metric_explained(card),
        table(head, rows),
        page.other_tests(card),
        _seeds(card),
        f"Agreement: the fraction of {what} with the same first answer. ECE: expected "
        f"calibration error, 15 bins. Peak memory: {_memory(card)}.",
        page.unknown(card) if card.of_texts else "",
    )


def _memory(card: Card) -> str:
    """Of what process peak memory is; cards of pictures keep the words that they came with."""
    if card.of_texts:
        return (
            "of a fresh process that runs the file once in a bare onnxruntime session, without "
            "this package and its golden check"
        )
    return "of a fresh process that answers once"


def _accuracy_row(precision: str, variant: Variant) -> tuple[str, ...]:
    return (
        f"`{variant.file}` ({precision})",
        *_score_cells(variant.accuracy),
        percent(variant.agreement_teacher),
        percent(variant.agreement_fp32),
        percent(variant.ece),
        size(variant.size_bytes),
        number(variant.peak_memory_mb, ".0f"),
    )


def _score_cells(score: Score) -> tuple[str, str, str]:
    interval = f"{percent(score.low)} to {percent(score.high)}"
    return percent(score.value), interval, f"{score.n:,}"


def _seeds(card: Card) -> str:
    if card.seeds is None:
        return "Trained once: the spread over seeds was not measured."
    values = ", ".join(percent(v) for v in card.seeds.values)
    return (
        f"Over {len(card.seeds.values)} training seeds (fp32): {percent(card.seeds.mean)} ± "
        f"{percent(card.seeds.std)} % (mean ± sample standard deviation; {values}). "
        "The first seed is the one published, whatever it scored."
    )


def _ladder(card: Card) -> str:
    if not card.attempts:
        known = "How the int8 file was found was not recorded." if "int8" in card.variants else ""
        return f"## Quantization\n\n{known or 'Not attempted: published in fp32 only.'}"
    head = ["Attempt", "Settings", "Accuracy, %", "Drop, points", "Agrees with fp32, %", "Size"]
    head += ["Speed ratio", "Verdict", "Reason"]
    asked = {name: value for name, value in card.gates.items() if (name, value) != _NO_LIMIT}
    gates = ", ".join(f"{name} {_gate(value)}" for name, value in asked.items())
    return paragraphs(
        "## Quantization",
        page.codecs(card) if card.of_texts else _outcome(card),
        f"Gates: {gates}." if gates else "",
        table(head, map(_attempt_row, card.attempts)),
    )


def _outcome(card: Card) -> str:
    passed = [a.name for a in card.attempts if a.verdict == "pass"]
    outcome = f"Published: `{passed[0]}`." if passed else "None passed: there is no int8 file."
    return (
        "Attempts from the fastest to the safest; the first that passes every gate is published. "
        "Scores are on the validation split, speed ratios against the fp32 file in interleaved "
        f"rounds. {outcome}"
    )


def _attempt_row(attempt: Attempt) -> tuple[str, ...]:
    return (
        attempt.name,
        _settings(attempt.settings),
        percent(attempt.accuracy),
        number(attempt.drop_points, ".2f"),
        percent(attempt.agreement),
        "-" if attempt.size_bytes is None else size(attempt.size_bytes),
        ratio(attempt.speed_ratio, attempt.speed_ratio_low, attempt.speed_ratio_high),
        attempt.verdict,
        attempt.reason,
    )


def _settings(settings: dict[str, Any]) -> str:
    """What was set, without what is off and without the percentile that nobody read."""
    shown = {key: value for key, value in settings.items() if value}
    if settings.get("calibration") != "percentile":
        shown.pop("percentile", None)
    texts = {k: " ".join(map(str, v)) if isinstance(v, list) else v for k, v in shown.items()}
    return ", ".join(f"{key} {text}" for key, text in texts.items())


def _lineage(card: Card, figures: Sequence[str]) -> str:
    options = ", ".join(f"{key} {value}" for key, value in card.student.options.items())
    facts = [
        ("Student", f"{card.student.architecture}" + (f" ({options})" if options else "")),
        ("Parameters", f"{card.student.parameters:,}"),
        ("MACs", f"{card.student.macs:,} {_unit(card)}"),
        ("Licence", card.licence),
        *_teacher_facts(card),
        ("Data", f"{card.data.home or card.data.source}; {card.data.licence}"),
        ("Texts" if card.of_texts else "Pictures", _counted(card)),
        *([("Learned from", page.taught(card))] if card.of_texts else []),
        *(page.origins(card) if card.of_texts else []),
        ("Data sha256", f"`{card.data.sha256}`"),
        ("Recipe sha256", f"`{card.recipe_sha256}`"),
        ("Run sha256", f"`{card.run_sha256}`"),
        *((f"`{v.file}` sha256", f"`{v.sha256}`") for _, v in card.by_use()),
        ("Code", f"`{card.code_commit}`, {card.created}"),
    ]
    return "\n\n".join(
        ["## Lineage", table(("What", "Which"), facts), *_pictures(figures, "curves.svg")]
    )


def _teacher_facts(card: Card) -> list[tuple[str, str]]:
    if card.teacher is None:
        return [("Teacher", "none: trained on the labels alone")]
    teacher = card.teacher
    return [
        ("Teacher", f"{teacher.name}; {teacher.source}; {teacher.licence}"),
        ("Teacher sha256", f"`{teacher.sha256}`"),
    ]


def _unit(card: Card) -> str:
    if card.of_texts:
        return "a text of 100 letters"
    return f"a picture of {card.input.size} x {card.input.size}"


def _counted(card: Card) -> str:
    data = card.data
    return f"{data.train:,} train, {data.validation:,} validation, {data.test:,} test"


def _again(card: Card) -> str:
    return f"""## Measure again

```sh
zoo verify {card.name}                # sha256 of every file, golden outputs on this processor
zoo verify {card.name} --data ROOT    # accuracy on the test split
zoo bench {card.name} --compare       # latency here, beside the card's
```"""


def _limits(card: Card) -> str:
    labels = ", ".join(card.labels[:20]) + (", ..." if len(card.labels) > 20 else "")
    data = card.variants["fp32"].accuracy.dataset
    lines = [
        "## Limits",
        f"It knows {len(card.labels)} answers ({labels}) and gives one of them to every picture, "
        f"also to pictures of something else. It was measured on {data} only: on pictures from "
        "elsewhere it will be worse, by how much is not known, and its probabilities are not to "
        "be relied on there. It is meant for research, teaching and as a part of systems that "
        "check it on their own data first.",
    ]
    if "int8" in card.variants:
        lines.append(
            "8-bit arithmetic differs between processors. After a pull the golden outputs are "
            "compared on the user's own; where int8 does not reproduce them, the fp32 file is used."
        )
    return "\n\n".join(lines)


# --- pieces --------------------------------------------------------------------------------------


def _pictures(figures: Sequence[str], *wanted: str) -> list[str]:
    return [f"![{_FIGURES[name]}]({name})" for name in wanted if name in figures]


def _gate(value: float) -> str:
    return f"{value:g}" if value < 1e6 else f"{value:.0f}"
