"""What the teacher said, computed once per view and kept.

A view is decided by its number (`distill.augment`), so one record a picture is enough: the top-k
logits in fp16, their classes, and what the other classes share (TinyViT, Wu et al. 2022, section
3.1, with logits in place of probabilities). Records lie in shards under a folder named by the hash
of everything that they depend on; a killed run goes on with the next shard, and each use compares
some rows with the live teacher.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distill import augment as views
from distill.config import Augment, Labels
from distill.data import Dataset
from distill.errors import DistillError
from distill.progress import progress

SHARD = 8192  # pictures
_BATCH = 256  # pictures the teacher sees at once
_LARGEST = 65504  # in fp16
_FORMAT = 1

_BROKEN = (  # what numpy and zipfile raise for a file that is cut or has bits turned
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)

Ask = Callable[[np.ndarray], np.ndarray]
"""uint8 (n, s, s, 3) -> float logits (n, classes)"""


@dataclass(frozen=True)
class Audit:
    """Kept outputs beside the live teacher's."""

    rows: int  # compared
    agreement: float  # fraction with the same first class
    max_difference: float  # of the kept logits, absolute


@dataclass(frozen=True)
class Kept:
    """Top-k records of n pictures in each of v views; called by the training loop."""

    classes: int
    index: np.ndarray  # uint16 (v, n, k)
    logits: np.ndarray  # float16 (v, n, k), falling
    rest: np.ndarray  # float16 (v, n): the logit of each class that is not kept
    key: str  # sha256 of what the records depend on
    audit: Audit
    size_bytes: int  # on disk

    def __call__(self, view: int, rows: Tensor, pictures: Tensor) -> Tensor:
        """Logits float32 (b, classes) of rows (b,) in a view; pictures are not looked at."""
        at = rows.cpu().numpy()
        full = np.repeat(self.rest[view, at, None].astype(np.float32), self.classes, 1)
        np.put_along_axis(full, self.index[view, at].astype(np.int64), self.logits[view, at], 1)
        return torch.from_numpy(full)


def key(teacher: str, data: Dataset, augment: Augment, config: Labels) -> str:
    """sha256 of what the records depend on: teacher's hash, data's hash, how views are drawn."""
    facts = {
        "format": _FORMAT,
        "teacher": teacher,
        "data": data.sha256,
        "augment": asdict(augment),
        "top_k": config.top_k,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def keep(
    ask: Ask, teacher: str, data: Dataset, augment: Augment, config: Labels, root: Path
) -> Kept:
    """Every record of config.views views, from root/<key> where it stands there, else asked now.

    teacher is the sha256 of whatever answers in `ask`. Raises `DistillError` if the answers have
    another number of classes, are not finite, or do not match what was kept before.
    """
    name = key(teacher, data, augment, config)
    folder = root / name[:16]
    images = torch.from_numpy(data.images)
    width = min(config.top_k, len(data.classes))
    parts: list[list[tuple[np.ndarray, ...]]] = []
    total = config.views * len(data)
    with progress("label", total) as bar:
        for number in range(config.views):
            view = views.draw(augment, len(data), images.shape[1], number)
            parts.append([])
            for rows in _shards(len(data)):
                path = folder / f"view-{number:03d}" / f"{int(rows[0]):08d}.npz"
                record = _read(path, len(rows), width)
                if record is None:
                    pictures = views.apply(augment, view, images, rows).numpy()
                    record = _top(_answers(ask, pictures, len(data.classes)), width)
                    _write(path, number, *record)
                parts[-1].append(record)
                bar.update(len(rows), f"view {number + 1} of {config.views}")
    index, logits, rest = (
        np.stack([np.concatenate([p[i] for p in v]) for v in parts]) for i in range(3)
    )
    count = max(1, round(config.audit * len(data)))
    audit = _audit(index, logits, ask, data, augment, count)
    size = sum(path.stat().st_size for path in folder.rglob("*.npz"))
    return Kept(len(data.classes), index, logits, rest, name, audit, size)


def _shards(n: int) -> Iterator[Tensor]:
    for start in range(0, n, SHARD):
        yield torch.arange(start, min(start + SHARD, n))


def _answers(ask: Ask, pictures: np.ndarray, classes: int) -> np.ndarray:
    """The teacher's logits float32 (n, classes), each a number that fp16 holds."""
    parts = [ask(pictures[i : i + _BATCH]) for i in range(0, len(pictures), _BATCH)]
    with np.errstate(over="ignore"):  # becomes infinite, and is refused below
        logits = np.concatenate(parts).astype(np.float32)
    if logits.ndim != 2 or len(logits) != len(pictures):
        raise DistillError(f"the teacher answers {logits.shape} to {len(pictures)} pictures")
    if logits.shape[1] != classes:
        raise DistillError(
            f"the teacher knows {logits.shape[1]} classes, the data has {classes}",
            "fine-tune the teacher on this data first (a recipe with loss ce)",
        )
    if not np.isfinite(logits).all():
        raise DistillError("the teacher's logits are not all finite")
    if np.abs(logits).max() > _LARGEST:
        raise DistillError(
            f"a logit of the teacher is {np.abs(logits).max():.4g}, kept are up to {_LARGEST}",
            "subtract a constant from every row, or divide all logits by one",
        )
    return logits


def _top(logits: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes uint16 (n, k), logits float16 (n, k), and the others' common logit float16 (n,).

    The others share their mass evenly: `log sum exp` of theirs minus `log` of their number.
    """
    order = np.argsort(-logits, 1, kind="stable")
    best = np.take_along_axis(logits, order[:, :k], 1)
    rest = np.zeros(len(logits))
    if k < logits.shape[1]:
        others = np.take_along_axis(logits, order[:, k:], 1)
        rest = np.logaddexp.reduce(others, 1) - np.log(others.shape[1])
    return order[:, :k].astype(np.uint16), best.astype(np.float16), rest.astype(np.float16)


def _read(path: Path, n: int, k: int) -> tuple[np.ndarray, ...] | None:
    """A shard's arrays, or None where there is no whole shard."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            record = (arrays["index"], arrays["logits"], arrays["rest"])
    except _BROKEN:
        return None
    return record if [r.shape for r in record] == [(n, k), (n, k), (n,)] else None


def _write(path: Path, seed: int, index: np.ndarray, logits: np.ndarray, rest: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        np.savez(file, seed=np.uint64(seed), index=index, logits=logits, rest=rest)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _audit(
    index: np.ndarray,
    logits: np.ndarray,
    ask: Ask,
    data: Dataset,
    augment: Augment,
    count: int,
) -> Audit:
    """Ask the teacher again about `count` random rows of every view."""
    images = torch.from_numpy(data.images)
    worst, same = 0.0, 0
    for number in range(len(logits)):
        view = views.draw(augment, len(data), images.shape[1], number)
        rows = np.random.default_rng(number).choice(len(data), count, replace=False)
        pictures = views.apply(augment, view, images, torch.from_numpy(rows)).numpy()
        live = _answers(ask, pictures, len(data.classes))
        asked = np.take_along_axis(live, index[number, rows].astype(np.int64), 1)
        worst = max(worst, float(np.abs(logits[number, rows] - asked).max()))
        same += int((live.argmax(1) == index[number, rows, 0]).sum())
    if worst > 2e-3 * float(np.abs(logits).max()) + 1e-3:
        raise DistillError(
            f"kept teacher outputs differ from the live teacher by {worst:.3g}",
            "the teacher changed under the same name; delete the labels' folder",
        )
    return Audit(count * len(logits), same / (count * len(logits)), worst)
