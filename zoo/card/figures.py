"""The figures of a card, as SVG. Needs matplotlib (the `train` extra), inside functions only.

Every figure carries the sha256 of the numbers that it was drawn from, so that a later matplotlib,
which may draw the same numbers a little differently, is not taken for a drift of the card.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from zoo.card.words import words
from zoo.errors import CardError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from zoo.records.card import Card
    from zoo.records.measures import Measurement, Scale

LATENCY, CURVES, CLASSES = "latency.svg", "curves.svg", "classes.svg"

# Okabe & Ito: told apart by colour-blind readers, and by shape as well
_COLORS = {"fp32": "#0072B2", "int8": "#D55E00", "plain-fp32": "#767676", "teacher": "#009E73"}
_MARKERS = {"fp32": "o", "int8": "s", "plain-fp32": "D", "teacher": "^"}
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "studentzoo",  # ids do not change from run to run
    "svg.fonttype": "none",  # text stays text
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
}


def names(card: Card, run: dict[str, Any]) -> tuple[str, ...]:
    """The figures that this card with this run.json has."""
    return tuple(_shown(card, run))


def draw(card: Card, run: dict[str, Any]) -> dict[str, bytes]:
    """File name -> SVG of every figure."""
    drawn: dict[str, Callable[[], Figure]] = {
        LATENCY: lambda: _latency_figure(card),
        CURVES: lambda: _curves_figure(curves(run), card.data.labelled),
        CLASSES: lambda: _classes_figure(card),
    }
    digests = sources(card, run)
    return {name: _svg(drawn[name], digest) for name, digest in digests.items()}


def sources(card: Card, run: dict[str, Any]) -> dict[str, str]:
    """File name -> sha256 of the numbers that the figure shows."""
    return {name: _digest(numbers) for name, numbers in _shown(card, run).items()}


def _shown(card: Card, run: dict[str, Any]) -> dict[str, Any]:
    """File name -> the numbers of every figure that has some."""
    shown: dict[str, Any] = {LATENCY: _latency_rows(card) + _accuracy_rows(card)}
    others = {CURVES: curves(run), CLASSES: _class_rows(card)}
    return shown | {name: numbers for name, numbers in others.items() if numbers}


def curves(run: dict[str, Any]) -> dict[str, list[dict[str, float]]]:
    """Seed -> one mapping an epoch, of run.json; empty where it has none."""
    try:
        found = {seed: training["curves"] for seed, training in (run.get("seeds") or {}).items()}
        rows = {seed: [dict(row) for row in curve or ()] for seed, curve in found.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise CardError(
            "run.json: seeds is not a mapping of seed -> {curves: one mapping an epoch}",
            "build the student again, or restore its run.json",
        ) from None
    drawn = {key for curve in rows.values() for row in curve for key in row}
    if not any(key.endswith(("loss", "accuracy")) for key in drawn):
        return {}
    return {seed: curve for seed, curve in rows.items() if curve}


def _digest(numbers: Any) -> str:
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()


def _svg(make: Callable[[], Figure], digest: str) -> bytes:
    try:
        import matplotlib
    except ImportError:
        raise CardError(
            "the figures of a card need matplotlib", hint="pip install 'studentzoo[train]'"
        ) from None
    stream = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        make().savefig(
            stream,
            format="svg",
            bbox_inches="tight",
            metadata={"Date": None, "Creator": None, "Description": f"sha256 {digest}"},
        )
    lines = [line.rstrip() for line in stream.getvalue().decode().splitlines()]
    return ("\n".join(lines) + "\n").encode()


# --- latency and accuracy ------------------------------------------------------------------------


def _latency_rows(card: Card) -> list[tuple[str, str, float, float]]:
    """(set-up, precision, p50, p95 in ms an input), one set-up after the other, as in the card."""
    rows = [
        (_setup(m), m.precision, round(m.p50_ms / m.batch, 6), round(m.p95_ms / m.batch, 6))
        for m in card.latency
    ]
    order = list(dict.fromkeys(setup for setup, *_ in rows))
    return sorted(rows, key=lambda row: order.index(row[0]))


def _setup(row: Measurement) -> str:
    threads = "1 thread" if row.threads == 1 else f"{row.threads} threads"
    long = f", {row.text_length} characters" if row.text_length else ""
    return f"{row.device_name}\nbatch {row.batch}, {threads}{long}"


def _accuracy_rows(card: Card) -> list[tuple[str, float, float, float]]:
    """(precision, value, low, high) as people see them, the teacher last."""
    scores = [(precision, v.accuracy) for precision, v in card.variants.items()]
    if card.teacher and card.teacher.accuracy:
        scores.append(("teacher", card.teacher.accuracy))
    return [
        (name, _seen(s.scale, s.value), _seen(s.scale, s.low), _seen(s.scale, s.high))
        for name, s in scores
    ]


def _seen(scale: Scale, value: float) -> float:
    """The number that people see, to four places."""
    return round(scale.factor * value, 4)


def _latency_figure(card: Card) -> Figure:
    from matplotlib.figure import Figure

    latency, accuracy = _latency_rows(card), _accuracy_rows(card)
    height = 1.4 + 0.3 * max(len(latency), len(accuracy), 2)
    figure = Figure(figsize=(8.5, height), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    _draw_latency(left, latency, *words(card).time_unit)
    _draw_accuracy(right, accuracy)
    score = card.variants[card.best].accuracy
    metric = "accuracy, " if score.metric == "top-1 accuracy" else f"{score.metric},\n"
    right.set_xlabel(f"{metric}{score.scale.unit} (bar: 95 % interval)")
    figure.suptitle(card.name, fontsize=10)
    return figure


def _draw_latency(
    axes: Axes, rows: list[tuple[str, str, float, float]], factor: float, unit: str
) -> None:
    """A point at the median, a line on to the 95th percentile; `factor` of ms gives the `unit`."""
    rows = [(setup, name, factor * p50, factor * p95) for setup, name, p50, p95 in rows]
    for y, (_, precision, p50, p95) in enumerate(rows):
        style = _look(precision)
        axes.hlines(y, p50, p95, color=style["color"], linewidth=1.2)
        axes.plot(p50, y, markersize=6, linestyle="none", **style)
        label = f"{precision}  {p50:.3g}"
        axes.annotate(label, (p95, y), (6, 0), textcoords="offset points", va="center", fontsize=8)
    _setups(axes, [setup for setup, *_ in rows])
    axes.set_xlabel(f"latency, {unit} (mark: median; line: to p95)")
    axes.set_xlim(left=0, right=1.35 * max((p95 for *_, p95 in rows), default=1))


def _setups(axes: Axes, setups: list[str]) -> None:
    """One label for each run of rows of one set-up, in its middle."""
    groups = {setup: [y for y, s in enumerate(setups) if s == setup] for setup in setups}
    axes.set_yticks([sum(ys) / len(ys) for ys in groups.values()], list(groups))
    axes.set_ylim(max(len(setups), 1) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    if not setups:
        axes.text(0.5, 0.5, "not measured", ha="center", va="center", transform=axes.transAxes)


def _draw_accuracy(axes: Axes, rows: list[tuple[str, float, float, float]]) -> None:
    for y, (name, value, low, high) in enumerate(rows):
        axes.errorbar(value, y, xerr=[[value - low], [high - value]], capsize=3, **_look(name))
        axes.annotate(
            f"{value:.2f}", (value, y), (0, 6), textcoords="offset points", ha="center", fontsize=8
        )
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.margins(x=0.15)


def _look(name: str) -> dict[str, Any]:
    return {"color": _COLORS.get(name, "#000000"), "marker": _MARKERS.get(name, "o")}


# --- accuracy by class ---------------------------------------------------------------------------


def _class_rows(card: Card) -> list[tuple[str, float]]:
    """(label, accuracy in percent), the lowest first."""
    return [(label, round(100 * value, 4)) for label, value in card.ranked()]


def _classes_figure(card: Card) -> Figure:
    """Bars from the lowest, in panels of at most 25 beside each other."""
    from matplotlib.figure import Figure

    rows, said = _class_rows(card), words(card)
    panels = min(3, -(-len(rows) // 25))
    height = -(-len(rows) // panels)
    figure = Figure(figsize=(8.5, 1.0 + 0.16 * height), layout="constrained")
    found = figure.subplots(1, panels, squeeze=False, sharex=True)[0]
    for axes, start in zip(found, range(0, len(rows), height), strict=True):
        shown = [(said.named(label), value) for label, value in rows[start : start + height]]
        _draw_classes(axes, shown, height)
    figure.supxlabel(f"accuracy of the {card.best} file, % (orange: wrong answers)", fontsize=9)
    figure.suptitle(card.name, fontsize=10)
    return figure


def _draw_classes(axes: Axes, rows: list[tuple[str, float]], height: int) -> None:
    places = range(len(rows))
    right = [value for _, value in rows]
    axes.barh(places, right, height=0.7, color=_COLORS["fp32"])
    wrong = [100 - value for value in right]
    axes.barh(places, wrong, left=right, height=0.7, color=_COLORS["int8"])
    for y, value in enumerate(right):
        axes.text(102, y, f"{value:.1f}", va="center", fontsize=7)
    axes.set_yticks(places, [label for label, _ in rows], fontsize=7)
    axes.set_ylim(height - 0.4, -0.6)
    axes.set_xlim(0, 122)  # room for the numbers
    axes.set_xticks(range(0, 101, 25))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


# --- training curves -----------------------------------------------------------------------------


def _curves_figure(seeds: dict[str, list[dict[str, float]]], labelled: bool) -> Figure:
    """Without labels, what training counts as right is what the teacher answers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 2.8), layout="constrained")
    keys = {key for rows in seeds.values() for row in rows for key in row}
    right = "accuracy, %" if labelled else "agreement with the teacher, %"
    wanted = [("loss", 1, "loss"), ("accuracy", 100, right)]
    shown = [one for one in wanted if any(key.endswith(one[0]) for key in keys)]
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, (word, factor, label) in zip(panels, shown, strict=True):
        _draw_curves(axes, seeds, word, factor, label)
    return figure


def _draw_curves(
    axes: Axes, seeds: dict[str, list[dict[str, float]]], word: str, factor: float, label: str
) -> None:
    """Every quantity whose name ends in `word`: one line style each, one colour a seed."""
    from matplotlib.ticker import MaxNLocator

    colors = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"]
    styles = ["-", "--", ":", "-."]
    keys = dict.fromkeys(k for rows in seeds.values() for row in rows for k in row)
    for k, key in enumerate(key for key in keys if key.endswith(word)):
        for s, (seed, rows) in enumerate(seeds.items()):
            points = [(row["epoch"], factor * row[key]) for row in rows if row.get(key) is not None]
            name = key.removesuffix(word).replace("_", " ") + label.split()[0].rstrip(",")
            name += f", seed {seed}" if len(seeds) > 1 else ""
            look: dict[str, Any] = {
                "color": colors[s % 5],
                "linestyle": styles[k % 4],
                "linewidth": 1.2,
            }
            axes.plot(*zip(*points, strict=True), label=name, **look)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(label)
    if axes.has_data():
        axes.legend(fontsize=8)
