"""What a file is that should hold UTF-8 text and does not, by its first bytes."""

from __future__ import annotations

from typing import NamedTuple

HEAD_BYTES = 64  # enough to tell
ZEROS = 4  # of them, that no text has
_PLAIN = "a file of texts is plain UTF-8, a text a line"


class Foreign(NamedTuple):
    """A file that is no UTF-8 text."""

    what: str
    hint: str


def _coded(name: str) -> Foreign:
    return Foreign(
        f"not UTF-8, it is {name.upper()} text",
        f"convert it first, as by: iconv -f {name} -t utf-8 (PowerShell: Out-File -Encoding utf8)",
    )


def _packed(name: str, command: str) -> Foreign:
    return Foreign(f"not UTF-8, it is packed by {name}", f"unpack it first, as by: {command}")


def _other(name: str) -> Foreign:
    return Foreign(f"not UTF-8, it is {name}", _PLAIN)


_OLD_ENDS = Foreign(
    "its lines end with CR alone, as on old Macs",
    "give them the ends of today first, as by: tr '\\r' '\\n'",
)
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
    b"%PDF-": _other("a PDF"),
    b"\x89PNG": _other("a picture"),
    b"\xff\xd8\xff": _other("a picture"),
    b"GIF8": _other("a picture"),
    b"PAR1": _other("parquet"),
}


def foreign(content: bytes) -> Foreign | None:
    """What the file is that begins with `content`; None where it may be lines of UTF-8.

    The first HEAD_BYTES tell what it is, all of `content` how its lines end.
    """
    head = content[:HEAD_BYTES]
    plain = head.isascii() and min(head, default=0) >= 9  # a text may begin with "BZh"
    for sign, found in _SIGNS.items():
        if head.startswith(sign) and not plain:
            return found
    if b"\0" in head:
        return _without_mark(head)
    ends = content.rstrip(b"\r\n")
    return _OLD_ENDS if ends.count(b"\r") > 1 and b"\n" not in ends else None


def _without_mark(head: bytes) -> Foreign | None:
    """What a file with zeros at its start is: one or two of them a text may have.

    In UTF-16 every other byte is that of a script: below 32 in most, and 0 for blanks.
    """
    for width, name in ((4, "utf-32"), (2, "utf-16")):
        for high, end in ((width - 1, "le"), (0, "be")):
            pages = head[high::width]
            if width == 4:  # the second highest byte is that of a plane
                pages += head[2 if high else 1 :: 4]
            letters = head[width - 1 - high :: width]
            if len(head) >= 16 and 0 in pages and max(pages) < 32 <= max(letters):
                return _coded(name + end)
    if head.count(0) < ZEROS:
        return None
    return Foreign("no text, it is full of zero bytes", _PLAIN)
