"""Cards beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli import tables
from zoo.cli.app import USE, app, json_out, talk, text
from zoo.cli.arguments import Json, Registry, complete_name
from zoo.cli.making import folder_of
from zoo.errors import NotFound

if TYPE_CHECKING:
    from zoo.card.beside import Differing, Gap, Side
    from zoo.cli.tables import Row

Students = Annotated[
    list[str],
    typer.Argument(
        metavar="A B...",
        help="Names of students, folders of them, or card.json files.",
        autocompletion=complete_name,
    ),
]


@app.command(rich_help_panel=USE)
def compare(students: Students, registry: Registry = None, as_json: Json = False) -> None:
    """Set the cards of students side by side.

    The first is what the others are compared with: accuracy, and whether it differs by more than
    chance; size, latency on one device, teacher, data and licence. Of builds whose run.json is
    there: what differs in settings, data and versions.
    """
    from zoo.card import beside

    given = list(dict.fromkeys(students))
    if len(given) < 2:
        raise typer.BadParameter("give at least two different students", param_hint="A B...")
    sides = [_side(one, registry) for one in given]
    if as_json:
        return json_out(_data(sides))
    for doubt in beside.doubts(sides):
        text(f"{'note' if doubt.comparable else 'not comparable'}: {doubt.label}: {doubt.why}")
    text(tables.columns(_facts(sides), ("", *given)))
    blocks = {**_latencies(sides), **_differences(sides)}
    for title, rows in blocks.items():
        if rows:
            text("")
            text(tables.columns(rows, (title, *given)))
    return None


def _side(given: str, registry: list[str] | None) -> Side:
    """A student by its name; a path has a separator, or ends in .json."""
    from zoo.card.beside import Side
    from zoo.files import sha256
    from zoo.records import card as cards

    is_path = "/" in given or "\\" in given or given.endswith(".json")
    place = Path(given) if is_path else _named(given, registry)
    card, folder = cards.read(place), place if place.is_dir() else place.parent
    run = folder / cards.RUN
    if run.is_file() and sha256(run) == card.run_sha256:
        return Side(given, card, cards.read_run(folder))
    why = "the run.json beside its card is of another build" if run.is_file() else "no run.json"
    talk(f"note: {given}: {why}: its settings and versions are not known")
    return Side(given, card, {})


def _named(name: str, registry: list[str] | None) -> Path:
    try:
        return folder_of(name, registry)
    except NotFound as problem:
        hint = f"the folder here is ./{name}" if Path(name).is_dir() else problem.hint
        raise NotFound(str(problem), hint) from None


def _data(sides: Sequence[Side]) -> dict[str, Any]:
    from zoo.card import beside
    from zoo.records import plain

    gaps = [
        plain.to_dict(gap) | {"larger_than_chance": gap.larger_than_chance}
        for gap in beside.gaps(sides)
    ]
    return {
        "doubts": plain.to_dict(beside.doubts(sides)),
        "students": [{"given": side.label, **_card(side)} for side in sides],
        "accuracy_over_first": gaps,
        "latency": plain.to_dict(beside.latencies(sides)),
        **{title: plain.to_dict(rows) for title, rows in beside.differences(sides).items()},
    }


def _card(side: Side) -> dict[str, Any]:
    from zoo.records import plain

    card = plain.essentials(side.card)
    keys = ("name", "task", "licence", "input", "student", "teacher", "data", "variants", "seeds")
    return {key: card[key] for key in (*keys, "created", "code_commit", "recipe_sha256")}


# --- as text -------------------------------------------------------------------------------------


def _facts(sides: Sequence[Side]) -> Iterator[Row]:
    """What the cards say, a row a fact."""
    from zoo.card import beside
    from zoo.card.markdown import millions

    gaps = {(gap.label, gap.precision): gap for gap in beside.gaps(sides)}
    for precision in beside.PRECISIONS:
        if any(precision in side.card.variants for side in sides):
            yield from _of_file(sides, precision, gaps)
    cards = [side.card for side in sides]
    yield "parameters, M", *[millions(card.student.parameters) for card in cards]
    yield "MACs, M", *[millions(card.student.macs) for card in cards]
    yield "architecture", *[card.student.architecture for card in cards]
    yield (
        "teacher",
        *[f"{c.teacher.name}; {c.teacher.licence}" if c.teacher else "-" for c in cards],
    )
    yield "data", *[card.data.source for card in cards]
    yield "data from", *[card.data.home or "-" for card in cards]
    yield "data licence", *[card.data.licence for card in cards]
    yield "data sha256", *[card.data.sha256[:12] for card in cards]
    yield "licence", *[card.licence for card in cards]


def _of_file(
    sides: Sequence[Side], precision: str, gaps: dict[tuple[str, str], Gap]
) -> Iterator[Row]:
    from zoo.card.markdown import size

    found = [side.card.variants.get(precision) for side in sides]
    score = next(one.accuracy for one in found if one)
    unit = f", {score.scale.unit}" if score.scale.unit else ""
    scores = [
        f"{one.accuracy.scale.shown(one.accuracy.value)} ({_ends(one.accuracy)}), n "
        f"{one.accuracy.n:,}"
        if one
        else "-"
        for one in found
    ]
    yield f"{precision}: {score.name}{unit}", *scores
    if gaps:
        told = [_gap(gaps.get((side.label, precision)), side) for side in sides]
        yield f"{precision}: over the first", *told
    yield f"{precision}: size", *[size(one.size_bytes) if one else "-" for one in found]


def _ends(score: Any) -> str:
    return f"{score.scale.shown(score.low)} to {score.scale.shown(score.high)}"


def _gap(gap: Gap | None, side: Side) -> str:
    if gap is None:
        return "-"
    factor = side.card.variants[gap.precision].accuracy.scale.factor
    value, low, high = (f"{factor * number:+.2f}" for number in (gap.value, gap.low, gap.high))
    chance = "more than chance" if gap.larger_than_chance else "may be chance"
    return f"{value} ({low} to {high}), {chance}"


def _latencies(sides: Sequence[Side]) -> dict[str, list[Row]]:
    """The rows of each device and runtime, under its name; who was not timed so has a dash."""
    from zoo.card import beside

    found: dict[str, list[Row]] = {}
    for row in beside.latencies(sides):
        setup, times = row.setup, (row.p50_ms.get(side.label) for side in sides)
        where = f"p50 ms: {setup.device_name}, {setup.runtime} {setup.runtime_version}"
        letters = "" if setup.text_length is None else f", {setup.text_length} letters"
        what = f"{setup.precision}, batch {setup.batch}, threads {setup.threads}{letters}"
        cells = ("-" if time is None else f"{time:.3g}" for time in times)
        found.setdefault(where, []).append((what, *cells))
    return found or {"p50 ms": [("nothing was timed alike", *("-" for _ in sides))]}


def _differences(sides: Sequence[Side]) -> dict[str, list[Row]]:
    """What differs, under what it is about."""
    from zoo.card import beside

    return {
        f"{title} that differ": [_differing(row, sides) for row in rows]
        for title, rows in beside.differences(sides).items()
    }


def _differing(row: Differing, sides: Sequence[Side]) -> Row:
    known = row.values
    return (row.key, *(_value(known[s.label]) if s.label in known else "-" for s in sides))


def _value(value: Any) -> str:
    """A hash by its first digits."""
    if isinstance(value, str) and len(value) in (40, 64) and value.isalnum():
        return value[:12]
    return str(value)
