"""Whether licences let a student be published. Pure, no I/O.

A student learned from its teacher's answers and from data, and its licence must keep what theirs
ask for. Whether the law sees weights as an adaptation is open; here the cautious reading holds, and
what is refused can be published where its owner allows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from zoo.records.card import Card

_SILENT = ("", "-", "none", "n a", "other", "unknown", "unspecified", "unstated")
_CLOSED = re.compile(
    r"\b(proprietary|confidential|unlicensed|all rights reserved|internal( use)? only)\b"
    r"|\b(not|no) (to be )?(re)?distribut\w*"
)
_NO_DERIVATIVES = re.compile(r"\bnd\b|\bno ?deriv\w*")
_KEPT = {  # what a student's licence must say where its source's says it
    "NonCommercial": re.compile(r"\bnc\b|\bnon ?commercial|\b(research|academic)( use)? only\b"),
    "ShareAlike": re.compile(r"\bsa\b|\bshare ?alike\b"),
    "GPL": re.compile(r"\ba?gpl"),
}


def refusals(card: Card) -> list[str]:
    """Why the licences of `card` forbid that it is published, a line each; empty: they allow it."""
    found = [f"its own licence {reason}" for reason in _closed(card.licence)]
    for what, licence in _sources(card):
        reasons = [*_closed(licence), *_taking(licence), *_lost(licence, card.licence)]
        found += [f"the licence of {what} {reason}" for reason in reasons]
    return found


def _sources(card: Card) -> Iterator[tuple[str, str]]:
    """What the student was made of, and its licence."""
    if card.teacher:
        yield f"the teacher {card.teacher.name}", card.teacher.licence
    yield f"the data {card.data.source}", card.data.licence
    if card.data.counts:
        yield f"the counts in {card.data.counts.file}", card.data.counts.licence


def _closed(licence: str) -> Iterator[str]:
    """Nobody is allowed anything, or nobody knows."""
    if _plain(licence) in _SILENT:
        yield f'is not known ("{licence}")'
    elif _CLOSED.search(_plain(licence)):
        yield f'forbids to pass it on ("{licence}")'


def _taking(licence: str) -> Iterator[str]:
    """Nothing may be made of it."""
    if _NO_DERIVATIVES.search(_plain(licence)):
        yield f'allows no derivatives ("{licence}")'


def _lost(licence: str, student: str) -> Iterator[str]:
    """What the student's licence promises beyond its source's."""
    for term, pattern in _KEPT.items():
        if pattern.search(_plain(licence)) and not pattern.search(_plain(student)):
            yield f'asks for {term} ("{licence}"), which {student} does not keep'


def _plain(licence: str) -> str:
    """Words of small letters and digits with one blank between them."""
    return re.sub(r"[^a-z0-9]+", " ", licence.lower()).strip()
