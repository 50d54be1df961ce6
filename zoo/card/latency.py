"""The latency section of a card's page, and the rows that stand for it. Pure text, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from zoo.card.markdown import duration, ms, ratio, table
from zoo.records.card import Card
from zoo.records.measures import Measurement

PLAIN = "plain-fp32"  # label of the yardstick's rows


def single_latency(rows: Iterable[Measurement], precision: str) -> Measurement | None:
    """The headline row: one picture, or the longest text, on one CPU thread; None: not measured."""
    singles = _singles(rows, precision)
    return max(singles, key=lambda row: row.text_length or 0, default=None)  # of equals the first


def _singles(rows: Iterable[Measurement], precision: str) -> list[Measurement]:
    wanted = ("cpu", precision, 1, 1)
    return [r for r in rows if (r.device, r.precision, r.batch, r.threads) == wanted]


def beside(card: Card, headline: Measurement) -> list[Measurement]:
    """The headline row and those of other text lengths on the same device."""
    singles = _singles(card.latency, card.best)
    return [row for row in singles if _conditions(row) == _conditions(headline)]


def over_plain(rows: Iterable[Measurement], precision: str) -> float | None:
    """Latency of a file over the plain export's, both headline rows; None where one is missing.

    The quotient of two ratios to fp32 that were taken in the same rounds.
    """
    rows = list(rows)
    ours, plain = single_latency(rows, precision), single_latency(rows, PLAIN)
    if not (ours and plain and ours.ratio_to_fp32 and plain.ratio_to_fp32):
        return None
    return ours.ratio_to_fp32 / plain.ratio_to_fp32


# --- the section ---------------------------------------------------------------------------------


def section(card: Card, one: str, pictures: Sequence[str]) -> str:
    """Every row, a table for each device; `pictures` follow them. `one` is the headline's input."""
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
        lines.append(f"{one}, one thread, over the plain export: {', '.join(told)}.")
    if card.latency:
        lines.append(_method(card))
    return "\n\n".join([*lines, *pictures])


def _method(card: Card) -> str:
    """How the rows were timed."""
    method = (
        "The files take turns within each round, so that other work on the machine meets all "
        "of them. Ratio: latency over the fp32 file's in the same rounds. Control: the fp32 "
        "file against a second session of itself, so how far from 1 a ratio falls by chance. "
        "Intervals are 95 %, bootstrap."
    )
    if not any(row.precision == PLAIN for row in card.latency):
        return method
    return f"{method} `{PLAIN}` is the untouched torch export of the same weights."


def _conditions(row: Measurement) -> tuple[str, ...]:
    """Rows of one table were measured under the same of these."""
    runtime = f"{row.runtime} {row.runtime_version}"
    return (row.device, row.device_name, runtime, row.isa, row.os, row.date)


_LATENCY = ("File", "Batch", "Threads", "Picture", "p50, ms", "p95, ms", "n", "Ratio", "Control")
_TEXT_LATENCY = (*_LATENCY[:3], "Characters", "p50", "p95", "p50 a text", *_LATENCY[6:])


def _device(conditions: tuple[str, ...], rows: list[Measurement]) -> list[str]:
    device, name, runtime, isa, system, date = conditions
    texts = any(row.text_length for row in rows)
    head = _TEXT_LATENCY if texts else _LATENCY
    cells = map(_text_latency_row if texts else _latency_row, rows)
    kind = {"cpu": "CPU", "cuda": "GPU"}.get(device, device)
    where = [runtime, isa or "instruction set not known", system, date]
    return [f"### {kind}: {name}", "; ".join(where) + ".", table(head, cells)]


def _latency_row(row: Measurement) -> tuple[str, ...]:
    return (
        row.precision,
        str(row.batch),
        str(row.threads),
        "-" if row.image_size is None else f"{row.image_size} x {row.image_size}",
        ms(row.p50_ms),
        ms(row.p95_ms),
        *_ratio_cells(row),
    )


def _text_latency_row(row: Measurement) -> tuple[str, ...]:
    return (
        row.precision,
        str(row.batch),
        str(row.threads),
        "-" if row.text_length is None else str(row.text_length),
        duration(row.p50_ms),
        duration(row.p95_ms),
        duration(row.p50_ms / row.batch),
        *_ratio_cells(row),
    )


def _ratio_cells(row: Measurement) -> tuple[str, str, str]:
    return (
        f"{row.n:,}",
        ratio(row.ratio_to_fp32, row.ratio_low, row.ratio_high),
        ratio(row.control_ratio, row.control_low, row.control_high),
    )
