"""What `zoo compress` tells: the report as rows of text, and as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from zoo.records import plain

if TYPE_CHECKING:
    from compress.foreign import Attempted, Report
    from zoo.foreign.squeeze import Done

ATTEMPTS = ("ATTEMPT", "VERDICT", "SIZE", "OVER FLOAT", "CONTROL", "AGREEMENT", "DROP")
NONE = "-"


def as_data(done: Done) -> dict[str, Any]:
    """Everything, for JSON."""
    report = done.report
    found = plain.to_dict(report)
    found |= {"source": str(report.source), "path": str(report.path) if report.path else None}
    winner = report.winner
    return {
        "passed": winner is not None,
        "gate": gate(report),
        "data": done.data,
        "preprocessing": done.prepared,
        "threads": done.threads,
        "refused": report.refused,
        **found,
        "float_layers": winner.settings.get("float_nodes", []) if winner else [],
    }


def gate(report: Report) -> str:
    """What quality was judged by, in words."""
    tried = next((t for t in report.attempts if t.agreement), None)
    if tried is None or tried.agreement is None:
        return "none: no attempt could be measured"
    what = {
        "top-1": "agreement of first answers with the float file",
        "cosine": "cosine to the float file's outputs",
        "closeness": "how near the float file's numbers are, as a share of their range",
    }[tried.agreement.kind]
    return f"accuracy, and {what}" if tried.accuracy else f"{what}; there are no labels"


def attempt(tried: Attempted) -> tuple[str, ...]:
    """A row of the table."""
    speed, same, right = tried.speed, tried.agreement, tried.accuracy
    return (
        tried.name,
        tried.verdict,
        size(tried.size_bytes) if tried.size_bytes else NONE,
        f"{speed.ratio:.3f} ({speed.low:.3f} to {speed.high:.3f})" if speed else NONE,
        f"{speed.control:.3f} ({speed.control_low:.3f} to {speed.control_high:.3f})"
        if speed
        else NONE,
        f"{same.value:.4f} ({same.low:.4f} to {same.high:.4f})" if same else NONE,
        f"{right.drop_points:.2f} ({right.drop_low:.2f} to {right.drop_high:.2f})"
        if right
        else NONE,
    )


def facts(done: Done) -> Iterator[tuple[str, str]]:
    """The lines under the table."""
    report, winner = done.report, done.report.winner
    for tried in report.attempts:
        if tried.reason:
            yield tried.name, tried.reason
    yield "data", done.data
    if done.prepared:
        yield "pictures", f"prepared as {done.prepared} says"
    yield "calibrated on", str(report.calibrated_on)
    yield "judged on", f"{report.judged_on} others, by {gate(report)}"
    yield "threads", str(done.threads)
    for note in report.notes:
        yield "note", note
    for name, why in report.left_out.items():
        yield "left out", f"{name}: {why}"
    if winner is None:
        return
    yield "bytes", f"{size(report.size_bytes)} -> {size(winner.size_bytes or 0)}"
    if winner.speed:
        yield "p50, ms", f"{winner.speed.before_ms:.4g} -> {winner.speed.after_ms:.4g}"
    if winner.accuracy:
        accuracy = winner.accuracy
        yield "accuracy", f"{accuracy.before:.2%} -> {accuracy.after:.2%} of {accuracy.n}"
    layers = winner.settings.get("float_nodes", [])
    yield "in float", ", ".join(layers) if layers else "none"


def size(count: int) -> str:
    """Bytes for people."""
    return f"{count / 1000:.0f} kB" if count < 10_000_000 else f"{count / 1e6:.1f} MB"
