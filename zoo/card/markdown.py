"""Pieces of markdown that a card's page is made of: tables, and numbers as people read them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table."""
    lines = [head, ["---"] * len(head), *([_cell(c) for c in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())


def paragraphs(*parts: str) -> str:
    """The parts that are not empty, a blank line between them."""
    return "\n\n".join(part for part in parts if part)


def between(page: str, name: str, block: str) -> str:
    """`page` with `block` between its marks "NAME: generated" and "NAME: end"."""
    marks = re.compile(rf"(?<=<!-- {name}: generated -->\n).*?(?=<!-- {name}: end -->)", re.S)
    ended = f"{block.rstrip()}\n" if block else ""
    return marks.sub(lambda _: ended, page)


def capital(text: str) -> str:
    """`text` with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def percent(fraction: float | None) -> str:
    """A fraction in percent, without the sign."""
    return number(None if fraction is None else 100 * fraction, ".2f")


def number(value: float | None, form: str) -> str:
    """`value` in the format `form`; "-" where there is none."""
    return "-" if value is None else format(value, form)


def millions(count: int) -> str:
    """How many millions, three digits, without the unit."""
    return f"{count / 1e6:.3g}" if count < 1e9 else f"{count / 1e6:.0f}"


def ms(milliseconds: float) -> str:
    """Milliseconds without the unit, three digits."""
    return f"{milliseconds:.3g}" if milliseconds < 100 else f"{milliseconds:.0f}"


def duration(milliseconds: float) -> str:
    """Milliseconds with the unit; below one of them in microseconds."""
    if milliseconds < 1:
        return f"{ms(1000 * milliseconds)} µs"
    return f"{ms(milliseconds)} ms"


def size(size_bytes: int) -> str:
    """Bytes in MB or kB of powers of ten."""
    return f"{size_bytes / 1e6:.2f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.1f} kB"


def ratio(value: float | None, low: float | None, high: float | None) -> str:
    """A ratio with its interval where it has one."""
    if value is None:
        return "-"
    interval = "" if low is None or high is None else f" ({low:.3f} to {high:.3f})"
    return f"{value:.3f}{interval}"
