"""Names of files and classes: what is a picture, what is debris, which names look alike.

One list for training and for running; needs neither numpy nor Pillow.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

# Endings of the formats that `distill.data.image` reads.
SUFFIXES = frozenset(
    ".apng .avif .avifs .bmp .dib .gif .j2c .j2k .jfif .jp2 .jpc .jpe .jpeg .jpf .jpg .jpx "  # noqa: SIM905
    ".mpo .pbm .pgm .png .pnm .ppm .tif .tiff .webp".split()
)
# What systems leave behind, in lower case; so is whatever begins with a dot (._*, .DS_Store,
# .ipynb_checkpoints, .picasa.ini).
_DEBRIS = frozenset(
    [
        *("__macosx", "icon\r", "lost+found", "system volume information"),
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini"),
        *("@eadir", "@recycle", "#recycle", "$recycle.bin"),
    ]
)


def is_picture(name: str) -> bool:
    """Whether it is named like a picture, in capitals or not."""
    return any(name.lower().endswith(suffix) for suffix in SUFFIXES)


def ignored(name: str) -> bool:
    """Whether a part of a relative name is what systems leave behind."""
    return any(p.startswith(".") or p.casefold() in _DEBRIS for p in name.split("/"))


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts numbers in a name as numbers: 2 before 10."""
    parts = re.findall("[0-9]+|[^0-9]+", name)
    numbers = (p.lstrip("0") if p[0] in "0123456789" else None for p in parts)
    keys = [
        (1, 0, text) if number is None else (0, len(number), number)
        for text, number in zip(parts, numbers, strict=True)
    ]
    return [*keys, (0, 0, name)]


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _bare(name: str) -> str:
    """Without signs that cannot be seen, and with single blanks between words."""
    seen = (c for c in name if c.isspace() or unicodedata.category(c) not in ("Cf", "Cc"))
    return " ".join("".join(seen).split())


CASE = "upper and lower case"
_WAYS: dict[str, Callable[[str], str]] = {  # in which a name may be written otherwise
    "Unicode normal form (NFC, NFD)": _nfc,
    "blanks or signs that are not seen": _bare,
    CASE: str.casefold,
}


def look(name: str, without: str = "") -> str:
    """What people see of a name: equal for names that only differ in how they are written.

    One of the ways to differ may be left out.
    """
    for way, changed in _WAYS.items():
        name = name if way == without else changed(name)
    return name if "NFC" in without else _nfc(name)


def difference(one: str, other: str) -> str:
    """In what two names of one `look` differ, in words."""
    return " and ".join(way for way in _WAYS if look(one, way) != look(other, way))


def alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of different names that look the same, each sorted."""
    groups: dict[str, set[str]] = {}
    for name in names:
        groups.setdefault(look(name), set()).add(name)
    return [tuple(sorted(group)) for group in groups.values() if len(group) > 1]
