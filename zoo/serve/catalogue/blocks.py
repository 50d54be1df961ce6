"""The markdown that cards are written in, as blocks that templates can show. Pure, no I/O.

Only what `zoo.card.page` writes is known: headings, paragraphs, tables, fenced code and pictures;
in a line code, bold and web addresses. Nothing here makes HTML: templates do, and escape it all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

_SPAN = re.compile(r"`(?P<code>[^`]+)`|\*\*(?P<bold>[^*]+)\*\*|(?P<link>https?://[^\s,;|<>\"'`]+)")
_PICTURE = re.compile(r"!\[(?P<text>[^\]]*)\]\((?P<name>[^)\s]+)\)")
_HEADING = re.compile(r"(#{2,4}) (.+)")
_NUMBER = re.compile(r"[-−]?[\d,.]+( (kB|MB|ms|µs|%))?( \([\d.]+ to [\d.]+\))?|[\d.]+ to [\d.]+|-|")


@dataclass(frozen=True)
class Span:
    """A piece of a line."""

    kind: str  # "text", "code", "bold", "link"
    text: str


Line = tuple[Span, ...]


@dataclass(frozen=True)
class Heading:
    """A heading below the page's own."""

    level: int  # 2 to 4
    text: str
    kind: str = "heading"

    @property
    def anchor(self) -> str:
        """What an address names it by."""
        return re.sub(r"[^a-z0-9]+", "-", self.text.lower()).strip("-")


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    spans: Line
    kind: str = "paragraph"


@dataclass(frozen=True)
class Code:
    """Lines to be copied."""

    text: str
    language: str
    kind: str = "code"


@dataclass(frozen=True)
class Picture:
    """A picture that stands in the student's folder."""

    text: str  # for those who do not see it
    name: str  # of its file
    kind: str = "picture"


@dataclass(frozen=True)
class Table:
    """A table; every row has as many cells as the head."""

    head: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    kind: str = "table"

    @property
    def keyed(self) -> bool:
        """Whether a row's first cell says what the row is about."""
        return self.head.count(self.head[0]) == 1

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Which columns hold nothing but numbers."""
        columns = zip(*self.rows, strict=True)
        return tuple(all(_NUMBER.fullmatch(plain(c)) for c in column) for column in columns)


Block = Heading | Paragraph | Code | Picture | Table


def plain(line: Line) -> str:
    """The text of a line without its marks."""
    return "".join(span.text for span in line)


def spans(text: str) -> Line:
    """A line cut into its pieces; what is not closed is text."""
    found: list[Span] = []
    end = 0
    for match in _SPAN.finditer(text):
        found += [Span("text", text[end : match.start()])] if match.start() > end else []
        found.append(Span(match.lastgroup or "text", match[match.lastgroup or 0]))
        end = match.end()
    return (*found, Span("text", text[end:])) if end < len(text) else tuple(found)


def parse(markdown: str) -> list[Block]:
    """The blocks of a text that `zoo.card.page` has written, in their order."""
    return list(_blocks(markdown.splitlines()))


def _blocks(lines: list[str]) -> Iterator[Block]:
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("```"):
            code = list(takewhile(lambda text: text != "```", lines[at + 1 :]))
            yield Code("\n".join(code), line[3:].strip())
            at += len(code) + 2
            continue
        part = list(takewhile(lambda text: text.strip() and text[:3] != "```", lines[at:]))
        if part:
            yield from _block(part)
        at += max(1, len(part))


def _block(lines: list[str]) -> Iterator[Block]:
    """The block that lines without a blank one between them are."""
    heading, picture = _HEADING.fullmatch(lines[0]), _PICTURE.fullmatch(lines[0])
    if len(lines) == 1 and heading:
        yield Heading(len(heading[1]), heading[2])
    elif len(lines) == 1 and picture:
        yield Picture(picture["text"], picture["name"])
    elif len(lines) > 1 and re.fullmatch(r"[| -]+", lines[1]) and lines[0].startswith("|"):
        yield _table(lines)
    else:
        yield Paragraph(spans(" ".join(lines)))


def _table(lines: list[str]) -> Table:
    head = tuple(_cells(lines[0]))
    rows = [_cells(line) for line in lines[2:]]
    filled = [tuple(map(spans, [*row, *[""] * len(head)][: len(head)])) for row in rows]
    return Table(head, tuple(filled))


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [cell.replace(r"\|", "|").strip() for cell in re.split(r"(?<!\\)\|", inner)]
