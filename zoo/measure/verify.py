"""Is a file what its card says: the golden self-test, and accuracy with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import InputError
from zoo.records.measures import Score

if TYPE_CHECKING:
    import numpy as np

    # uint8 (n, h, w, 3) or int32 (n, length) -> float (n, classes)
    Logits = Callable[[np.ndarray], np.ndarray]

Z95 = 1.959963984540054  # 97.5th percentile of the normal distribution
MACRO = "macro-averaged accuracy"


def logits_of(
    path: Path,
    images: Iterable[np.ndarray],
    *,
    batch: int = 64,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Logits float32 (n, classes) of every picture.

    `images` is an array uint8 (n, h, w, 3) or an iterable of pictures uint8 (h, w, 3); pictures of
    one size that follow each other share a batch. `progress(done)` is called after each batch.
    """
    import numpy as np

    from zoo.students.session import runner

    run = runner(path, threads)
    found: list[np.ndarray] = []
    for pictures in _batches(images, batch):
        found.append(run(pictures))
        if progress is not None:
            progress(sum(map(len, found)))
    if not found:
        raise InputError("there are no pictures", "give at least one")
    return np.concatenate(found)


def _batches(images: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Runs of pictures of one size, at most `size` at once."""
    import numpy as np

    for _, alike in groupby(images, key=lambda image: image.shape):
        while pictures := list(islice(alike, size)):
            yield np.stack(pictures)


def logits_of_texts(
    path: Path,
    texts: Sequence[str],
    *,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Logits float32 (n, classes) of every text, read and batched as `zoo.load` does it.

    `progress(done)` is called after each batch.
    """
    from zoo.inputs import text
    from zoo.students.session import runner

    if not texts:
        raise InputError("there are no texts", "give at least one")
    return text.logits_of(runner(path, threads), texts, progress=progress)


def accuracy_score(logits: np.ndarray, labels: np.ndarray, *, dataset: str, split: str) -> Score:
    """Top-1 accuracy of logits (n, classes) with its Wilson interval."""
    right = int(_right(logits, labels).sum())
    low, high = wilson(right, len(labels))
    value = right / len(labels)
    return Score("top-1 accuracy", dataset, split, len(labels), value, low, high)


def _right(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which answers are right, bool (n,)."""
    if len(logits) != len(labels):
        raise InputError(f"{len(logits)} answers for {len(labels)} labels", "give one label each")
    return logits.argmax(1) == labels


def macro_score(logits: np.ndarray, labels: np.ndarray, *, dataset: str, split: str) -> Score:
    """Accuracy of logits (n, classes) averaged over the classes that labels (n,) hold.

    Each of these C classes weighs the same. The interval is the normal one of a mean of
    independent proportions: value +- 1.96 sqrt(sum_c p_c (1 - p_c) / n_c) / C, within [0, 1].
    """
    right, counts = _by_class(logits, labels)
    if not len(counts):
        raise InputError("there are no texts", "give at least one")
    value = float(right.mean())
    half = Z95 * math.sqrt((right * (1 - right) / counts).sum()) / len(right)
    low, high = max(0.0, value - half), min(1.0, value + half)
    return Score(MACRO, dataset, split, len(labels), value, low, high)


def class_accuracy(
    logits: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> dict[str, float]:
    """Accuracy of logits (n, classes) in each class that labels (n,) hold, by its name."""
    import numpy as np

    right, _ = _by_class(logits, labels)
    names = [classes[label] for label in np.unique(labels)]
    return dict(zip(names, right.tolist(), strict=True))


def _by_class(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy and number of examples, both (C,), of the classes in labels (n,), in order."""
    import numpy as np

    right = _right(logits, labels)
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.bincount(place, right, minlength=len(counts)) / counts, counts


def wilson(successes: int, n: int) -> tuple[float, float]:
    """95 % score interval of a proportion (Wilson, JASA 22, 1927); n >= 1."""
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"{successes} of {n} is no proportion")
    p, z2 = successes / n, Z95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return low, high


def calibration_error(logits: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error of the top-1 probability (Guo et al., ICML 2017, eq. 3).

    Over `bins` equal bins of confidence: the gap between accuracy and mean confidence, weighted
    by the share of the pictures. logits (n, classes), labels int (n,); a fraction in [0, 1].
    """
    import numpy as np

    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    probability = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
    confidence = probability.max(1)
    right = (logits.argmax(1) == labels).astype(np.float64)
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gap = np.bincount(place, right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(labels))
