"""Other tools beside a student of texts, as tables. Pure text, no I/O."""

from __future__ import annotations

from itertools import groupby

from zoo.card.markdown import capital, duration, number, paragraphs, percent, ratio, size, table
from zoo.records.card import Card
from zoo.records.peers import Peer


def section(card: Card, kinds: str) -> str:
    """Other tools on the same test, a table for each run."""
    if not card.peers:
        return ""
    notes = (
        f"All: the mean over all {len(card.labels)} {kinds} of this card, where one that a tool "
        "does not know counts as wrong, for so it is to whoever has such a text. Own: the mean "
        f"over the {kinds} that the tool knows; the texts of the others are left out, so each "
        "tool is asked something else, and the fewer it knows the easier that is. A tool may know "
        f"{kinds} beyond these and chooses among all of them: in both columns that is to its "
        "disadvantage. Time is processor time, with one thread asked for; a tool that takes one "
        "text at a time only was timed so."
    )
    return paragraphs("## Beside other tools", tables(card, kinds), notes)


def tables(card: Card, kinds: str) -> str:
    """The tables alone, each under a line that tells its run."""
    runs = groupby(sorted(card.peers, key=_run), key=_run)
    return paragraphs(
        *(part for run, rows in runs for part in _peer_table(card, kinds, run, list(rows)))
    )


def _run(peer: Peer) -> tuple[str, int, str]:
    """Peers of one table were measured on the same of these."""
    return (peer.dataset, peer.n, peer.date)


def _peer_table(card: Card, kinds: str, run: tuple[str, int, str], rows: list[Peer]) -> list[str]:
    dataset, n, date = run
    head = ("Tool", "Licence", capital(kinds), "All, %", "Own, %", "Time a text", "Texts")
    lead = f"Measured in one run by `docs/compare_langid.py` on {dataset}, {n:,} texts, {date}:"
    best_first = sorted(rows, key=lambda peer: -peer.accuracy)
    found = table((*head, "Size"), [_peer_row(card, peer) for peer in best_first])
    return [lead, found, *_speed_table(card, best_first)]


def _tool(card: Card, peer: Peer) -> str:
    tool = f"{peer.name} {peer.version}".strip()
    return f"**{tool}**" if card.name in peer.name else tool


def _speed_table(card: Card, rows: list[Peer]) -> list[str]:
    """Ratios to CLD3 and memory, where the run told them."""
    cells = [
        (
            *(ratio(*(r or (None,) * 3)) for r in (p.word_ratio, p.sentence_ratio, p.batch_ratio)),
            number(p.peak_memory_mb, ".0f"),
        )
        for p in rows
    ]
    told = [(_tool(card, peer), *row) for peer, row in zip(rows, cells, strict=True)]
    if not any(set(row) - {"-"} for row in cells):
        return []
    head = ("Tool", "A word", "A sentence", "Many sentences at once", "Peak memory, MB")
    lead = (
        "Speed in that run: processor time a text as a ratio to that of CLD3, which takes one text "
        "at a time (95 % interval; below 1 is faster). Peak memory: of a fresh process that opens "
        "the tool and answers once."
    )
    return [lead, table(head, told)]


def _peer_row(card: Card, peer: Peer) -> tuple[str, ...]:
    spent = peer.microseconds
    return (
        _tool(card, peer),
        peer.licence,
        str(peer.classes),
        percent(peer.accuracy),
        percent(peer.own_accuracy),
        "-" if spent is None else duration(spent / 1000),
        "many at once" if peer.batched else "one by one",
        "-" if peer.size_bytes is None else size(peer.size_bytes),
    )
