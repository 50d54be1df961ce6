"""What the command line prints, as rows of text. Pure; each function takes one record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zoo.said import masked, shown

if TYPE_CHECKING:
    from distill.trial import Trial
    from zoo.fetch.kept import Kept
    from zoo.measure.bench import Comparison
    from zoo.measure.remeasure import Again
    from zoo.records.entry import Entry, Headline
    from zoo.records.measures import Measurement
    from zoo.students.golden import Verdict

Row = tuple[str, ...]
STUDENTS = ("NAME", "ACCURACY", "DATA", "SIZE", "MS", "SUMMARY")
KEPT = ("NAME", "REVISION", "STATE", "BYTES", "OF", "REGISTRY")
TRIED = ("CLASS", "RIGHT", "OF", "SHARE")
LEAST = 20  # classes that a trial shows, those that are least often right
VERDICTS = ("CHECK", "FOUND", "WANTED", "VERDICT")
MEASURED = (
    *("FILE", "INPUT", "BATCH", "THREADS", "P50 MS", "P95 MS", "N"),
    *("OVER FP32", "CONTROL", "DEVICE"),
)
BESIDE = ("FILE", "INPUT", "P50 MS", "CARD", "NOW/CARD", "OVER FP32", "CARD", "NOTE")


def columns(rows: Iterable[Row], head: Row = ()) -> str:
    """Aligned text, a line a row; the last column is left ragged.

    Cells may hold a stranger's text, or an address with a secret.
    """
    lines = [tuple(shown(masked(cell)) for cell in row) for row in (head, *rows) if row]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(row, widths) for row in lines)


def _line(row: Row, widths: Sequence[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
    return "  ".join(cells).rstrip()


def file_size(entry: Entry) -> int:
    """Bytes of the file that is used: 8 bits where there is one."""
    from zoo.records.names import FILES

    fp32 = entry.files.get(FILES["fp32"])
    return entry.headline.int8_size_bytes or (fp32.size if fp32 else entry.size_bytes)


def students(rows: Sequence[tuple[str, Entry]], with_origin: bool = False) -> str:
    """What `zoo list` prints of (origin, row); the origin's column only where there are several."""
    if not with_origin:
        return columns((student(entry) for _, entry in rows), STUDENTS)
    lines = ((*student(entry)[:-1], origin, entry.summary) for origin, entry in rows)
    return columns(lines, (*STUDENTS[:-1], "ORIGIN", STUDENTS[-1]))


def student(entry: Entry) -> Row:
    """A line of `zoo list`."""
    facts = entry.headline
    size = f"{file_size(entry) / 1000:.0f} kB"
    return (entry.name, _score(facts), facts.accuracy_dataset, size, _latency(entry), entry.summary)


def _score(facts: Headline) -> str:
    """With its unit; what is no accuracy is named."""
    shown = f"{facts.scale.shown(facts.accuracy)} {facts.scale.unit}".rstrip()
    return shown if facts.metric == "accuracy" else f"{shown} {facts.metric}"


def _latency(entry: Entry) -> str:
    milliseconds = entry.headline.int8_latency_ms
    return f"{milliseconds:.3g}" if milliseconds else "-"


def info(origin: str, entry: Entry) -> Iterator[Row]:
    """The lines of `zoo info`."""
    facts, hub = entry.headline, f"{entry.endpoint}/" if entry.endpoint else ""
    yield "name", entry.name
    yield "summary", entry.summary
    yield "task", entry.task
    yield "licence", entry.licence
    yield "registry", origin
    yield "repository", f"{hub}{entry.repo}@{entry.revision}"
    yield (
        facts.metric if facts.metric == "accuracy" else "score",
        f"{_score(facts)} on {facts.accuracy_dataset}",
    )
    yield "p50, ms", _latency(entry)
    for file, ref in entry.files.items():
        yield file, f"{ref.size} bytes, sha256 {ref.sha256}"


def kept(one: Kept) -> Row:
    """A line of `zoo cache list`."""
    listed = "listed" if one.listed else "not listed"
    sizes = str(one.size_bytes), str(one.total_bytes)
    return (one.name, one.revision[:12], one.state, *sizes, listed)


def measured(row: Measurement) -> Row:
    """A line of `zoo bench`."""
    return (
        row.precision,
        _input(row),
        str(row.batch),
        str(row.threads),
        f"{row.p50_ms:.3g}",
        f"{row.p95_ms:.3g}",
        str(row.n),
        ratio(row.ratio_to_fp32, row.ratio_low, row.ratio_high),
        ratio(row.control_ratio, row.control_low, row.control_high),
        f"{row.device_name}, {row.runtime} {row.runtime_version}",
    )


def _input(row: Measurement) -> str:
    """What one input of a call is."""
    if row.text_length is not None:
        return f"{row.text_length} letters"
    return f"{row.image_size} px"


def beside(one: Comparison) -> Row:
    """A line of `zoo bench --compare`."""
    return (
        one.row.precision,
        _input(one.row),
        f"{one.row.p50_ms:.3g}",
        "-" if one.card_p50_ms is None else f"{one.card_p50_ms:.3g}",
        ratio(one.p50_ratio),
        ratio(one.row.ratio_to_fp32, one.row.ratio_low, one.row.ratio_high),
        ratio(one.card_ratio_to_fp32),
        one.note,
    )


def ratio(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A ratio with its interval where it has one."""
    if value is None:
        return "-"
    interval = "" if low is None or high is None else f" ({low:.3f}-{high:.3f})"
    return f"{value:.3f}{interval}"


def verdicts(golden: Mapping[str, Verdict], scores: Mapping[str, Again]) -> Iterator[Row]:
    """The lines of `zoo verify`."""
    yield "sha256 of every file", "equal", "equal", "ok"
    for precision, one in golden.items():
        found, wanted = f"{one.max_difference:.2g} off", f"at most {one.tolerance:.2g}"
        yield f"golden outputs, {precision}", found, wanted, word(one.ok)
    if scores:
        same = all(again.same_data for again in scores.values())
        yield "test data", "the card's" if same else "others", "the card's", word(same)
    for precision, again in scores.items():
        card, now = again.card, again.now
        wanted = f"{card.value:.4f} ({card.low:.4f}-{card.high:.4f}), n {card.n}"
        yield f"{card.name}, {precision}", f"{now.value:.4f}, n {now.n}", wanted, word(again.ok)


def verified(
    name: str, golden: Mapping[str, Verdict], scores: Mapping[str, Again]
) -> dict[str, Any]:
    """What `zoo verify --json` prints; accuracy only where it was measured."""
    found = {"name": name, "sha256_ok": True, "golden": golden}  # else the pull had failed
    if not scores:
        return found
    return found | {
        "same_data": all(again.same_data for again in scores.values()),
        "accuracy": scores,
        "accuracy_ok": {precision: again.ok for precision, again in scores.items()},
    }


def word(ok: bool) -> str:
    return "ok" if ok else "DIFFERENT"


def tried(trial: Trial) -> Iterator[Row]:
    """The lines of `zoo teacher`: the classes that it knows least, and all together."""
    worst = sorted(trial.classes, key=lambda one: one.right / (one.n or 1))
    for one in worst[:LEAST]:
        share = f"{one.right / one.n:.1%}" if one.n else "-"
        yield one.name, str(one.right), str(one.n), share
    right = str(sum(one.right for one in trial.classes))
    yield f"all {len(worst)}", right, str(trial.n), f"{trial.accuracy:.1%}"
    yield "mean confidence", "", "", f"{trial.confidence:.1%}"
    yield "gives", "", "", trial.gives


def facts(found: Mapping[str, Any], prefix: str = "") -> Iterator[Row]:
    """Nested facts, each as (dotted name, text)."""
    for key, value in found.items():
        if isinstance(value, dict):
            yield from facts(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield prefix + key, ", ".join(map(str, value)) or "none"
        else:
            yield prefix + key, "not installed" if value is None else str(value)
