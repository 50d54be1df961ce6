"""card.json as a page of markdown. Pure text, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from zoo.card import Attempt, Card, Variant
from zoo.card_metadata import front_matter
from zoo.measures import Measurement, Score

_NO_LIMIT = ("max_size_bytes", 0)
PLAIN = "plain-fp32"  # label of the yardstick's rows
_FIGURES = {
    "latency.svg": "Latency and accuracy of the published files",
    "curves.svg": "Training curves",
}


def render(card: Card, figures: Sequence[str] = ()) -> str:
    """README.md of `card`; `figures` are the names of the pictures that stand beside it."""
    parts = [
        front_matter(card),
        f"# {card.name}\n\n{card.summary}",
        _facts(card),
        _use(card),
        _accuracy(card),
        _latency(card, figures),
        _ladder(card),
        _lineage(card, figures),
        _again(card),
        _limits(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


# --- sections ------------------------------------------------------------------------------------


def _facts(card: Card) -> str:
    """One line to decide by."""
    variant = card.variants[card.best]
    facts = [
        f"**{_percent(variant.accuracy.value)} %** {variant.accuracy.metric} on "
        f"{variant.accuracy.dataset} {variant.accuracy.split}",
        f"**{_size(variant.size_bytes)}** in one {card.best} file",
    ]
    row = single_latency(card.latency, card.best)
    if row:
        facts.append(f"**{_ms(row.p50_ms)} ms** a picture on one thread of {row.device_name}")
    return " · ".join(facts)


def single_latency(rows: Iterable[Measurement], precision: str) -> Measurement | None:
    """The headline row: one picture, one CPU thread; None where that was not measured."""
    wanted = ("cpu", precision, 1, 1)
    return next((r for r in rows if (r.device, r.precision, r.batch, r.threads) == wanted), None)


def over_plain(rows: Iterable[Measurement], precision: str) -> float | None:
    """Latency of a file over the plain export's, both headline rows; None where one is missing.

    The quotient of two ratios to fp32 that were taken in the same rounds.
    """
    rows = list(rows)
    ours, plain = single_latency(rows, precision), single_latency(rows, PLAIN)
    if not (ours and plain and ours.ratio_to_fp32 and plain.ratio_to_fp32):
        return None
    return ours.ratio_to_fp32 / plain.ratio_to_fp32


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
    head = ["File", "Accuracy, %", "95 % interval", "n", "Agrees with teacher, %"]
    head += ["Agrees with fp32, %", "ECE, %", "Size", "Peak memory, MB"]
    rows = [_accuracy_row(precision, variant) for precision, variant in card.by_use()]
    if card.teacher:
        rows.append(("teacher", *_score_cells(card.teacher.accuracy), "-", "-", "-", "-", "-"))
    score = card.variants["fp32"].accuracy
    lines = [
        "## Accuracy",
        f"{_capital(score.metric)} on {score.dataset}, {score.split} split, which nothing was "
        "trained, chosen or calibrated on. The weights are those of the last epoch.",
        table(head, rows),
        _seeds(card),
        "Agreement: the fraction of pictures with the same first answer. ECE: expected "
        "calibration error, 15 bins. Peak memory: of a fresh process that answers once.",
    ]
    return "\n\n".join(line for line in lines if line)


def _accuracy_row(precision: str, variant: Variant) -> tuple[str, ...]:
    return (
        f"`{variant.file}` ({precision})",
        *_score_cells(variant.accuracy),
        _percent(variant.agreement_teacher),
        _percent(variant.agreement_fp32),
        _percent(variant.ece),
        _size(variant.size_bytes),
        _number(variant.peak_memory_mb, ".0f"),
    )


def _score_cells(score: Score) -> tuple[str, str, str]:
    interval = f"{_percent(score.low)} to {_percent(score.high)}"
    return _percent(score.value), interval, f"{score.n:,}"


def _seeds(card: Card) -> str:
    if card.seeds is None:
        return "Trained once: the spread over seeds was not measured."
    values = ", ".join(_percent(v) for v in card.seeds.values)
    return (
        f"Over {len(card.seeds.values)} training seeds (fp32): {_percent(card.seeds.mean)} ± "
        f"{_percent(card.seeds.std)} % (mean ± sample standard deviation; {values}). "
        "The first seed is the one published, whatever it scored."
    )


def _latency(card: Card, figures: Sequence[str]) -> str:
    lines = ["## Latency"]
    for conditions, rows in groupby(sorted(card.latency, key=_conditions), key=_conditions):
        lines += _device(conditions, list(rows))
    lines += [
        f"**{name}: not measured.**"
        for device, name in (("cpu", "CPU"), ("cuda", "GPU"))
        if not any(row.device == device for row in card.latency)
    ]
    quotients = [(p, over_plain(card.latency, p)) for p, _ in card.by_use()]
    told = [f"{precision} {value:.3f}" for precision, value in quotients if value]
    if told:
        lines.append(f"One picture, one thread, over the plain export: {', '.join(told)}.")
    if card.latency:
        lines.append(
            "The files take turns within each round, so that other work on the machine meets all "
            "of them. Ratio: latency over the fp32 file's in the same rounds. Control: the fp32 "
            "file against a second session of itself, so how far from 1 a ratio falls by chance. "
            "Intervals are 95 %, bootstrap. `plain-fp32` is the untouched torch export of the "
            "same weights."
        )
    return "\n\n".join([*lines, *_pictures(figures, "latency.svg")])


def _conditions(row: Measurement) -> tuple[str, ...]:
    """Rows of one table were measured under the same of these."""
    runtime = f"{row.runtime} {row.runtime_version}"
    return (row.device, row.device_name, runtime, row.isa, row.os, row.date)


def _device(conditions: tuple[str, ...], rows: list[Measurement]) -> list[str]:
    device, name, runtime, isa, system, date = conditions
    head = ("File", "Batch", "Threads", "Picture", "p50, ms", "p95, ms", "n", "Ratio", "Control")
    kind = {"cpu": "CPU", "cuda": "GPU"}.get(device, device)
    where = [runtime, isa or "instruction set not known", system, date]
    return [f"### {kind}: {name}", "; ".join(where) + ".", table(head, map(_latency_row, rows))]


def _latency_row(row: Measurement) -> tuple[str, ...]:
    return (
        row.precision,
        str(row.batch),
        str(row.threads),
        f"{row.image_size} x {row.image_size}",
        _ms(row.p50_ms),
        _ms(row.p95_ms),
        f"{row.n:,}",
        _ratio(row.ratio_to_fp32, row.ratio_low, row.ratio_high),
        _ratio(row.control_ratio, row.control_low, row.control_high),
    )


def _ladder(card: Card) -> str:
    if not card.attempts:
        known = "How the int8 file was found was not recorded." if "int8" in card.variants else ""
        return f"## Quantization\n\n{known or 'Not attempted: published in fp32 only.'}"
    head = ["Attempt", "Settings", "Accuracy, %", "Drop, points", "Agrees with fp32, %", "Size"]
    head += ["Speed ratio", "Verdict", "Reason"]
    passed = [a.name for a in card.attempts if a.verdict == "pass"]
    outcome = f"Published: `{passed[0]}`." if passed else "None passed: there is no int8 file."
    asked = {name: value for name, value in card.gates.items() if (name, value) != _NO_LIMIT}
    gates = ", ".join(f"{name} {_gate(value)}" for name, value in asked.items())
    lines = [
        "## Quantization",
        "Attempts from the fastest to the safest; the first that passes every gate is published. "
        "Scores are on the validation split, speed ratios against the fp32 file in interleaved "
        f"rounds. {outcome}",
        f"Gates: {gates}." if gates else "",
        table(head, map(_attempt_row, card.attempts)),
    ]
    return "\n\n".join(line for line in lines if line)


def _attempt_row(attempt: Attempt) -> tuple[str, ...]:
    return (
        attempt.name,
        _settings(attempt.settings),
        _percent(attempt.accuracy),
        _number(attempt.drop_points, ".2f"),
        _percent(attempt.agreement),
        "-" if attempt.size_bytes is None else _size(attempt.size_bytes),
        _ratio(attempt.speed_ratio, attempt.speed_ratio_low, attempt.speed_ratio_high),
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
        ("MACs", f"{card.student.macs:,} a picture of {card.input.size} x {card.input.size}"),
        ("Licence", card.licence),
        *_teacher_facts(card),
        ("Data", f"{card.data.home or card.data.source}; {card.data.licence}"),
        ("Pictures", _pictures_counted(card)),
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


def _pictures_counted(card: Card) -> str:
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


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table."""
    lines = [head, ["---"] * len(head), *([_cell(c) for c in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())


def _pictures(figures: Sequence[str], *wanted: str) -> list[str]:
    return [f"![{_FIGURES[name]}]({name})" for name in wanted if name in figures]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _percent(fraction: float | None) -> str:
    return _number(None if fraction is None else 100 * fraction, ".2f")


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.3g}" if milliseconds < 100 else f"{milliseconds:.0f}"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.2f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.1f} kB"


def _ratio(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "-"
    interval = "" if low is None or high is None else f" ({low:.3f} to {high:.3f})"
    return f"{value:.3f}{interval}"


def _gate(value: float) -> str:
    return f"{value:g}" if value < 1e6 else f"{value:.0f}"
