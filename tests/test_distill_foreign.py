"""A file that is no UTF-8 text is called what it is, by training and by running."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.config import TextData
from distill.data.texts import load_texts
from distill.errors import DistillError
from distill.foreign import foreign
from zoo.errors import InputError
from zoo.inputs.lines import lines, texts

TEXT = "Die Nacht war kühl.\nThe night was cool.\n"
RUSSIAN = "Ночь была прохладной.\nДень был тёплым.\n"


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("de.txt", TEXT)
    return file.getvalue()


FILES = {
    "utf-16 with its mark": (TEXT.encode("utf-16"), "UTF-16 text", "iconv -f utf-16 "),
    "utf-16, big end first": (
        "\ufeff".encode("utf-16-be") + TEXT.encode("utf-16-be"),
        "UTF-16",
        "-f",
    ),
    "utf-16 without": (TEXT.encode("utf-16-le"), "UTF-16LE text", "iconv -f utf-16le"),
    "utf-16be without": (TEXT.encode("utf-16-be"), "UTF-16BE text", "iconv -f utf-16be"),
    "utf-32": (TEXT.encode("utf-32"), "UTF-32 text", "iconv -f utf-32"),
    "utf-16 of another script": (RUSSIAN.encode("utf-16-le"), "UTF-16LE", "iconv -f utf-16le"),
    "the same, big end first": (RUSSIAN.encode("utf-16-be"), "UTF-16BE", "iconv -f utf-16be"),
    "utf-32 without": (TEXT.encode("utf-32-le"), "UTF-32LE", "iconv -f utf-32le"),
    "utf-32be without": (RUSSIAN.encode("utf-32-be"), "UTF-32BE", "iconv -f utf-32be"),
    "old ends of lines": ((2 * TEXT).replace("\n", "\r").encode(), "with CR alone", "tr '"),
    "a database": (b"SQLite format 3\0" + bytes(84), "zero bytes", "plain UTF-8"),
    "gzip": (gzip.compress(TEXT.encode()), "packed by gzip", "gunzip"),
    "xz": (lzma.compress(TEXT.encode()), "packed by xz", "unxz"),
    "bzip2": (bz2.compress(TEXT.encode()), "packed by bzip2", "bunzip2"),
    "zip": (zipped(), "packed by zip", "unzip"),
    "pdf": (b"%PDF-1.7\xe2\xe3\xcf\xd3\n", "a PDF", "plain UTF-8"),
    "png": (b"\x89PNG\r\n\x1a\n", "a picture", "plain UTF-8"),
}


@pytest.mark.parametrize("kind", FILES)
def test_what_it_is_and_what_to_do_is_said(kind: str, tmp_path: Path) -> None:
    content, what, hint = FILES[kind]
    path = tmp_path / "de.txt"
    path.write_bytes(content)
    with pytest.raises(InputError) as ran:
        list(texts([], [path]))
    with pytest.raises(DistillError) as trained:
        load_texts(TextData(str(tmp_path), "CC0-1.0", {"t": "none"}), "train")
    for error in (ran.value, trained.value):
        assert what in str(error) and "de.txt" in str(error)
        assert hint in error.hint and "windows-1252" not in error.hint


def test_latin_1_keeps_its_hint() -> None:
    with pytest.raises(InputError, match="line 1: not UTF-8") as told:
        list(lines(io.BytesIO(TEXT.encode("latin-1")), "a.txt"))
    assert "windows-1252" in told.value.hint


@given(st.text())
def test_no_text_is_taken_for_something_else(text: str) -> None:
    """But one that is every other time NUL, which nobody writes."""
    if "\0" not in text:
        assert foreign(text.encode()[:64]) is None


@pytest.mark.parametrize(
    "text",
    [
        "BZh is how bzip2 begins",
        "GIF89a",
        "PAR1",
        "PK",
        "%PDF-1.4",
        "",
        "a\0b",
        "a\nb\n" * 9,
        "a\rb\r\n",
    ],
)
def test_a_text_may_begin_like_a_file(text: str) -> None:
    assert foreign(text.encode()) is None


def test_a_pipe_by_its_name_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.txt")
    with pytest.raises(InputError, match="named pipe"):
        list(texts([], [tmp_path / "p.txt"]))


def test_a_pipe_that_was_handed_over_is_read() -> None:
    reading, writing = os.pipe()
    os.write(writing, TEXT.encode())
    os.close(writing)
    try:
        found = texts([], [Path(f"/dev/fd/{reading}")])
        assert list(chain.from_iterable(found)) == TEXT.splitlines()
    finally:
        os.close(reading)
