"""Texts as the text students read them: Unicode code points, int32, padded with 0.

What is not to be seen (soft hyphens, zero-width signs) is left out, and the rest normalised to NFC,
letters in other clothes with a mark behind them to NFKC; the graph folds case and clothes and knows
what a letter is. A text longer than PIECE code points is read in evenly spaced pieces, always the
same ones, and answered by their mean, each weighed by its letters: what a text is half of, is half
of its answer.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np

PIECE = 512  # code points that are read together
PIECES = 8  # that a text is read in at most
BATCH = 4096  # code points, padding counted, that go through the network together
WINDOW = 4096  # texts that are made ready at once
BLOCK = 64  # texts that are looked at together
SPREAD, SLACK = 1.25, 4  # the longest text of a batch: at most SPREAD * shortest + SLACK

_INT32 = np.dtype("<i4")  # what UTF-32-LE holds; int32 on all machines that onnxruntime runs on

_UNSEEN = """00AD 034F 061C 115F-1160 17B4-17B5 180B-180F 200B-200F 202A-202E 2060-206F 3164
FE00-FE0F FEFF FFA0 FFF0-FFF8 1BCA0-1BCA3 1D173-1D17A E0000-E0FFF
"""  # Unicode's Default_Ignorable_Code_Point
_CLOTHED = "24B6-24E9 FF21-FF3A FF41-FF5A FF66-FF9D 1D400-1D7CB 1F130-1F149"  # before marks
_MARKS = "0300-036F 3099-309A FF9E-FF9F"  # that compose with the plain letter


def _spans(said: str) -> list[tuple[int, int]]:
    """(first, last) code point of each span."""
    ends = (span.split("-") for span in said.split())
    return [(int(span[0], 16), int(span[-1], 16)) for span in ends]


def _any_of(said: str) -> str:
    """The set of a regular expression."""
    return f"[{''.join(f'{chr(first)}-{chr(last)}' for first, last in _spans(said))}]"


_HIDDEN = re.compile(_any_of(_UNSEEN))
_MARKED = re.compile(f"{_any_of(_CLOTHED)}{_any_of(_MARKS)}+")

Run = Callable[[np.ndarray], np.ndarray]  # int32 (n, length) -> float32 (n, classes)


def codepoints(text: str) -> np.ndarray:
    """Code points int32 (length,) of a text as it is read; lone surrogates stay what they are."""
    return _encode(prepare(text))


def prepare(text: str) -> str:
    """The text as it is read, but for its pieces: without what is not to be seen, composed.

    PIECE code points are composed at a time, for that takes time as the square of a run of marks.
    """
    if text.isascii():
        return text
    text = visible(text)
    if len(text) <= PIECE:
        return _composed(text)
    return "".join(_composed(text[i : i + PIECE]) for i in range(0, len(text), PIECE))


def _composed(text: str) -> str:
    return _nfc(_MARKED.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text))


def _nfc(text: str) -> str:
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def prepared(texts: list[str]) -> list[str]:
    """`prepare` of every text of at most PIECE code points; most need little, seen at once."""
    together = "\0".join(texts)
    if together.isascii():
        return texts
    odd = np.flatnonzero(_odd()[_encode(together)])
    ends = np.cumsum([len(text) + 1 for text in texts])
    texts = texts.copy()
    for row in np.unique(np.searchsorted(ends, odd, side="right")).tolist():
        texts[row] = prepare(texts[row])
    return [_nfc(text) for text in texts]


@cache
def _odd() -> np.ndarray:
    """Which code points ask for more than composing, bool (0x110000,)."""
    found = np.zeros(sys.maxunicode + 1, bool)
    for first, last in _spans(_UNSEEN + _CLOTHED):
        found[first : last + 1] = True
    return found


def visible(text: str) -> str:
    """The text without the code points that programs do not show."""
    return _HIDDEN.sub("", text)


def pieces(text: str) -> list[str]:
    """At most PIECES pieces of PIECE code points, evenly spaced, the text's first and last too.

    What is not to be seen does not count. They are cut before they are composed.
    """
    if len(text) > PIECE and not text.isascii():
        text = visible(text)
    if len(text) <= PIECE:
        return [text]
    count = min(PIECES, -(-len(text) // PIECE))
    last = len(text) - PIECE
    starts = [last * piece // (count - 1) for piece in range(count)]
    return [text[start : start + PIECE] for start in starts]


def matrix(texts: Sequence[str]) -> np.ndarray:
    """Prepared texts as int32 (n, length), 0-padded; length is at least 1."""
    length = max(1, max(map(len, texts), default=1))
    return _encode("".join([text.ljust(length, "\0") for text in texts])).reshape(-1, length)


def pad(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Code points int32 (length_i,) of n texts as int32 (n, length), 0-padded; length >= 1."""
    length = max(1, max(map(len, rows), default=1))
    padded = np.zeros((len(rows), length), np.int32)
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    return padded


def cut(batch: np.ndarray) -> Iterator[np.ndarray]:
    """The rows of code points int32 (n, length) in order, BATCH code points at most at a time.

    A longer row goes alone. The columns of zeros at the end are left out; one column stays.
    """
    if batch.shape[1] == 0:
        batch = np.zeros((len(batch), 1), np.int32)
    size = max(1, BATCH // batch.shape[1])
    for start in range(0, len(batch), size):
        rows = batch[start : start + size]
        length = int(np.flatnonzero(rows.any(axis=0)).max(initial=0)) + 1
        yield np.ascontiguousarray(rows[:, :length])


def buckets(lengths: Sequence[int]) -> list[list[int]]:
    """Rows that may go through the network together: of like length, BATCH code points at most.

    A longer text goes alone. Each row is in one bucket.
    """
    found: list[list[int]] = []
    longest = 0  # code points a text that the last bucket may have
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = max(1, lengths[row])
        if found and length <= longest and (len(found[-1]) + 1) * length <= BATCH:
            found[-1].append(row)
        else:
            found.append([row])
            longest = int(SPREAD * length) + SLACK
    return found


def logits_of(
    run: Run, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
) -> np.ndarray:
    """Logits float32 (n, classes) of texts of any lengths, n >= 1; like lengths go together.

    Those of a text in pieces are the logarithm of the mean of their probabilities, each weighed by
    how many letters it has. `progress(done)` is called after each batch.
    """
    found: list[np.ndarray] = []
    for start in range(0, len(texts), WINDOW):
        some = texts[start : start + WINDOW]
        parts = [pieces(text) for text in some]
        whole = [piece for part in parts for piece in part]
        blocks = [whole[i : i + BLOCK] for i in range(0, len(whole), BLOCK)]
        ready = [text for block in blocks for text in prepared(block)]
        order: list[int] = []
        logits: list[np.ndarray] = []
        for rows in buckets([len(text) for text in ready]):
            logits.append(run(matrix([ready[row] for row in rows])))
            order += rows
            if progress is not None:
                progress(start + len(order) * len(some) // len(ready))
        found.append(_joined(np.concatenate(logits)[np.argsort(order)], parts))
    return np.concatenate(found)


def _joined(logits: np.ndarray, parts: list[list[str]]) -> np.ndarray:
    """Logits (n, classes) of n texts, whose pieces stand one after another in (pieces, classes)."""
    if len(parts) == len(logits):
        return logits
    first = np.cumsum([0, *map(len, parts)])[:-1]
    joined = logits[first]
    for row, part in enumerate(parts):
        if len(part) > 1:
            own = logits[first[row] : first[row] + len(part)]
            joined[row] = _mean(own, [sum(map(str.isalpha, piece)) for piece in part])
    return joined


def _mean(logits: np.ndarray, letters: list[int]) -> np.ndarray:
    """Logits (classes,) of the mean of the rows' probabilities, weighed by `letters`."""
    read = np.array(letters) > 0
    if not read.any():
        return logits[0]
    shares = logits[read] - np.logaddexp.reduce(logits[read], axis=1, keepdims=True)
    weights = np.array(letters)[read, np.newaxis]
    return np.logaddexp.reduce(shares + np.log(weights / weights.sum()), axis=0)


def _encode(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), _INT32)
