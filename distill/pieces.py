"""Views of texts: words, pairs of words, snatches and whole sentences, cut again from a number.

A text's view is at most `PARTS` pieces of the data set's characters with a blank between them, so
it is kept as (start, length) pairs and made when a batch asks for it. A word of a word list is seen
alone, or with others of its class; the n-grams of a net end at a word's edge, and to it words in
a row are a sentence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill import nothing
from distill.config import Pieces
from distill.data.texts import Texts

PARTS = 9  # words in the longest string of them
LONGEST = 400  # characters of a piece
SNATCH = (8, 30)  # characters, first and last
LONG_WORD = 5  # characters; a shorter one is seldom seen alone: it says little
SHORT = (0.2, 0.5, 0.3)  # fractions of its views: alone, paired with a long one, strung
UNSPACED = 20  # characters; what is longer between blanks is of a script that has no blanks
BITE = (2, 5)  # characters that stand for a word there
_SORTED = 64  # batches whose rows are sorted by length together
_BLANK = 32
NO_CLASS = -1  # the label of a text of no language: every class is as right


class TextViews:
    """Texts cut as `Pieces` says; every class has the same number of rows in an epoch.

    A row is a word, or one of the cuts of a running text: first as they are in the data set, then
    the running texts again for each further cut. Behind them stand the texts of no language, of no
    class and always whole; the teacher is not asked about them.
    """

    def __init__(self, data: Texts, how: Pieces) -> None:
        self.how, self.classes = how, len(data.classes)
        self.key = {"data": data.sha256, "pieces": _cutting(how)}
        made = nothing.texts(how.nothing, data.texts) if how.nothing else []
        self.codes = np.frombuffer("".join([*data.texts, *made]).encode("utf-32-le"), np.int32)
        length = np.array([len(text) for text in (*data.texts, *made)])
        start = np.cumsum(length) - length
        again = np.tile(np.flatnonzero(~data.words), how.cuts - 1)
        row = np.concatenate([np.arange(len(data)), again])  # of the data set, for each of ours
        self.labelled = len(row)
        row = np.concatenate([row, np.arange(len(data), len(length))])
        self.start, self.length = start[row], length[row]
        labels, words = data.labels[row[: self.labelled]], data.words[row[: self.labelled]]
        self.labels = np.concatenate([labels, np.full(how.nothing, NO_CLASS)])
        self.words = np.concatenate([words, np.zeros(how.nothing, bool)])
        self.members = [np.flatnonzero(self.labels == c) for c in range(self.classes)]
        self.tokens = _Tokens(self.codes, self.start, self.length)
        long = words & (self.length[: self.labelled] >= LONG_WORD)
        self.partners = _Partners(labels, words), _Partners(labels, long)

    def __len__(self) -> int:
        return len(self.labels)

    def askable(self, of: str) -> np.ndarray:
        return np.arange(self.labelled) if of == "all" else np.flatnonzero(self.words)

    def steps(self, size: int) -> int:
        return (self.classes * self.share() + self.how.nothing) // size

    def share(self) -> int:
        """Rows of each class in an epoch."""
        return -(-self.labelled // self.classes)

    def view(self, number: int) -> TextView:
        """The view of that number, >= 0: starts and lengths (n, PARTS), length 0 where none is."""
        rng = np.random.Generator(np.random.Philox(key=number))
        start = np.zeros((len(self), PARTS), np.int64)
        length = np.zeros((len(self), PARTS), np.int64)
        start[self.labelled :, 0] = self.start[self.labelled :]
        length[self.labelled :, 0] = self.length[self.labelled :]
        self._cut_texts(rng, start, length)
        self._string_words(rng, start, length)
        return TextView(self, start, np.minimum(length, LONGEST))

    def _cut_texts(self, rng: np.random.Generator, start: np.ndarray, length: np.ndarray) -> None:
        rows = np.flatnonzero(~self.words[: self.labelled])
        kind = rng.choice(4, len(rows), p=self._fractions("whole", "snatch", "pair", "word"))
        whole, snatch, pair, word = (rows[kind == k] for k in range(4))
        start[whole, 0], length[whole, 0] = self.start[whole], self.length[whole]
        wanted = rng.integers(*SNATCH, len(snatch), endpoint=True)
        cut = _somewhere(rng, self.start[snatch], self.length[snatch], wanted)
        start[snatch, 0], length[snatch, 0] = cut
        for chosen, count in ((pair, 2), (word, 1)):
            start[chosen, 0], length[chosen, 0] = self.tokens.draw(rng, chosen, count)

    def _string_words(
        self, rng: np.random.Generator, start: np.ndarray, length: np.ndarray
    ) -> None:
        rows = np.flatnonzero(self.words)
        fractions = self._fractions("alone", "paired", "strung")
        kind = rng.choice(3, len(rows), p=fractions)
        short = self.length[rows] < LONG_WORD
        kind[short] = rng.choice(3, short.sum(), p=SHORT)
        count = np.select([kind == 0, kind == 1], [1, 2], rng.integers(3, PARTS, len(rows)) + 1)
        start[rows, 0], length[rows, 0] = self.start[rows], self.length[rows]
        for part in range(1, PARTS):
            for paired in (False, True):
                more = rows[(count > part) & ((kind == 1) == paired)]
                other = self.partners[paired].draw(rng, self.labels[more], more)
                start[more, part], length[more, part] = self.start[other], self.length[other]

    def _fractions(self, *names: str) -> np.ndarray:
        given = np.array([getattr(self.how, name) for name in names])
        return given / given.sum()


def cut(data: Texts, how: Pieces) -> Texts:
    """View 0 of every text, as a data set of its own."""
    drawn = TextViews(data, replace(how, cuts=1, nothing=0)).view(0)
    texts = tuple(drawn.examples(torch.arange(len(data))))
    digest = hashlib.sha256(f"{data.sha256} {json.dumps(_cutting(how))}".encode()).hexdigest()
    return replace(data, texts=texts, sha256=digest)


class TextView:
    """Every text, cut one way."""

    def __init__(self, views: TextViews, start: np.ndarray, length: np.ndarray) -> None:
        self.views, self.start, self.length = views, start, length
        self.total = length.sum(1) + (length > 0).sum(1) - 1  # characters with the blanks between

    def examples(self, rows: Tensor) -> list[str]:
        """The texts of rows (b,)."""
        made = self._assemble(rows.numpy())
        ends = self.total[rows.numpy()]
        return [
            line[:end].astype("<u4").tobytes().decode("utf-32-le")
            for line, end in zip(made, ends, strict=True)
        ]

    def inputs(self, rows: Tensor) -> Tensor:
        """Code points int32 (b, length of the longest), padded with 0, of rows (b,)."""
        return torch.from_numpy(self._assemble(rows.numpy()))

    def targets(self, rows: Tensor) -> Tensor:
        labels = torch.from_numpy(self.views.labels[rows.numpy()])
        found = torch.nn.functional.one_hot(labels.clamp_min(0), self.views.classes).float()
        found[labels == NO_CLASS] = 1 / self.views.classes
        return found

    def batches(self, rng: np.random.Generator, size: int) -> list[Tensor]:
        """Rows of similar length go together: sorted within some batches, which are then mixed."""
        views = self.views
        of_class = [_repeated(rng, members, views.share()) for members in views.members]
        of_none = np.arange(views.labelled, len(views))
        rows = rng.permutation(np.concatenate([*of_class, of_none]))
        rows = rows[: self.views.steps(size) * size]
        parts: list[np.ndarray] = []
        for first in range(0, len(rows), _SORTED * size):
            some = rows[first : first + _SORTED * size]
            some = some[np.argsort(self.total[some], kind="stable")]
            parts += np.split(some, len(some) // size)
        return [torch.from_numpy(parts[i]) for i in rng.permutation(len(parts))]

    def _assemble(self, rows: np.ndarray) -> np.ndarray:
        start, length = self.start[rows], self.length[rows]
        made = np.zeros((len(rows), max(1, int(self.total[rows].max(initial=0)))), np.int32)
        place = np.zeros(len(rows), np.int64)
        for part in range(PARTS):
            held = np.flatnonzero(length[:, part])
            count = length[held, part]
            row, column = _ragged(count)
            source = self.views.codes[start[held, part][row] + column]
            made[held[row], place[held][row] + column] = source
            place[held] += count
            blank = held[place[held] < self.total[rows[held]]]
            made[blank, place[blank]] = _BLANK
            place[blank] += 1
        return made


def _cutting(how: Pieces) -> dict[str, Any]:
    """What decides how the data set's own texts are cut."""
    return {key: value for key, value in asdict(how).items() if key != "nothing"}


def padded(texts: Sequence[str]) -> np.ndarray:
    """Code points int32 (n, length of the longest), at least one, padded with 0."""
    characters = np.array(texts, np.str_)  # UTF-32, each text padded with 0
    return characters.view(np.int32).reshape(len(texts), characters.itemsize // 4)


class _Tokens:
    """What stands between blanks in each text."""

    def __init__(self, codes: np.ndarray, start: np.ndarray, length: np.ndarray) -> None:
        inside = codes != _BLANK
        first = np.zeros(len(codes), bool)
        first[start] = True
        begins = inside & (first | np.concatenate(([True], ~inside[:-1])))
        self.at = np.flatnonzero(begins)
        last = np.zeros(len(codes), bool)
        last[start + length - 1] = True
        ends = inside & (last | np.concatenate((~inside[1:], [True])))
        self.end = np.flatnonzero(ends) + 1
        self.first = np.searchsorted(self.at, start)
        self.count = np.searchsorted(self.at, start + length) - self.first

    def draw(
        self, rng: np.random.Generator, rows: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Start and length of `count` neighbouring tokens of each row; fewer where it has fewer."""
        spare = np.maximum(self.count[rows] - count, 0)
        first = self.first[rows] + (rng.random(len(rows)) * (spare + 1)).astype(np.int64)
        last = first + np.minimum(count, self.count[rows]) - 1
        start = self.at[first]
        length = self.end[last] - start
        bite = count * rng.integers(*BITE, len(rows), endpoint=True)
        bitten = _somewhere(rng, start, length, bite)
        unspaced = length > count * UNSPACED
        return np.where(unspaced, bitten[0], start), np.where(unspaced, bitten[1], length)


class _Partners:
    """Rows of one class, to be drawn from."""

    def __init__(self, labels: np.ndarray, wanted: np.ndarray) -> None:
        rows = np.flatnonzero(wanted)
        self.rows = rows[np.argsort(labels[rows], kind="stable")]
        classes = np.arange(labels.max(initial=0) + 1)
        self.first = np.searchsorted(labels[self.rows], classes)
        self.count = np.searchsorted(labels[self.rows], classes, side="right") - self.first

    def draw(self, rng: np.random.Generator, labels: np.ndarray, own: np.ndarray) -> np.ndarray:
        """A row of each label; `own` where the class has none."""
        if len(self.rows) == 0:
            return own
        place = self.first[labels] + (rng.random(len(labels)) * self.count[labels]).astype(np.int64)
        found = self.rows[np.minimum(place, len(self.rows) - 1)]
        return np.where(self.count[labels] > 0, found, own)


def _somewhere(
    rng: np.random.Generator, start: np.ndarray, length: np.ndarray, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Start and length of a random piece of at most `wanted` characters."""
    taken = np.minimum(wanted, length)
    return start + (rng.random(len(start)) * (length - taken + 1)).astype(np.int64), taken


def _repeated(rng: np.random.Generator, members: np.ndarray, count: int) -> np.ndarray:
    """`count` of members, each as often as any other but for the last round."""
    rounds = [rng.permutation(members) for _ in range(-(-count // len(members)))]
    return np.concatenate(rounds)[:count]


def _ragged(count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of every cell of a table whose rows have `count` cells."""
    row = np.repeat(np.arange(len(count)), count)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
