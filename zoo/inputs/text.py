"""Texts as the text students read them: Unicode code points, int32, padded with 0.

A text is normalised to NFC and no more; the graph folds case and knows what a letter is. Of a text
longer than LIMIT code points, evenly spaced pieces are read, always the same ones.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence

import numpy as np

LIMIT = 4096  # code points of a text that are read
PIECES = 16  # that a longer text is read in
BATCH = 4096  # code points, padding counted, that go through the network together
WINDOW = 4096  # texts that are made ready at once
SPREAD, SLACK = 1.25, 4  # the longest text of a batch: at most SPREAD * shortest + SLACK

_INT32 = np.dtype("<i4")  # what UTF-32-LE holds; int32 on all machines that onnxruntime runs on

Run = Callable[[np.ndarray], np.ndarray]  # int32 (n, length) -> float32 (n, classes)


def codepoints(text: str) -> np.ndarray:
    """Code points int32 (length,) of a text in NFC; lone surrogates stay what they are."""
    return _encode(prepare(text))


def prepare(text: str) -> str:
    """The text as it is read: in NFC, and no longer than LIMIT before that.

    The pieces are cut first: composing a long run of marks takes time as the square of its length.
    """
    if len(text) > LIMIT:
        text = _excerpt(text)
    if unicodedata.is_normalized("NFC", text):
        return text
    return unicodedata.normalize("NFC", text)


def _excerpt(text: str) -> str:
    """PIECES evenly spaced pieces of a long text, the first and the last of it among them.

    NUL, which is no letter, stands between them: LIMIT code points in all.
    """
    length = (LIMIT - (PIECES - 1)) // PIECES
    last = len(text) - length
    starts = [last * piece // (PIECES - 1) for piece in range(PIECES)]
    return "\0".join([text[start : start + length] for start in starts])


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

    `progress(done)` is called after each batch.
    """
    order: list[int] = []
    found: list[np.ndarray] = []
    for start in range(0, len(texts), WINDOW):
        ready = [prepare(text) for text in texts[start : start + WINDOW]]
        for rows in buckets([len(text) for text in ready]):
            found.append(run(matrix([ready[row] for row in rows])))
            order += [start + row for row in rows]
            if progress is not None:
                progress(len(order))
    together = np.concatenate(found)
    logits = np.empty_like(together)
    logits[order] = together
    return logits


def _encode(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), _INT32)
