"""What a file is that should hold UTF-8 text and does not, by its first bytes."""

from __future__ import annotations

from typing import NamedTuple

HEAD_BYTES = 64  # enough to tell


class Foreign(NamedTuple):
    """A file that is no UTF-8 text."""

    what: str
    hint: str


def _coded(name: str) -> Foreign:
    return Foreign(
        f"{name.upper()} text",
        f"convert it first, as by: iconv -f {name} -t utf-8 (PowerShell: Out-File -Encoding utf8)",
    )


def _packed(name: str, command: str) -> Foreign:
    return Foreign(f"packed by {name}", f"unpack it first, as by: {command}")


_OTHER = "a file of texts is plain UTF-8, a text a line"
_SIGNS: dict[bytes, Foreign] = {  # the longer before what it begins with
    b"\xff\xfe\0\0": _coded("utf-32"),
    b"\0\0\xfe\xff": _coded("utf-32"),
    b"\xff\xfe": _coded("utf-16"),
    b"\xfe\xff": _coded("utf-16"),
    b"\x1f\x8b": _packed("gzip", "gunzip"),
    b"\xfd7zXZ\0": _packed("xz", "unxz"),
    b"BZh": _packed("bzip2", "bunzip2"),
    b"\x28\xb5\x2f\xfd": _packed("zstd", "unzstd"),
    b"PK\x03\x04": _packed("zip (as .docx and .xlsx are)", "unzip"),
    b"%PDF-": Foreign("a PDF", _OTHER),
    b"\x89PNG": Foreign("a picture", _OTHER),
    b"\xff\xd8\xff": Foreign("a picture", _OTHER),
    b"GIF8": Foreign("a picture", _OTHER),
    b"PAR1": Foreign("parquet", _OTHER),
}


def foreign(head: bytes) -> Foreign | None:
    """What the file is that begins with `head`; None where it may be UTF-8."""
    plain = head.isascii() and min(head, default=0) >= 9  # a text may begin with "BZh"
    for sign, found in _SIGNS.items():
        if head.startswith(sign) and not plain:
            return found
    for first in (0, 1):  # Latin letters without a mark at the start: every other byte is 0
        zeros, letters = head[1 - first :: 2], head[first::2]
        if len(head) >= 16 and not any(zeros) and all(letters):
            return _coded("utf-16be" if first else "utf-16le")
    return None
