"""Words drawn from Lingua's own n-gram counts: what the teacher knows of words that no list holds.

The wheel of lingua-language-detector 1.4 holds, for each language but zh, ja and ko,
`lingua/language-models/<iso>/{unigrams .. fivegrams}.json.br`: relative frequencies, as reduced
fractions, of the letter n-grams inside the words of its corpus. The fraction of an n-gram is
count(n-gram) / count(its first n-1 letters), of a unigram count / number of letters. So follow

- every count, exactly: prefix by prefix, in integers. The number of letters is the least common
  multiple of the unigrams' denominators, if their counts have no common factor; had they one,
  whole counts would not come out further on, which is an error;
- starts, exactly, of strings of 1 to 4 letters: how often g begins a word is count(g) minus the
  sum over letters x of count(xg), since every other g has one letter before it;
- words of 1 to 3 letters, exactly: how often g is a whole word is starts(g) minus the sum of
  starts(gx);
- ends, exactly: after a 4-gram g, the word goes on with x count(gx) times, else it ends.

So a short word, or the first four letters of a longer one, is drawn as often as in the corpus. Of
longer words the rest is a Markov chain: a letter, or the end, depends on the four letters before.

The wheel is read as a zip; nothing of it is imported or run.
"""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from distill.errors import DistillError
from distill.files import DAMAGED

ORDERS = ("unigrams", "bigrams", "trigrams", "quadrigrams", "fivegrams")
FOLDER = "lingua/language-models"
WITHOUT = ("zh", "ja", "ko")  # told by their scripts alone; zh has a table of unigrams
LONGEST = 40  # letters; a word that has not ended ends there
MAX_BYTES = 64 * 2**20  # of one file of the wheel, packed or unpacked; the largest has 5 MB
MAX_COUNT = 2**40  # of anything, so that no sum or product leaves int64
MARKED = 0.15  # share of marks above which words of counts, whose alphabet has none, are fragments

LICENCE = "Apache-2.0"  # of the wheel, counts and all

HINT = "pip download --no-deps lingua-language-detector==1.4.2"
_HINT = f"{HINT}, and give the path of the wheel"


@dataclass(frozen=True)
class Origin:
    """The wheel that words were drawn from."""

    file: str  # its name
    sha256: str  # of its bytes
    licence: str  # SPDX id


def origin(wheel: Path) -> Origin:
    """What is told of a wheel."""
    with wheel.open("rb") as file:
        return Origin(wheel.name, hashlib.file_digest(file, "sha256").hexdigest(), LICENCE)


@dataclass(frozen=True)
class Grams:
    """The n-grams of one order. A string's code is its letters' numbers in base `len(alphabet)`."""

    codes: np.ndarray  # int64 (m,), rising
    counts: np.ndarray  # int64 (m,), how often each stands in the corpus

    def count(self, codes: np.ndarray) -> np.ndarray:
        """int64 (k,): of codes (k,), 0 for what is not there."""
        at = np.minimum(np.searchsorted(self.codes, codes), max(0, len(self.codes) - 1))
        found = self.codes[at] == codes if len(self.codes) else np.zeros(len(codes), bool)
        return np.where(found, self.counts[at] if len(self.codes) else 0, 0)

    def minus(self, others: np.ndarray, counts: np.ndarray) -> Grams:
        """These, less `counts` (k,) of the codes `others` (k,), which repeat and are all here."""
        less = np.zeros(len(self.codes), np.int64)
        at = np.searchsorted(self.codes, others)
        if not np.array_equal(self.codes.take(at, mode="clip"), others):
            raise ValueError("an n-gram holds another that is not counted")
        np.add.at(less, at, counts)
        if (less > self.counts).any():
            raise ValueError("an n-gram is counted more often than one inside it")
        return Grams(self.codes, self.counts - less)


@dataclass(frozen=True)
class Model:
    """What words of one language are drawn from."""

    alphabet: np.ndarray  # uint32 (K,): the code point of each letter, rising
    words: tuple[Grams, Grams, Grams]  # whole words of 1, 2 and 3 letters, exactly
    starts: Grams  # the first four letters of the longer ones, exactly
    four: Grams  # 4-grams wherever they stand
    five: Grams  # 5-grams: the letters that follow


def mark_share(texts: Iterable[str]) -> float:
    """The share of combining marks (categories Mn and Mc) among letters and marks.

    0.38 .. 0.43 in the Indic scripts and 0.21 in Thai, at most 0.05 in the rest of the 75.
    """
    letters = marks = 0
    for text in texts:
        for kind in map(unicodedata.category, text):
            letters += kind[0] == "L"
            marks += kind in ("Mn", "Mc")
    return marks / max(1, letters + marks)


def draw_words(
    wheel: Path, classes: Sequence[str], count: int, seed: int = 0
) -> dict[str, list[str]]:
    """`count` words of each of the classes that the wheel has counts of; repetitions are kept.

    Class by class, from the raw 64-bit numbers of a Philox generator whose key is the sha256 of
    class and seed: the same words on every machine, whatever the other classes. Words are NFC.
    Raises `DistillError` if the file is not the wheel, if it has counts of none of the classes, or
    if a count in it is not as described above.
    """
    drawn: dict[str, list[str]] = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = set(archive.namelist())
            if not any(n.startswith(f"{FOLDER}/") and n.endswith(".json.br") for n in names):
                raise DistillError(f"{wheel} holds no n-gram counts in {FOLDER}", _HINT)
            for name in classes:
                if name not in WITHOUT and f"{FOLDER}/{name}/{ORDERS[0]}.json.br" in names:
                    model = _model(archive, name)
                    drawn[name] = sample(model, count, _key(name, seed))
    except DAMAGED as error:
        raise DistillError(f"{wheel} is damaged or another file: {error}", _HINT) from error
    if not drawn:
        raise DistillError(
            f"{wheel} gives no words: it has counts of none of {len(classes)} class(es)",
            "classes are ISO 639-1 codes, of scripts without combining marks; or leave out "
            "data.counts and data.drawn_words",
        )
    return drawn


def build(orders: Sequence[dict[str, str]]) -> Model:
    """The model of five tables, fraction -> its n-grams joined by blanks."""
    letters = _parse(orders[0], 1)[0][:, 0]
    alphabet = np.unique(letters)
    if len(alphabet) != len(letters) or len(alphabet) ** 5 >= 2**63:
        raise ValueError("unigrams repeat, or there are too many")
    if not all(unicodedata.category(chr(letter))[0] in "LM" for letter in alphabet):
        raise ValueError("a unigram is no letter")
    grams: list[Grams] = []
    for n, table in enumerate(orders, 1):
        grams.append(_counts(table, n, alphabet, grams[-1] if grams else None))
    base = len(alphabet)
    starts = [
        these.minus(longer.codes % base**n, longer.counts)
        for n, (these, longer) in enumerate(pairwise(grams), 1)
    ]
    one, two, three = (
        these.minus(longer.codes // base, longer.counts) for these, longer in pairwise(starts)
    )
    grams[3].minus(grams[4].codes // base, grams[4].counts)  # checks that no end is negative
    return Model(alphabet, (one, two, three), starts[3], grams[3], grams[4])


def sample(model: Model, count: int, key: int) -> list[str]:
    """`count` words; key is that of the generator, 128 bits."""
    raw = np.random.Philox(key=key).random_raw
    pools = (*model.words, model.starts)
    edges = np.cumsum(np.concatenate([pool.counts for pool in pools]))
    if not len(edges) or edges[-1] <= 0:
        raise ValueError("the counts leave no word")
    codes = np.concatenate([pool.codes for pool in pools])
    lengths = np.repeat([1, 2, 3, 4], [len(pool.codes) for pool in pools])
    at = np.searchsorted(edges, _below(raw(count), edges[-1]), side="right")
    return _spell(model, codes[at], lengths[at], _chain(model, codes[at], lengths[at], raw))


def _chain(model: Model, first: np.ndarray, lengths: np.ndarray, raw: Any) -> list[np.ndarray]:
    """The letters after the fourth, an array (n,) a place: numbers of letters, -1 after the end."""
    base = len(model.alphabet)
    edges = np.concatenate([[0], np.cumsum(model.five.counts)])
    alive = np.flatnonzero(lengths == 4)
    state = first[alive]
    places: list[np.ndarray] = []
    while len(alive) and len(places) < LONGEST - 4:
        low = np.searchsorted(model.five.codes, state * base)
        high = np.searchsorted(model.five.codes, (state + 1) * base)
        drawn = edges[low] + _below(raw(len(alive)), model.four.count(state))
        goes_on = drawn < edges[high]
        follows = np.searchsorted(edges, drawn[goes_on], side="right") - 1
        alive = alive[goes_on]
        state = model.five.codes[follows] % base**4
        letters = np.full(len(first), -1)
        letters[alive] = state % base
        places.append(letters)
    return places


def _spell(
    model: Model, first: np.ndarray, lengths: np.ndarray, later: list[np.ndarray]
) -> list[str]:
    """Codes (n,) of 1 to 4 letters and the letters after them, as text."""
    base = len(model.alphabet)
    places = [
        np.where(lengths > i, first // base ** np.maximum(lengths - 1 - i, 0) % base, -1)
        for i in range(4)
    ]
    numbers = np.stack(places + later, axis=1)
    points = np.where(numbers >= 0, model.alphabet[numbers], 0).astype("<u4")
    width = points.shape[1]
    text = points.tobytes().decode("utf-32-le")
    words = (text[i : i + width].rstrip("\0") for i in range(0, len(text), width))
    return [unicodedata.normalize("NFC", word) for word in words]


def _below(raw: np.ndarray, limits: Any) -> np.ndarray:
    """int64 (n,) in 0 .. limit-1 of raw uint64 (n,); off from uniform by under limit / 2^64."""
    return (raw % np.asarray(limits).astype(np.uint64)).astype(np.int64)


def _key(name: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{name}/{seed}".encode()).digest()[:16], "little")


def _parse(table: dict[str, str], n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Code points uint32 (m, n), numerators and denominators int64 (m,) of a table."""
    joined = "".join(f"{grams} " for grams in table.values())
    points = np.frombuffer(joined.encode("utf-32-le"), "<u4")
    if not len(points) or len(points) % (n + 1):
        raise ValueError(f"what should be {ORDERS[n - 1]} are not")
    points = points.reshape(-1, n + 1)
    if not ((points == ord(" ")) == (np.arange(n + 1) == n)).all():
        raise ValueError(f"what should be {ORDERS[n - 1]} are not")
    fractions = np.array([_fraction(key) for key in table])
    repeats = [(len(grams) + 1) // (n + 1) for grams in table.values()]
    return points[:, :n], *np.repeat(fractions, repeats, axis=0).T


def _fraction(text: str) -> tuple[int, int]:
    numerator, _, denominator = text.partition("/")
    top, bottom = int(numerator), int(denominator)
    if not 0 < top <= bottom < MAX_COUNT:
        raise ValueError(f"{text} is not a share")
    return top, bottom


def _counts(table: dict[str, str], n: int, alphabet: np.ndarray, shorter: Grams | None) -> Grams:
    """The counts of n-grams, from those of the n-1-grams that begin them."""
    points, top, bottom = _parse(table, n)
    numbers = np.searchsorted(alphabet, points)
    if not np.array_equal(alphabet.take(numbers, mode="clip"), points):
        raise ValueError("an n-gram has a letter that is no unigram")
    codes = numbers @ len(alphabet) ** np.arange(n - 1, -1, -1)
    if shorter is None:
        total = math.lcm(*map(int, np.unique(bottom)))
        if total >= MAX_COUNT:
            raise ValueError("the unigrams have no common total")
        prefix = np.full(len(codes), total)
    else:
        prefix = shorter.count(codes // len(alphabet))
    times, over = np.divmod(prefix, bottom)
    if over.any() or not times.all():
        raise ValueError("a share is not that of whole counts")
    order = np.argsort(codes)
    if (np.diff(codes[order]) == 0).any():
        raise ValueError("an n-gram stands there twice")
    return Grams(codes[order], (times * top)[order])


def _model(archive: zipfile.ZipFile, name: str) -> Model:
    try:
        return build([_table(archive, f"{FOLDER}/{name}/{order}.json.br") for order in ORDERS])
    except DAMAGED as error:
        raise ValueError(f"the counts of {name}: {error}") from error


def _table(archive: zipfile.ZipFile, name: str) -> dict[str, str]:
    """fraction -> n-grams, of one file."""
    if archive.getinfo(name).file_size > MAX_BYTES:
        raise ValueError(f"{name} is larger than {MAX_BYTES} bytes")
    table = json.loads(b"".join(_unpacked(archive.read(name))))["ngrams"]
    if not all(isinstance(grams, str) for grams in table.values()):
        raise ValueError(f"{name} is not a table of n-grams")
    return table


def _unpacked(packed: bytes) -> Iterator[bytes]:
    """Brotli, in pieces, so that what unpacks to too much is stopped."""
    try:
        import brotli  # type: ignore[import-untyped]
    except ImportError as error:
        raise DistillError("brotli is not installed", 'pip install "studentzoo[train]"') from error
    stream, left = brotli.Decompressor(), MAX_BYTES
    try:
        while not stream.is_finished():
            piece = stream.process(packed, output_buffer_limit=2**20)
            if not piece and stream.can_accept_more_data():
                raise EOFError("it is cut off")
            left -= len(piece)
            if left < 0:
                raise ValueError(f"it unpacks to over {MAX_BYTES} bytes")
            packed = b""
            yield piece
    except brotli.error as error:
        raise ValueError(f"not brotli: {error}") from error
