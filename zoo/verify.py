"""Is a file what its card says: the golden self-test, and accuracy with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import InputError
from zoo.measures import Score

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime

    # uint8 (n, h, w, 3) or int32 (n, length) -> float (n, classes)
    Logits = Callable[[np.ndarray], np.ndarray]

Z95 = 1.959963984540054  # 97.5th percentile of the normal distribution
GOLDEN = "golden.npz"
MACRO = "macro-averaged accuracy"


@dataclass(frozen=True)
class Verdict:
    """What the golden self-test found on this processor."""

    ok: bool  # logits within tolerance of those that the build wrote down
    max_difference: float  # largest absolute difference of a logit
    agreement: float  # fraction of the golden inputs with the same top-1
    tolerance: float  # largest difference allowed


def golden(
    folder: Path, precision: str, session: onnxruntime.InferenceSession | None = None
) -> Verdict:
    """Run `folder`/model.PRECISION.onnx on golden.npz's inputs and compare the logits.

    golden.npz holds `inputs`, pictures uint8 (n, h, w, 3) or texts int32 (n, length), and for each
    precision its logits float32 (n, classes) under the precision's name and `tolerance_PRECISION`,
    a float32 scalar. A session that has the file open already saves opening it.
    """
    import numpy as np

    inputs, expected, tolerance = _golden_arrays(Path(folder) / GOLDEN, precision)
    path = Path(folder) / f"model.{precision}.onnx"
    logits = (runner(path) if session is None else runner_of(session, path))(inputs)
    if logits.shape != expected.shape:
        raise InputError(
            f"the {precision} file answers {logits.shape}, golden.npz has {expected.shape}",
            "pull the student again",
        )
    difference = float(np.abs(logits - expected).max())
    same = float((logits.argmax(1) == expected.argmax(1)).mean())
    return Verdict(difference <= tolerance, difference, same, tolerance)


def _golden_arrays(path: Path, precision: str) -> tuple[np.ndarray, np.ndarray, float]:
    import zipfile

    import numpy as np

    keys = ("inputs", precision, f"tolerance_{precision}")
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            inputs, expected, tolerance = (arrays[key] for key in keys)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        hint = "pull the student again; golden.npz holds " + ", ".join(keys)
        raise InputError(f"{path} cannot be read: {error}", hint) from error
    pictures = inputs.dtype == np.uint8 and inputs.ndim == 4 and inputs.shape[3] == 3
    texts = inputs.dtype == np.int32 and inputs.ndim == 2
    if not len(inputs) or not (pictures or texts):
        raise InputError(f"{path}: inputs are {inputs.dtype} {inputs.shape}", "pull it again")
    return inputs, expected, float(tolerance)


def runner(path: Path, threads: int = 1) -> Logits:
    """The file as a function on the processor; an InputError where it cannot run."""
    from zoo.devices import open_session

    return runner_of(open_session(Path(path), threads), path)


def runner_of(session: onnxruntime.InferenceSession, path: Path) -> Logits:
    """A session on the file at `path` as such a function."""
    from zoo.session import ORT_ERRORS, one_line

    feed = session.get_inputs()[0].name

    def run(batch: np.ndarray) -> np.ndarray:
        try:
            return session.run(["logits"], {feed: batch})[0]
        except ORT_ERRORS as error:
            said = one_line(error)
            raise InputError(f"{path} cannot run: {said}", "pull the student again") from error

    return run


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

    run = runner(path, threads)
    found: list[np.ndarray] = []
    for pictures in _batches(images, batch):
        found.append(run(pictures))
        if progress is not None:
            progress(sum(map(len, found)))
    if not found:
        raise InputError("there are no pictures", "give at least one")
    return np.concatenate(found)


def _batches(images: Iterable[np.ndarray], size: int) -> Iterable[np.ndarray]:
    import numpy as np

    waiting: list[np.ndarray] = []
    for image in images:
        if waiting and (len(waiting) == size or waiting[0].shape != image.shape):
            yield np.stack(waiting)
            waiting = []
        waiting.append(image)
    if waiting:
        yield np.stack(waiting)


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
    from zoo import text

    if not texts:
        raise InputError("there are no texts", "give at least one")
    return text.logits_of(runner(path, threads), texts, progress=progress)


def accuracy_score(logits: np.ndarray, labels: np.ndarray, *, dataset: str, split: str) -> Score:
    """Top-1 accuracy of logits (n, classes) with its Wilson interval."""
    right = int(_right(logits, labels).sum())
    return proportion(right, len(labels), "top-1 accuracy", dataset=dataset, split=split)


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


def proportion(successes: int, n: int, metric: str, *, dataset: str, split: str) -> Score:
    """A fraction of n as a Score."""
    low, high = wilson(successes, n)
    return Score(metric, dataset, split, n, successes / n, low, high)


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
