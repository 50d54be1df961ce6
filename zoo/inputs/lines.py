"""Texts a line each, from files and standard input, read as they arrive.

Memory is bounded but for the longest line, which is held whole.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from zoo.errors import InputError, NotFound
from zoo.inputs.asked import Asked
from zoo.records.reader import near

Texts = Iterator[list[str]]  # some at a time, as they arrive
STDIN = "-"  # the file name that means standard input
BLOCK_BYTES = 1 << 18  # read at once, at most
BATCH = 4096  # texts answered at once, unless fewer are asked for


def texts(given: Sequence[str], files: Sequence[Path]) -> Iterator[list[str]]:
    """The texts that are given and then the lines of the files, some at a time.

    The lines of standard input where there are neither.
    """
    if given:
        yield list(given)
    for path in files or ([] if given else [Path(STDIN)]):
        yield from _lines_of(path)


def parts(asked: Asked, labels: Sequence[str]) -> Iterator[tuple[str | None, Texts]]:
    """All texts of a call, and the label of those in a folder of LABEL.txt; None: not known."""
    if asked.texts or not asked.files:
        yield None, texts(asked.texts, [])
    for path in asked.files:
        if str(path) != STDIN and path.is_dir():
            for label, file in by_label(path, labels).items():
                yield label, texts([], [file])
        else:
            yield None, texts([], [path])


def by_label(folder: Path, labels: Sequence[str]) -> dict[str, Path]:
    """Label -> the file LABEL.txt in a folder; each of them must be called like a label."""
    from distill.names import ignored

    if not folder.is_dir():
        raise InputError(f"{folder}: no folder of texts", _BY_LABEL)
    there = [path for path in sorted(folder.iterdir()) if not ignored(path.name)]
    files = {path.name[: -len(SUFFIX)]: path for path in there if path.name.endswith(SUFFIX)}
    if not files:
        raise InputError(f"{folder}: no {SUFFIX} files in it", _BY_LABEL)
    if other := [name for name in files if name not in labels]:
        what = f"{folder}: the student has no label {', '.join(other[:3])}"
        raise InputError(what, near(other[0], labels) or _BY_LABEL)
    return files


SUFFIX = ".txt"
_BY_LABEL = "labelled texts are files LABEL.txt in one folder, a text a line"


def _lines_of(path: Path) -> Iterator[list[str]]:
    if str(path) == STDIN:
        yield from lines(sys.stdin.buffer, "standard input")
        return
    from distill.files import open_plain
    from distill.names import is_picture

    if is_picture(path.name):
        hint = "give text files, a text a line, or --text"
        raise InputError(f"{path}: a picture, and this student classifies texts", hint)
    try:
        with open_plain(path, 0) as stream:
            yield from lines(stream, str(path))
    except FileNotFoundError:
        hint = 'a text itself is given by --text "..."'
        raise NotFound(f"{path}: no such file", hint) from None
    except OSError as problem:
        raise InputError(f"{path}: cannot be read: {problem.strerror}") from None


def lines(stream: BinaryIO, name: str) -> Iterator[list[str]]:
    """The lines of UTF-8 without their ends, whenever some have arrived; empty lines are kept.

    A line ends with LF or CRLF; a byte order mark at the start is left out. Bytes that are not
    UTF-8 are an error that names the line, after the lines before it.
    """
    from distill.foreign import foreign

    done = 0
    for block in _whole_lines(stream):
        other = None if done else foreign(block)
        if other:
            raise InputError(f"{name}, line 1: {other.what}", other.hint)
        found, problem = _decoded(block)
        if found and not done:
            found[0] = found[0].removeprefix("\ufeff")
        if found:
            yield found
        done += len(found)
        if problem:
            raise InputError(
                f"{name}, line {done + 1}: not UTF-8, {problem}",
                "convert it first, as by: iconv -f windows-1252 -t utf-8",
            )


def _whole_lines(stream: BinaryIO) -> Iterator[bytes]:
    """The bytes of one line or more, without the last LF."""
    read = getattr(stream, "read1", stream.read)  # what is there, without waiting for a full block
    rest: list[bytes] = []
    while block := read(BLOCK_BYTES):
        head, end, tail = block.rpartition(b"\n")
        if end:
            yield b"".join([*rest, head])
            rest = [tail] if tail else []
        else:
            rest.append(block)
    if rest:
        yield b"".join(rest)


def _decoded(block: bytes) -> tuple[list[str], str]:
    """Lines of whole lines of bytes; up to the first that is not UTF-8, and what is wrong there."""
    problem = ""
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError as error:
        start = block.rfind(b"\n", 0, error.start)
        place = error.start - start
        problem = f"{error.reason} (byte 0x{block[error.start]:02x} at place {place})"
        if start < 0:
            return [], problem
        text = block[:start].decode("utf-8")
    return [line.removesuffix("\r") for line in text.split("\n")], problem
