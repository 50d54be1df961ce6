"""The generated parts of ngrams.md: scripts, multipliers, test vectors, as the student has them."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from distill.students.letters import SCRIPTS, letters
from distill.students.ngram import MULTIPLIERS, ORDERS, Ngram
from zoo.card.markdown import between

ROWS = 4096  # of the vectors only
WINDOWS = (  # "_" is a boundary
    *("a", "z", "中", "ß", "_a", "ab", "th", "日本", "_a_", "_th", "the", "_й", "кий", "_the"),
    *("the_", "안녕하세", "ição", "_the_", "there", "_dzie", "ность"),
)
TEXTS = ("To be", "İyi 2 günler, ｱሀ日𝐱")


def fill(page: str) -> str:
    """The page with its generated parts made anew."""
    for name, text in parts().items():
        page = between(page, name, text)
    return page


def parts() -> dict[str, str]:
    """Each generated part by the name of its marks."""
    net = Ngram(1, rows=ROWS, orders=12345, dim=1, hidden=1)
    return {
        "scripts": _table(("script", "code points"), map(_script, SCRIPTS)),
        "multipliers": "".join(f"    {'  '.join(map(_pair, row))}\n" for row in MULTIPLIERS),
        "windows": _windows(net),
        "texts": "\n".join(_text(net, text) for text in TEXTS),
    }


def _script(name: str) -> tuple[str, ...]:
    return name, ", ".join(f"{first:04X}-{last:04X}" for first, last in SCRIPTS[name])


def _pair(pair: tuple[int, int]) -> str:
    return "({:>4} {:>4})".format(*pair)


def _windows(net: Ngram) -> str:
    """A line a window: its letters, its sum, its row."""
    lines = []
    for window in WINDOWS:
        codes = [0 if c == "_" else ord(c) for c in window]
        padded = torch.tensor(codes + [0] * (ORDERS - len(codes))).reshape(1, 1, ORDERS)
        total = int(net.sums(padded)[0, len(codes) - 1, 0])
        shown = " ".join(f"{code:X}" if code else "0" for code in codes)
        lines.append((f"`{window}`", shown, str(total), str(total % ROWS)))
    return _table(("window", "letters, hexadecimal", "sum", "row"), lines)


def _text(net: Ngram, text: str) -> str:
    """A heading with the code points and what they fold to, then the rows of each order."""
    codes = torch.tensor([[ord(character) for character in text]], dtype=torch.int32)
    folded = letters().fold(codes[0].numpy()).tolist()
    index, counts = net.windows(codes)
    groups = [group.tolist() for group in index.split(counts[0].tolist())]
    rows = [(str(order), " ".join(map(str, group))) for order, group in enumerate(groups, 1)]
    points = " ".join(f"{ord(character):X}" for character in text)
    shown = " ".join(f"{letter:X}" for letter in folded)
    return f"`{text}`: {points}; letters {shown}\n\n{_table(('order', 'rows'), rows)}"


def _table(head: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
