"""Students that classify texts of any length."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import InputError, NothingGiven, ZooError
from zoo.inputs import text as reading
from zoo.inputs.asked import Asked
from zoo.students.classifier import (
    Classifier,
    Prediction,
    check_top,
    ranked,
    ranked_one,
    softmax,
)
from zoo.students.student import metadata_value

if TYPE_CHECKING:
    from zoo.tasks.text_classification.forms import Text

UNKNOWN = "unknown"  # the answer below the threshold


class TextStudent(Classifier):
    """Texts in, no tokenizer; the graph reads Unicode code points.

    student = zoo.load("langid75-ngram-small.lingua")
    student("guten Morgen")             # [("de", 0.97), ("lb", 0.01), ...]
    student(["bonjour", "buongiorno"])  # one such list a text
    student.label("guten Morgen")       # "de", or "unknown" below student.unknown_below
    student.logits(batch)               # int32 (n, length), 0-padded -> float32 (n, classes)
    """

    contract = ("codepoints", "tensor(int32)", 2)
    csv = True
    threads, arena = 1, False  # the graph is too small to share, and a batch's memory large

    def _read(self, about: dict[str, str]) -> None:
        super()._read(about)
        self.unknown_below = _threshold(about, self.path)  # probability; 0: never unknown

    def told(self, asked: Asked) -> Iterator[str | ZooError]:
        """A line for each text, or a row of a table, or one JSON object.

        Where folders of LABEL.txt are given, the accuracy of the likeliest label follows.
        """
        from zoo.inputs import lines
        from zoo.tasks.text_classification.forms import form_of

        if not asked.files and not asked.texts and sys.stdin.isatty():
            raise NothingGiven("give --text, text files, or a pipe")
        known = any(map(Path.is_dir, asked.files))
        form = form_of(asked)(self.labels, self.decision, asked.top, known)
        parts = lines.parts(asked, self.labels)
        return rendered(self, parts, asked.batch or lines.BATCH, asked.top, form)

    def __call__(self, texts: str | Iterable[str], top: int = 5) -> Any:
        """The `top` likeliest labels with their probabilities, the likeliest first.

        texts: a str, which is always a text and never a path, gives one list; an iterable of them
        gives a list of lists.
        """
        check_top(top)
        if isinstance(texts, str):
            return ranked_one(self._logits_of_one(texts), self.labels, top)
        return self.rank(texts, top)

    def rank(self, texts: Iterable[str], top: int = 5) -> list[Prediction]:
        """One list of (label, probability) a text."""
        return ranked(self._logits_of(texts), self.labels, top)

    def label(self, texts: str | Iterable[str]) -> Any:
        """The likeliest label of a text, or "unknown" where its probability is too low.

        A str gives a str, an iterable of them a list.
        """
        if isinstance(texts, str):
            return self.decision(ranked_one(self._logits_of_one(texts), self.labels, 1))
        return self._named(self._logits_of(texts))

    def decision(self, answer: Prediction) -> str:
        """The first label of one answer of this student, or "unknown" below the threshold."""
        label, probability = answer[0]
        return label if probability >= self.unknown_below else UNKNOWN

    def logits(self, batch: np.ndarray) -> np.ndarray:
        """Float32 (n, classes) for code points int32 (n, length), 0-padded, of any values.

        Some rows go through the network at a time, so memory does not grow with their number.
        """
        check_array(batch)
        if len(batch) == 0:
            return np.zeros((0, len(self.labels)), np.float32)
        return np.concatenate([self._run(rows) for rows in reading.cut(batch)])

    def _logits_of_one(self, text: str) -> np.ndarray:
        """Float32 (classes,)."""
        if len(text) > reading.PIECE:
            return reading.logits_of(self._run, [text])[0]
        return self._run(reading.codepoints(text or "\0").reshape(1, -1))[0]

    def _logits_of(self, texts: Iterable[str]) -> np.ndarray:
        """Float32 (n, classes)."""
        given = as_texts(texts)
        if not given:
            return np.zeros((0, len(self.labels)), np.float32)
        return reading.logits_of(self._run, given)

    def _named(self, logits: np.ndarray) -> list[str]:
        probabilities = softmax(logits)
        known = (probabilities.max(axis=1, initial=0) >= self.unknown_below).tolist()
        best = probabilities.argmax(axis=1).tolist()
        return [self.labels[i] if sure else UNKNOWN for i, sure in zip(best, known, strict=True)]


def as_texts(texts: Any) -> list[str]:
    """A list of str, or one clear error."""
    if isinstance(texts, bytes | bytearray | memoryview):
        raise _no_text(texts, "decode it first: data.decode('utf-8')")
    try:
        found = list(texts)
    except TypeError:
        raise _no_text(texts, "give a str or an iterable of str") from None
    for text in found:
        if not isinstance(text, str):
            raise _no_text(text, "each text must be a str")
    return found


def _no_text(given: Any, hint: str) -> InputError:
    return InputError(f"a text cannot be of type {type(given).__name__}", hint)


def check_array(array: Any) -> None:
    """Refuse what is not int32 (n, length)."""
    if getattr(array, "ndim", 0) != 2:
        shape = getattr(array, "shape", type(array).__name__)
        raise InputError(
            f"the array must have the shape (n, length), not {shape}",
            "zoo.inputs.text.pad([zoo.inputs.text.codepoints(text), ...]) makes one of texts",
        )
    if array.dtype != np.int32:
        raise InputError(
            f"the array must be int32, not {array.dtype}",
            "code points are whole numbers: use array.astype(numpy.int32)",
        )


def _threshold(about: dict[str, str], path: Path) -> float:
    if "studentzoo.unknown_below" not in about:
        return 0.0
    found = metadata_value(about, "studentzoo.unknown_below", path)
    if type(found) not in (int, float) or not 0 <= found <= 1:
        raise InputError(f"{path}: studentzoo.unknown_below in its metadata is no fraction")
    return float(found)


# --- what `zoo run` prints ------------------------------------------------------------------------


def answers(
    student: TextStudent, texts: Iterable[list[str]], batch: int, top: int
) -> Iterator[list[tuple[str, Prediction]]]:
    """Each text with its (label, probability) list, in order; at most `batch` of them at once."""
    for block in texts:
        for start in range(0, len(block), batch):
            chunk = block[start : start + batch]
            yield list(zip(chunk, student.rank(chunk, top), strict=True))


def rendered(
    student: TextStudent,
    parts: Iterable[tuple[str | None, Iterable[list[str]]]],
    batch: int,
    top: int | None,
    form: Text,
) -> Iterator[str]:
    """What `zoo run` prints, a part at a time, as `form` has it; parts have a label, or None."""
    yield from form.head()
    for label, texts in parts:
        form.wanted = label
        for chunk in answers(student, texts, batch, top or 1):
            yield "\n".join([form.row(text, answer) for text, answer in chunk])
    yield from form.end()
