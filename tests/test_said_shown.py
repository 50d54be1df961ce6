"""Strangers' text as it is shown: nothing in it does anything to a terminal, whatever it is."""

from __future__ import annotations

import codecs
import json
import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo import said

ANY = st.text(st.characters()) | st.binary().map(os.fsdecode)
FORBIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def is_plain(text: str) -> bool:
    return not any(unicodedata.category(c) in FORBIDDEN for c in text)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("\x1b]0;pwn\a\x1b[31m", r"\u001b]0;pwn\u0007\u001b[31m"),
        ("a\nerror: forged\r\tb", r"a\nerror: forged\r\tb"),
        ("\x9b31m", r"\u009b31m"),  # CSI in one character
        ("invoice\u202efdp.exe", r"invoice\u202efdp.exe"),
        ("pay\u200bpal \ufeff\u2060", r"pay\u200bpal \ufeff\u2060"),
        ("\u3164\u115f\ufe0f\U000e0101", r"\u3164\u115f\ufe0f\udb40\udd01"),  # seen as nothing
        ("\U000e0041", r"\udb40\udc41"),  # a tag
        (os.fsdecode(b"caf\xe9.jpg"), r"caf\udce9.jpg"),
        ("\ud800", r"\ud800"),
        ("[red]x[/red] [link=http://a]b[/link]", "[red]x[/red] [link=http://a]b[/link]"),
        ("Où est 図書館 и книга  ❤", "Où est 図書館 и книга  ❤"),
    ],
)
def test_what_is_not_plainly_seen_is_escaped(text: str, clean: str) -> None:
    assert said.shown(text) == clean


@given(ANY)
def test_any_text_becomes_plain_once_and_for_all(text: str) -> None:
    clean = said.shown(text)
    assert is_plain(clean)
    assert said.shown(clean) == clean


@given(ANY, st.integers(3, 40))
def test_a_limit_holds_after_the_escapes(text: str, limit: int) -> None:
    assert len(said.shown(text, limit)) <= limit
    assert len(said.one_line(text, limit)) <= limit


def test_what_is_kept_is_kept_and_nothing_else() -> None:
    assert said.shown("a\tb\nc\r\x1b", keep="\n\t") == "a\tb\nc\\r\\u001b"


@given(st.recursive(ANY | st.integers() | st.booleans() | st.none(), st.lists, max_leaves=8))
def test_json_holds_the_very_text(data: object) -> None:
    for indent in (None, 2):
        text = said.as_json(data, indent)
        assert json.loads(text) == data
        assert is_plain(text.replace("\n", ""))


@given(ANY)
def test_json_stays_json_where_the_encoding_lacks_its_characters(text: str) -> None:
    codecs.register_error("zoo.escaped", said.escaped)
    for encoding in ("ascii", "latin-1", "utf-8", "cp1252"):
        sent = json.dumps(text, ensure_ascii=False).encode(encoding, "zoo.escaped")
        joined = json.loads(sent.decode(encoding)).encode("utf-16", "surrogatepass")
        assert joined == text.encode("utf-16", "surrogatepass")


def test_an_exception_without_words_is_told_by_its_kind() -> None:
    assert said.one_line(TimeoutError()) == "TimeoutError"
    assert said.one_line("a\r\n  b\x85c") == "a b c"
