"""A table of pictures: CSV, TSV or JSON lines with a column of paths and one of labels.

- Columns go by their usual names (PATHS, LABELS, SPLIT), in any case; others are not looked at.
- A path is relative to the folder of the table and leads nowhere out of it, not by a link either.
- A split is named as a folder would be (`tree.SPLITS`); without that column a fifth of each class
  becomes test, and `val` alone beside train is the test split.
- CSV and TSV have a head and quotes as spreadsheets write them; the text is UTF-8.

Whatever is wrong with a row is an error with its line, counted from 1.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from distill.data import tree
from distill.data.folder import content_of
from distill.data.record import Example, Listing, Picture, Split
from distill.data.split import with_splits
from distill.errors import DistillError

PATHS = ("path", "file", "file_name", "filename", "image", "image_path")
LABELS = ("label", "class", "category")
SPLIT = ("split",)
DELIMITERS = {".csv": ",", ".tsv": "\t"}


class Row(NamedTuple):
    """A line of the table."""

    line: int  # on which it ends, counted from 1
    cells: Mapping[str, Any]  # by column


class Table:
    """Paths and labels are read by `listing`, a picture when it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = str(path)

    def listing(self) -> Listing:
        """Every row; no picture is opened."""
        return self._listing(labelled=True)

    def pictures(self) -> Listing:
        """Every row, as if none had a label; the column may be missing."""
        return self._listing(labelled=False)

    def read(self, wanted: Sequence[Example]) -> Iterator[Picture]:
        """The files of `wanted`, in their order."""
        folder = self.path.parent.resolve()
        for place, example in enumerate(wanted):
            line, _, name = str(example.key).partition(":")
            content = _inside(self.path.parent / name, folder)
            yield Picture(place, f"{self.where}:{line}: {name}", content)

    def _listing(self, labelled: bool) -> Listing:
        rows = list(_rows(self.path))
        if not rows:
            raise DistillError(f"{self.where} has no rows", "a row a picture is needed")
        names = list(dict.fromkeys(name for row in rows for name in row.cells))
        path = self._column(names, PATHS)
        label = self._column(names, LABELS) if labelled else None
        split = self._column(names, SPLIT) if self._like(names, SPLIT) else None
        examples = [self._example(row, path, label, split) for row in rows]
        self._check_unique(examples)
        return with_splits(examples, "" if split else "no column split")

    @staticmethod
    def _like(names: Sequence[str], kind: Sequence[str]) -> list[str]:
        return [name for name in names if name.strip().casefold() in kind]

    def _column(self, names: Sequence[str], kind: Sequence[str]) -> str:
        found = self._like(names, kind)
        if len(found) == 1:
            return found[0]
        raise DistillError(
            f"{self.where}: which column is the {kind[0]}? Columns: {', '.join(names)}",
            f"name one of them {' or '.join(kind)}",
        )

    def _example(self, row: Row, path: str, label: str | None, split: str | None) -> Example:
        name = self._text(row, path)
        if tree.leads_out(name):
            raise self._wrong(row, f"{name!r} points out of the folder of the table")
        given = "" if label is None else self._text(row, label).strip()
        role: Split = "train" if split is None else self._split(row, self._text(row, split))
        return Example(role, given, name, f"{row.line}:{name}")

    def _text(self, row: Row, column: str) -> str:
        """A cell that is not blank; a whole number of JSON is written out."""
        value = row.cells.get(column)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not value.strip():
            raise self._wrong(row, f"{column} is {'empty' if value in ('', None) else repr(value)}")
        if value != value.encode(errors="replace").decode():
            raise self._wrong(row, f"{column} {value!r} is no text")
        return value

    def _split(self, row: Row, name: str) -> Split:
        if name.strip().casefold() not in tree.SPLITS:
            raise self._wrong(row, f"no split is called {name!r}: {', '.join(tree.SPLITS)}")
        return tree.SPLITS[name.strip().casefold()]

    def _wrong(self, row: Row, what: str) -> DistillError:
        return DistillError(
            f"{self.where}:{row.line}: {what}", "every row needs a path and a label"
        )

    def _check_unique(self, examples: Sequence[Example]) -> None:
        lines: dict[str, str] = {}
        for example in examples:
            line = str(example.key).partition(":")[0]
            if example.name in lines:
                first = lines[example.name]
                raise DistillError(
                    f"{self.where}:{line}: {example.name} stands in line {first} already",
                    "a picture has one row: remove the other",
                )
            lines[example.name] = line


def _inside(path: Path, folder: Path) -> bytes | DistillError:
    """What stands in a file, or why it is not read; not what lies outside of `folder`."""
    try:
        if not path.resolve().is_relative_to(folder):
            return DistillError("it is a link that leads out of the folder of the table")
    except (OSError, RuntimeError) as error:  # too long a name, a link to itself
        return DistillError(f"cannot be read: {error}")
    return content_of(path)


def _rows(path: Path) -> Iterator[Row]:
    """Every row of the table; a `DistillError` with the line where it is none."""
    content = content_of(path)
    if isinstance(content, DistillError):
        raise DistillError(f"{path}: {content}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DistillError(f"{path}:{line}: it is not UTF-8 text", "save it as UTF-8") from None
    delimiter = DELIMITERS.get(path.suffix.lower())
    yield from _json_rows(text, path) if delimiter is None else _cells(text, delimiter, path)


def _json_rows(text: str, path: Path) -> Iterator[Row]:
    for line, one in enumerate(text.split("\n"), 1):
        if not one.strip():
            continue
        try:
            cells = json.loads(one)
        except (ValueError, RecursionError) as error:
            raise DistillError(f"{path}:{line}: it is not JSON: {error}") from None
        if not isinstance(cells, dict):
            raise DistillError(f"{path}:{line}: it is not a JSON object", "write one a line")
        yield Row(line, cells)


def _cells(text: str, delimiter: str, path: Path) -> Iterator[Row]:
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    head: list[str] = []
    try:
        for cells in reader:
            if not cells:
                continue
            if not head:
                head = _head(cells, f"{path}:{reader.line_num}")
            elif len(cells) != len(head):
                raise DistillError(
                    f"{path}:{reader.line_num}: {len(cells)} cells under a head of {len(head)}",
                    "a cell with a separator in it stands in double quotes",
                )
            else:
                yield Row(reader.line_num, dict(zip(head, cells, strict=True)))
    except csv.Error as error:
        raise DistillError(f"{path}:{reader.line_num}: {error}") from error


def _head(cells: list[str], where: str) -> list[str]:
    twice = sorted({cell for cell in cells if cells.count(cell) > 1})
    if twice:
        raise DistillError(f"{where}: the column {twice[0]!r} is there twice")
    return cells
