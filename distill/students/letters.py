"""Which code points are letters, and as what they are read, as three small tables.

    entry = ENTRIES[TOP[code // 256] + code % 256]
    letter = max(code + DELTA[entry], 0)

A letter is of category L* or M* (marks belong to the words of many scripts) and of one of SCRIPTS:
a text in another script has none, so that a student does not take it for what it knows. It is read
in lower case, by Unicode's simple mapping where that is one code point; U+0130, the Turkish dotted
capital I, whose lower case is two, becomes `i`. A letter in other clothes (fullwidth, of
mathematics, in a circle, raised, an Arabic presentation form: CLOTHES) is read as the letter that
it stands for. Anything else is 0, a word's boundary. Code points are first clipped to
[0, LIMIT - 1], and there is no letter at either end.

The tables are made from the Unicode data of the Python that trains and travel in the student's
file, so that no other program needs any.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np

LIMIT = 0x1F200  # code points that the tables know
PAGE = 256  # code points that share an entry of TOP
NO_LETTER = -0x40000  # delta that takes any code point below zero

CLOTHES = (  # Unicode's compatibility mappings to one code point that are folded
    *("<wide>", "<narrow>", "<font>", "<circle>", "<square>", "<super>", "<sub>"),
    *("<isolated>", "<initial>", "<medial>", "<final>"),
)

SCRIPTS: dict[str, tuple[tuple[int, int], ...]] = {  # name -> first and last code points
    "latin": ((0x41, 0x36F), (0x1E00, 0x1EFF), (0x2C60, 0x2C7F), (0xA720, 0xA7FF)),
    "greek": ((0x370, 0x3FF), (0x1F00, 0x1FFF)),
    "cyrillic": ((0x400, 0x52F), (0x1C80, 0x1C8F), (0x2DE0, 0x2DFF), (0xA640, 0xA69F)),
    "armenian": ((0x530, 0x58F), (0xFB13, 0xFB17)),
    "hebrew": ((0x590, 0x5FF), (0xFB1D, 0xFB4F)),
    "arabic": (
        (0x600, 0x6FF),
        (0x750, 0x77F),
        (0x8A0, 0x8FF),
        (0xFB50, 0xFDFF),
        (0xFE70, 0xFEFC),
    ),
    "devanagari": ((0x900, 0x97F), (0xA8E0, 0xA8FF)),
    "bengali": ((0x980, 0x9FF),),
    "gurmukhi": ((0xA00, 0xA7F),),
    "gujarati": ((0xA80, 0xAFF),),
    "tamil": ((0xB80, 0xBFF),),
    "telugu": ((0xC00, 0xC7F),),
    "thai": ((0xE00, 0xE7F),),
    "georgian": ((0x10A0, 0x10FF), (0x1C90, 0x1CBF), (0x2D00, 0x2D2F)),
    "hangul": ((0x1100, 0x11FF), (0x3130, 0x318F), (0xA960, 0xA97F), (0xAC00, 0xD7FF)),
    "hiragana": ((0x3040, 0x309F),),
    "katakana": ((0x30A0, 0x30FF), (0x31F0, 0x31FF)),
    "han": (
        (0x3005, 0x3007),
        (0x3400, 0x4DBF),
        (0x4E00, 0x9FFF),
        (0xF900, 0xFAFF),
    ),
}


@dataclass(frozen=True)
class Letters:
    """The tables of this module's head."""

    top: np.ndarray  # int32 (LIMIT / PAGE,): where each page of code points begins in entries
    entries: np.ndarray  # uint16 (pages * PAGE,): which delta a code point has
    delta: np.ndarray  # int32 (kinds,): what is added to a code point

    def fold(self, codes: np.ndarray) -> np.ndarray:
        """Letters int32 of code points int (any shape); 0 where there is none."""
        codes = np.clip(codes, 0, LIMIT - 1).astype(np.int32)
        entry = self.entries[self.top[codes // PAGE] + codes % PAGE]
        return np.maximum(codes + self.delta[entry], 0)


@cache
def letters() -> Letters:
    """The tables of this Python's Unicode data."""
    known = _known()
    kinds = {NO_LETTER: 0}  # delta -> entry
    flat = np.zeros(LIMIT, np.uint16)
    for code in range(LIMIT):
        if letter := _letter(chr(code), known):
            flat[code] = kinds.setdefault(letter - code, len(kinds))
    pages, place = np.unique(flat.reshape(-1, PAGE), axis=0, return_inverse=True)
    top = (place.reshape(-1) * PAGE).astype(np.int32)
    return Letters(top, pages.reshape(-1), np.array(list(kinds), np.int32))


def _letter(character: str, known: np.ndarray) -> int:
    """What a character is read as; 0: it is no letter."""
    tag, _, bare = unicodedata.decomposition(character).partition(" ")
    if tag in CLOTHES and " " not in bare:
        character = chr(int(bare, 16))
    code = ord(character)
    if code >= LIMIT or not known[code] or unicodedata.category(character)[0] not in "LM":
        return 0
    return ord(character.lower()[0])


def _known() -> np.ndarray:
    """Which code points lie in SCRIPTS, bool (LIMIT,)."""
    found = np.zeros(LIMIT, bool)
    for ranges in SCRIPTS.values():
        for first, last in ranges:
            found[first : last + 1] = True
    return found
