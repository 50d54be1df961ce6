"""The generated parts of ngrams.md: scripts, multipliers, test vectors, as the student has them."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from distill.students.letters import SCRIPTS, letters
from distill.students.ngram import MULTIPLIERS, ORDERS, Ngram
from zoo.card.markdown import between

ROWS = (499, 997, 2003, 4999, 5003)  # primes, of the vectors only
WINDOWS = (  # "_" is a boundary
    *("a", "z", "中", "ß", "_a", "a_", "th", "日本", "_a_", "_th", "the", "й_", "кий", "_the"),
    *("the_", "안녕하세", "ição", "_the_", "there", "_dzie", "ность"),
)
TEXTS = ("To be", "İyi 2 günler, アሀ日")
HEAD = ("scripts", "1", "2", "3", "4", "5")


def fill(page: str) -> str:
    """The page with its generated parts made anew."""
    for name, text in parts().items():
        page = between(page, name, text)
    return page


def parts() -> dict[str, str]:
    """Each generated part by the name of its marks."""
    net = Ngram(1, *ROWS, dim=1, hidden=1)
    return {
        "scripts": _table(("row", "script", "code points"), map(_script, enumerate(SCRIPTS, 1))),
        "multipliers": "".join(f"    {' '.join(f'{a:>9}' for a in row)}\n" for row in MULTIPLIERS),
        "windows": _windows(net),
        "texts": "\n".join(_text(net, text) for text in TEXTS),
    }


def _script(numbered: tuple[int, str]) -> tuple[str, ...]:
    row, name = numbered
    spans = (f"{first:04X}-{last:04X}" for first, last in SCRIPTS[name])
    return str(row), name, ", ".join(spans)


def _windows(net: Ngram) -> str:
    """A line a window: its letters, its sum, its row."""
    lines = []
    for window in WINDOWS:
        codes = [0 if c == "_" else ord(c) for c in window]
        total = sum(a * c for a, c in zip(MULTIPLIERS[len(codes) - 1], codes, strict=False))
        padded = torch.tensor(codes + [0] * (ORDERS - len(codes))).reshape(1, 1, ORDERS)
        row = int(net._hash(padded)[0, len(codes) - 1, 0])
        shown = " ".join(f"{code:X}" if code else "0" for code in codes)
        lines.append((f"`{window}`", shown, str(total), str(row)))
    return _table(("window", "letters, hexadecimal", "sum", "row"), lines)


def _text(net: Ngram, text: str) -> str:
    """A heading with the code points and what they fold to, then the rows of each group."""
    codes = torch.tensor([[ord(character) for character in text]], dtype=torch.int32)
    folded = letters().fold(codes[0].numpy()).tolist()
    index, counts = net.windows(codes)
    groups = [group.tolist() for group in index.split(counts[0].tolist())]
    rows = [(name, " ".join(map(str, group))) for name, group in zip(HEAD, groups, strict=True)]
    points = " ".join(f"{ord(character):X}" for character in text)
    shown = " ".join(f"{letter:X}" for letter in folded)
    return f"`{text}`: {points}; letters {shown}\n\n{_table(('group', 'rows'), rows)}"


def _table(head: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
