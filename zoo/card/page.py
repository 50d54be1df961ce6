"""card.json as a page of markdown. Pure text, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.card import latency
from zoo.card.markdown import capital, number, paragraphs, percent, ratio, size, table
from zoo.card.metadata import front_matter
from zoo.card.words import Words, words
from zoo.records.card import Attempt, Card, Variant
from zoo.records.labeller import Labeller
from zoo.records.measures import Scale, Score

_COLUMNS = 5  # of the table of classes
_NO_LIMIT = ("max_size_bytes", 0)
_FIGURES = {
    "latency.svg": "Latency and {scores} of the published files",
    "curves.svg": "Training curves",
    "classes.svg": "Accuracy by label",
}


def render(card: Card, figures: Sequence[str] = ()) -> str:
    """README.md of `card`; `figures` are the names of the pictures that stand beside it."""
    said = words(card)
    head = (front_matter(said), f"# {card.name}\n\n{card.summary}", _facts(said))
    return paragraphs(*head, body(said, figures)) + "\n"


def body(said: Words, figures: Sequence[str] = ()) -> str:
    """The page's sections, without its front matter and head."""
    card = said.card
    parts = [
        said.use(),
        _accuracy(said),
        _by_class(said, _pictures(said, figures, "classes.svg")),
        said.peers(),
        latency.section(card, said.single, _pictures(said, figures, "latency.svg")),
        _ladder(said),
        _lineage(said, figures),
        _again(card),
        said.limits(),
    ]
    return paragraphs(*parts)


# --- sections ------------------------------------------------------------------------------------


def _facts(said: Words) -> str:
    """One line to decide by."""
    card = said.card
    variant, score = card.variants[card.best], _headline(card)
    unit = f" {score.scale.unit}" if score.scale.unit else ""
    facts = [
        f"**{score.scale.shown(score.value)}{unit}** {score.metric} on {_set(said)}{said.known()}",
        f"**{size(variant.size_bytes)}** in one {card.best} file",
    ]
    row = latency.single_latency(card.latency, card.best)
    if row:
        facts.append(said.times(latency.beside(card, row)))
    return " · ".join(facts)


def _set(said: Words, comma: str = " ", after: str = "") -> str:
    """Data set and split of the headline."""
    score = _headline(said.card)
    split = said.split(score)
    return f"{score.dataset}{comma}{split}{after}" if split else score.dataset


def _headline(card: Card) -> Score:
    return card.variants[card.best].accuracy


def _accuracy(said: Words) -> str:
    card = said.card
    score = card.variants["fp32"].accuracy
    head = ["File", heading(score), "95 % interval", "n", "Agrees with teacher, %"]
    head += ["Agrees with fp32, %", "ECE, %", "Size", "Peak memory, MB"]
    rows = [_accuracy_row(precision, variant) for precision, variant in card.by_use()]
    if card.teacher and card.teacher.accuracy:
        rows.append(("teacher", *_score_cells(card.teacher.accuracy), "-", "-", "-", "-", "-"))
    return paragraphs(
        f"## {said.scores()}",
        f"{capital(score.metric)} on {_set(said, ', ', ' split')}, which nothing was "
        "trained, chosen or calibrated on. The weights are those of the last epoch.",
        said.accuracy(),
        table(head, rows),
        _other_tests(said),
        _seeds(card),
        f"Agreement: the fraction of {said.many} {said.alike}. ECE: expected "
        f"calibration error, 15 bins. Peak memory: {said.peak_memory()}.",
        said.accuracy_notes(),
    )


def heading(score: Score) -> str:
    """Of a column of scores: "Accuracy, %", or the metric and its unit."""
    return ", ".join(filter(None, (capital(score.name), score.scale.unit)))


def _other_tests(said: Words) -> str:
    """The test sets beside the one of the headline."""
    rows = [
        (
            f"`{variant.file}` ({precision})",
            ", ".join(filter(None, (score.dataset, said.split(score)))),
            capital(score.metric),
            *_score_cells(score),
        )
        for precision, variant in said.card.by_use()
        for score in variant.also
    ]
    unit = said.card.variants["fp32"].accuracy.scale.unit
    head = ("File", "Test set", "Metric", unit or "Score", "95 % interval", "n")
    lead = f"On other {said.many}, which nothing was trained, chosen or calibrated on either:"
    return paragraphs(lead, table(head, rows)) if rows else ""


def _by_class(said: Words, pictures: Sequence[str]) -> str:
    """Accuracy of each label, the worst first, down the columns; `pictures` follow it."""
    card = said.card
    if not card.per_class:
        return ""
    kind = said.answers()[:-1]
    cells = [(said.named(label), percent(value)) for label, value in card.ranked()]
    columns = min(_COLUMNS, len(cells))
    height = -(-len(cells) // columns)
    cells += [("", "")] * (height * columns - len(cells))
    rows = [sum(cells[row::height], ()) for row in range(height)]
    lead = (
        f"Accuracy in % of the {card.best} file on the {said.many} of each {kind} in "
        f"{_headline(card).dataset}, the lowest first, down the columns."
    )
    grid = table((capital(kind), "%") * columns, rows)
    return paragraphs(f"## By {kind}", lead, grid, *pictures)


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
    shown = score.scale.shown
    return shown(score.value), f"{shown(score.low)} to {shown(score.high)}", f"{score.n:,}"


def _seeds(card: Card) -> str:
    if card.seeds is None:
        return "Trained once: the spread over seeds was not measured."
    scale = card.variants["fp32"].accuracy.scale
    values = ", ".join(map(scale.shown, card.seeds.values))
    spread = f"{scale.shown(card.seeds.mean)} ± {scale.shown(card.seeds.std)} {scale.unit}".strip()
    return (
        f"Over {len(card.seeds.values)} training seeds (fp32): {spread} (mean ± sample standard "
        f"deviation; {values}). The first seed is the one published, whatever it scored."
    )


def _ladder(said: Words) -> str:
    card = said.card
    if not card.attempts:
        known = "How the int8 file was found was not recorded." if "int8" in card.variants else ""
        return f"## Quantization\n\n{known or 'Not attempted: published in fp32 only.'}"
    score = card.variants["fp32"].accuracy
    head = ["Attempt", "Settings", heading(score), "Drop, points", "Agrees with fp32, %", "Size"]
    head += ["Speed ratio", "Verdict", "Reason"]
    asked = {name: value for name, value in card.gates.items() if (name, value) != _NO_LIMIT}
    gates = ", ".join(f"{name} {_gate(value)}" for name, value in asked.items())
    return paragraphs(
        "## Quantization",
        said.ladder(),
        f"Gates: {gates}." if gates else "",
        table(head, [_attempt_row(a, score.scale) for a in card.attempts]),
    )


def _attempt_row(attempt: Attempt, scale: Scale) -> tuple[str, ...]:
    return (
        attempt.name,
        _settings(attempt.settings),
        scale.shown(attempt.accuracy),
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


def _lineage(said: Words, figures: Sequence[str]) -> str:
    card = said.card
    options = ", ".join(f"{key} {value}" for key, value in card.student.options.items())
    facts = [
        ("Student", f"{card.student.architecture}" + (f" ({options})" if options else "")),
        ("Parameters", f"{card.student.parameters:,}"),
        ("MACs", f"{card.student.macs:,} {said.macs_of()}"),
        ("Licence", card.licence),
        *_teacher_facts(card),
        ("Data", f"{card.data.home or card.data.source}; {card.data.licence}"),
        (capital(said.many), _counted(card)),
        *said.lineage(),
        ("Data sha256", f"`{card.data.sha256}`"),
        ("Recipe sha256", f"`{card.recipe_sha256}`"),
        ("Run sha256", f"`{card.run_sha256}`"),
        *((f"`{v.file}` sha256", f"`{v.sha256}`") for _, v in card.by_use()),
        ("Code", f"`{card.code_commit}`, {card.created}"),
    ]
    return "\n\n".join(
        ["## Lineage", table(("What", "Which"), facts), *_pictures(said, figures, "curves.svg")]
    )


def _teacher_facts(card: Card) -> list[tuple[str, str]]:
    if card.teacher is None:
        return [("Teacher", "none: trained on the labels alone")]
    teacher = card.teacher
    return [
        ("Teacher", f"{teacher.name}; {teacher.source}; {teacher.licence}"),
        ("Teacher sha256", f"`{teacher.sha256}`"),
        *([("Labelled by", _labeller(teacher.labeller))] if teacher.labeller else []),
    ]


def _labeller(found: Labeller) -> str:
    """Which file of the teacher's answered, and what was measured of its 8-bit one."""
    said = [f"its {found.precision} file, sha256 `{found.sha256}`"]
    if found.agreement is not None:
        speed = ratio(found.speed_ratio, found.speed_ratio_low, found.speed_ratio_high)
        said.append(
            f"int8 gives the first answer of fp32 to {percent(found.agreement)} % of "
            f"{found.n:,} drawn views, in {speed} of its time"
        )
    return "; ".join([*said, *filter(None, [found.reason])])


def _counted(card: Card) -> str:
    data = card.data
    doubles = f" ({data.doubles:,} of them are trained on, too)" if data.doubles else ""
    skipped = f"; {data.skipped:,} could not be read and were left out" if data.skipped else ""
    counts = f"{data.train:,} train, {data.validation:,} validation, {data.test:,} test"
    return f"{counts}{doubles}{skipped}"


def _again(card: Card) -> str:
    labels = card.data.labelled  # without them it takes the teacher: a build
    again = f"zoo verify {card.name} --data ROOT    # accuracy on the test split\n"
    return f"""## Measure again

```sh
zoo verify {card.name}                # sha256 of every file, golden outputs on this processor
{again if labels else ""}zoo bench {card.name} --compare       # latency here, beside the card's
```"""


# --- pieces --------------------------------------------------------------------------------------


def _pictures(said: Words, figures: Sequence[str], *wanted: str) -> list[str]:
    scores = said.scores().lower()
    shown = ((name, _FIGURES[name].format(scores=scores)) for name in wanted if name in figures)
    return [f"![{what}]({name})" for name, what in shown]


def _gate(value: float) -> str:
    return f"{value:g}" if value < 1e6 else f"{value:.0f}"
