"""A commit as the Hub's client sends it: JSON lines, in which the bytes of files stand as base64.

A line may hold a file of many megabytes, so lines are never gathered whole: the text of every
`"content"` is cut out as it comes, and what is left of the line, its skeleton, is short.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from zoo.errors import InputError
from zoo.records.text import parse_json

MAX_LINE_BYTES = 1 << 20  # of one line without the content of its file
MAX_VALUES = 100_000  # of one JSON text
_OUTSIDE = re.compile(rb'["\n]')
_IN_STRING = re.compile(rb'["\\\n]')
_CONTENT_KEY = re.compile(rb'"content"[ \t\r]*:[ \t\r]*"$')


@dataclass(frozen=True)
class Content:
    """A piece of the base64 text of the line's file, in order; an empty content has none."""

    text: bytes


@dataclass(frozen=True)
class Line:
    """A line's skeleton: its JSON, in which a content is an empty string."""

    text: bytes
    contents: int  # how many were cut out of it


_State = Callable[[bytes, int], tuple[int, Content | Line | None]]


class Splitter:
    """Bytes in, pieces of content and lines out; holds `MAX_LINE_BYTES` at most.

    InputError where a line without its content is longer.
    """

    def __init__(self) -> None:
        self._text = bytearray()
        self._contents = 0
        self._state: _State = self._outside

    def feed(self, chunk: bytes) -> Iterator[Content | Line]:
        """What the next bytes complete."""
        at = 0
        while at < len(chunk):
            at, found = self._state(chunk, at)
            if found is not None:
                yield found
            if len(self._text) > MAX_LINE_BYTES:
                raise InputError(f"a line of the commit is longer than {MAX_LINE_BYTES} bytes")

    def finish(self) -> Iterator[Line]:
        """The last line, which needs no line feed."""
        if self._text.strip():
            yield self._line()

    def _outside(self, chunk: bytes, at: int) -> tuple[int, Line | None]:
        end = self._take(_OUTSIDE, chunk, at)
        if end is None:
            return len(chunk), None
        if chunk[end] == ord("\n"):
            return end + 1, self._line()
        self._text += b'"'
        is_content = _CONTENT_KEY.search(self._text, max(0, len(self._text) - 64))
        self._state = self._content if is_content else self._string
        self._contents += bool(is_content)
        return end + 1, None

    def _string(self, chunk: bytes, at: int) -> tuple[int, Line | None]:
        end = self._take(_IN_STRING, chunk, at)
        if end is None:
            return len(chunk), None
        if chunk[end] == ord("\n"):  # no JSON: whoever reads the line finds it
            return end + 1, self._line()
        self._text.append(chunk[end])
        self._state = self._outside if chunk[end] == ord('"') else self._escaped
        return end + 1, None

    def _escaped(self, chunk: bytes, at: int) -> tuple[int, None]:
        self._text.append(chunk[at])
        self._state = self._string
        return at + 1, None

    def _content(self, chunk: bytes, at: int) -> tuple[int, Content | None]:
        end = chunk.find(b'"', at)
        if end < 0:
            return len(chunk), Content(chunk[at:])
        self._text += b'"'
        self._state = self._outside
        return end + 1, Content(chunk[at:end]) if end > at else None

    def _take(self, stop: re.Pattern[bytes], chunk: bytes, at: int) -> int | None:
        """Keep the bytes before `stop`, and say where it is."""
        found = stop.search(chunk, at)
        end = found.start() if found else len(chunk)
        self._text += chunk[at:end]
        return end if found else None

    def _line(self) -> Line:
        line = Line(bytes(self._text), self._contents)
        self._text.clear()
        self._contents = 0
        self._state = self._outside
        return line


class Base64:
    """base64 text in pieces of any length, bytes out; InputError where it is none."""

    def __init__(self) -> None:
        self._rest = b""
        self._padded = False

    def feed(self, text: bytes) -> bytes:
        """The bytes that are whole by now."""
        data = self._rest + text
        whole = len(data) // 4 * 4
        self._rest = data[whole:]
        if self._padded and data:
            raise InputError("a file's content goes on behind the end of its base64")
        self._padded = data[:whole].endswith(b"=")
        try:
            return binascii.a2b_base64(data[:whole], strict_mode=True)
        except binascii.Error as error:
            raise InputError(f"a file's content is no base64: {error}") from error

    def finish(self) -> None:
        """Nothing may be left over."""
        if self._rest:
            raise InputError("a file's content is no base64: it is cut short")


def parse(text: bytes | str) -> Any:
    """One JSON value; InputError where it is none, too deep, too much, or has half a character."""
    try:
        said = text if isinstance(text, str) else text.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError("not JSON: not UTF-8 text") from None
    value = parse_json(said, "what was sent", InputError, max_values=MAX_VALUES).data
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate pair fails
    except UnicodeEncodeError:
        raise InputError("not JSON: half a character, which no text can hold") from None
    return value
