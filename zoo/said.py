"""What strangers wrote, made fit to be shown: on a terminal, in a table, an error or a log.

    shown(text)         no character that does something to a terminal, or that is not seen
    one_line(text)      that, on one line of bounded length: what an error says of others
    masked(text)        no secret of an address in it
    as_json(data)       JSON that holds the very text, and no such character
    as_csv(cells)       a line of CSV without such characters
    escaped(error)      for `codecs`: the same where an encoding lacks a character

A registry's summary, a file's name, a label, a server's answer: whoever prints one uses these.
They stand on nothing but the standard library.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable
from typing import Any

ERROR_LIMIT = 4000  # characters of one line of an error; a list of reasons may be long
JOINERS = "\u200c\u200d\ufe0f"  # signs without width that Persian, Hindi and emoji are written with

_BLANKS = "\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
# printable by its category, and yet not seen: fillers, joiners, variation selectors
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_NOT_ASCII = re.compile(r"[^ -~]")


def shown(text: object, limit: int | None = None, *, keep: str = "") -> str:
    """`text` with JSON's escape, such as \\u001b, for each character that is not plainly seen.

    These are control characters and ends of lines, marks that turn the direction of writing, signs
    without width, private and unknown ones, and what stands for bytes that are no UTF-8. Blanks of
    all widths stay, and what `keep` has. What was cleaned once is not changed again. At most
    `limit` characters; a cut ends in "...".
    """
    found = str(text)
    clean = _clean(found if limit is None else found[: limit + 1], keep)
    if limit is None or len(clean) <= limit:
        return clean
    return clean[: max(limit - 3, 0)] + "..."


def one_line(said: object, limit: int = 300) -> str:
    """What others say, fit for one line of an error: blanks for ends of lines, no secret.

    Of an exception without words, its kind.
    """
    text = " ".join(str(said).split())
    if not text and isinstance(said, BaseException):
        return type(said).__name__
    return shown(masked(text), limit)


def as_json(data: Any, indent: int | None = None) -> str:
    """JSON that means the very text, and does nothing to a terminal."""
    return shown(json.dumps(data, indent=indent, ensure_ascii=False), keep="\n")


def as_csv(cells: Iterable[object]) -> str:
    """One row (RFC 4180), without the end of its line; what is not plainly seen is escaped."""
    import csv

    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return shown(line.getvalue().removesuffix("\r\n"), keep="\n\t" + JOINERS)


def _clean(text: str, keep: str) -> str:
    as_blanks = dict.fromkeys(map(ord, keep + _BLANKS), " ")
    if text.translate(as_blanks).isprintable() and not _UNSEEN.search(text):
        return text
    return _NOT_ASCII.sub(lambda match: _seen(match[0], keep), text)


def _seen(character: str, keep: str) -> str:
    if character in keep or character in _BLANKS:
        return character
    if character.isprintable() and not _UNSEEN.match(character):
        return character
    return _escape(character)


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1]


def escaped(error: UnicodeError) -> tuple[str, int]:
    """What stands in the place of characters that an encoding lacks: within JSON, still JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(map(_escape, missing)), error.end


# --- addresses -----------------------------------------------------------------------------------

_STARS = "***"
_ADDRESS = re.compile(  # a password may have a blank or a bracket in it, where people paste it
    r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^\s/@:\[]+:(?![0-9]+[\s:,;)]|\*)\S[^/@\n]*@)?[^\s<>]+"
)
_PAIR = re.compile(r"(?<![^\s\"'(=,;])[^\s:/@\"'(=,;]+:[^\s/@]+@(?=[\w\[])")  # user:pw@host alone
_TOKEN = re.compile(r"(?<![A-Za-z0-9])(hf|zoo)_[A-Za-z0-9_-]{30,}")  # the Hub's, and `zoo token`'s
_BEARER = re.compile(r"\b(Bearer|Basic)(\s+)[A-Za-z0-9+/._~=-]{20,}")
_SERVER = re.compile(r"(\[[^\]@]*\]|[^:@\[\]]*)(:[0-9]*)?")  # host, and perhaps a port
_HARMLESS = re.compile(  # keys of a query that no secret goes by; all other values are masked
    "author|blobs|branch|cursor|download|expand|filter|format|full|limit|name|page|path|q|recursive"
    "|ref|repo|rev|revision|search|sort|tag|type|v|version"
)


def masked(text: object) -> str:
    """`text` with stars for what may be a secret in each address: user and password, the values of
    its query but for harmless ones, what follows a "#"; and for tokens that stand alone.
    """
    found = str(text)
    if "://" in found:
        found = _ADDRESS.sub(lambda match: _masked(match[0]), found)
    if "@" in found:
        found = _PAIR.sub(f"{_STARS}@", found)
    if "_" in found:
        found = _TOKEN.sub(rf"\1_{_STARS}", found)
    return _BEARER.sub(rf"\1\2{_STARS}", found)


def _masked(address: str) -> str:
    scheme, _, rest = address.partition("://")
    rest, end = _cut(rest)
    rest, hash_, fragment = _without_user(rest).partition("#")
    rest, question, query = rest.partition("?")
    rest = re.sub(r"(;[^=;/]+=)[^;/]+", rf"\1{_STARS}", rest)
    query = re.sub(r"[^&;]+", lambda match: _pair(match[0]), query)
    return f"{scheme}://{rest}{question}{query}{hash_}{_STARS if fragment else ''}{end}"


def _cut(rest: str) -> tuple[str, str]:
    """An address, and the stop, colon or quote of the sentence around it."""
    bare = rest.rstrip(".,;:)]}'\"")
    return bare, rest[len(bare) :]


def _without_user(rest: str) -> str:
    server = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in server:
        return f"{_STARS}@{rest[server.rindex('@') + 1 :]}"
    if _SERVER.fullmatch(server):
        return rest
    _, at, after = rest.rpartition("@")  # no port: a password with a / ? or # in it
    return f"{_STARS}@{after}" if at else f"{server.partition(':')[0]}:{_STARS}"


def _pair(pair: str) -> str:
    key, equals, value = pair.partition("=")
    if not equals:
        return _STARS
    return pair if not value or _HARMLESS.fullmatch(key) else f"{key}={_STARS}"
