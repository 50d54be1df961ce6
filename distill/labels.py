"""What the teacher said, computed once per view and kept.

A view is decided by its number (`distill.views`), so one record an example is enough: the top-k
logits in fp16, their classes, and what the other classes share (TinyViT, Wu et al. 2022, section
3.1, with logits in place of probabilities). Records lie in shards under a folder named by the hash
of everything that they depend on; a killed run goes on with the next shard, and each use compares
some rows with the live teacher.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.config import Augment, Labels, Pieces
from distill.data import Dataset
from distill.data.texts import Texts
from distill.errors import DistillError
from distill.files import DAMAGED, write
from distill.progress import progress
from distill.teachers.teacher import NotFiniteError, naming
from distill.trial import STEADY, UNSTEADY, UNSTEADY_HINT, tolerance, unsteady
from distill.views import View, Views, views_of

SHARD = 8192  # examples
_BATCH = 4096  # examples the teacher sees at once
_LARGEST = 65504  # in fp16
_FORMAT = 1

Ask = Callable[[Any], np.ndarray]
"""Pictures uint8 (n, s, s, 3), or a list of n texts -> float logits (n, classes)"""


@dataclass(frozen=True)
class Audit:
    """Kept outputs beside the live teacher's."""

    rows: int  # compared
    agreement: float  # fraction with the same first class
    max_difference: float  # of the kept logits, absolute


@dataclass(frozen=True)
class Kept:
    """Top-k records of m asked examples in each of v views; called by the training loop."""

    classes: int
    place: np.ndarray  # int64 (n,): an example's place among the asked, -1 where it is none
    index: np.ndarray  # uint16 (v, m, k)
    logits: np.ndarray  # float16 (v, m, k), falling
    rest: np.ndarray  # float16 (v, m): the logit of each class that is not kept
    key: str  # sha256 of what the records depend on
    audit: Audit
    size_bytes: int  # on disk

    def __call__(self, view: int, rows: Tensor, inputs: Tensor) -> Tensor:
        """Logits float32 (b, classes) of rows (b,) in a view; -inf if the teacher was not asked.

        inputs are not looked at.
        """
        at = self.place[rows.cpu().numpy()]
        full = np.repeat(self.rest[view, at, None].astype(np.float32), self.classes, 1)
        np.put_along_axis(full, self.index[view, at].astype(np.int64), self.logits[view, at], 1)
        full[at < 0] = -np.inf
        return torch.from_numpy(full)


def key(teacher: str, views: Views, config: Labels) -> str:
    """sha256 of what the records depend on: teacher's hash, data's hash, how views are drawn."""
    facts = {"format": _FORMAT, "teacher": teacher, "top_k": config.top_k, **views.key}
    if (config.of, config.share) != ("all", 1.0):
        facts |= {"of": config.of, "share": config.share}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def keep(
    ask: Ask,
    teacher: str,
    data: Dataset | Texts,
    how: Augment | Pieces,
    config: Labels,
    root: Path,
) -> Kept:
    """Every record of config.views views, from root/<key> where it stands there, else asked now.

    teacher is the sha256 of whatever answers in `ask`. Raises `DistillError` if the answers have
    another number of classes, are not finite, or do not match what was kept before.
    """
    views, classes = views_of(data, how), len(data.classes)
    called = np.array(getattr(data, "names", ()), object)
    name = key(teacher, views, config)
    folder = root / name[:16]
    asked = _asked(views, config)
    if len(asked) == 0:
        raise DistillError(
            f"labels.of {config.of!r} and labels.share {config.share:g} leave the teacher nothing "
            f"to answer of {len(views)} examples",
            "raise labels.share, or give data.words or data.counts",
        )
    index, logits, rest = _records(ask, views, asked, config, folder, classes, called)
    place = np.full(len(views), -1)
    place[asked] = np.arange(len(asked))
    audit = _audit(index, logits, ask, views, asked, config.audit, classes, called)
    size = sum(path.stat().st_size for path in folder.rglob("*.npz"))
    return Kept(classes, place, index, logits, rest, name, audit, size)


def _records(
    ask: Ask,
    views: Views,
    asked: np.ndarray,
    config: Labels,
    folder: Path,
    classes: int,
    called: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """What `_top` makes of every view, stacked; shards that lie in `folder` are not asked for."""
    parts: list[list[tuple[np.ndarray, ...]]] = []
    width = min(config.top_k, classes)
    with progress("label", config.views * len(asked)) as bar:
        for number in range(config.views):
            view = views.view(number)
            parts.append([])
            for first in range(0, len(asked), SHARD):
                rows = asked[first : first + SHARD]
                path = folder / f"view-{number:03d}" / f"{first:08d}.npz"
                record = _read(path, len(rows), width)
                if record is None:
                    examples = view.examples(torch.from_numpy(rows))
                    with naming(examples, _of(called, rows)):
                        record = _top(_answers(ask, examples, classes), width)
                    _write(path, number, *record)
                parts[-1].append(record)
                bar.update(len(rows), f"view {number + 1} of {config.views}")
    return tuple(np.stack([np.concatenate([p[i] for p in v]) for v in parts]) for i in range(3))


def _asked(views: Views, config: Labels) -> np.ndarray:
    """The rows that the teacher answers in every view, ascending."""
    rows = views.askable(config.of)
    chance = np.random.Generator(np.random.Philox(key=len(rows))).random(len(rows))
    return rows[chance < config.share]


def _of(called: np.ndarray, rows: np.ndarray) -> Sequence[str]:
    """The names of rows, of those of all examples, where they have any."""
    found: list[str] = called[rows].tolist() if len(called) else []
    return found


def _answers(ask: Ask, examples: Any, classes: int) -> np.ndarray:
    """The teacher's logits float32 (n, classes), each a number that fp16 holds."""
    parts = []
    for start in range(0, len(examples), _BATCH):
        try:
            parts.append(ask(examples[start : start + _BATCH]))
        except NotFiniteError as error:
            raise NotFiniteError(error.teacher, start + error.row) from None
    with np.errstate(over="ignore"):  # becomes infinite, and is refused below
        logits = np.concatenate(parts).astype(np.float32)
    if logits.ndim != 2 or len(logits) != len(examples):
        raise DistillError(f"the teacher answers {logits.shape} to {len(examples)} examples")
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
    except DAMAGED:
        return None
    return record if [r.shape for r in record] == [(n, k), (n, k), (n,)] else None


def _write(path: Path, seed: int, index: np.ndarray, logits: np.ndarray, rest: np.ndarray) -> None:
    buffer = io.BytesIO()  # a zip has its own words for a full disk
    np.savez(buffer, seed=np.uint64(seed), index=index, logits=logits, rest=rest)
    write(path, lambda file: file.write(buffer.getbuffer()))


def _audit(
    index: np.ndarray,
    logits: np.ndarray,
    ask: Ask,
    views: Views,
    asked: np.ndarray,
    fraction: float,
    classes: int,
    called: np.ndarray,
) -> Audit:
    """Ask the teacher again about a fraction of the rows of every view, drawn at random."""
    count = max(1, round(fraction * len(asked)))
    worst, same, steady, most = 0.0, 0, True, tolerance(logits)
    for number in range(len(logits)):
        rows = np.random.default_rng(number).choice(len(asked), count, replace=False)
        examples = views.view(number).examples(torch.from_numpy(asked[rows]))
        with naming(examples, _of(called, asked[rows])):
            live = _answers(ask, examples, classes)
        off = np.take_along_axis(live, index[number, rows].astype(np.int64), 1)
        off = np.abs(logits[number, rows] - off)
        if steady and off.max() > most:
            steady = _steady(ask, views.view(number), asked[:STEADY], classes)
        worst = max(worst, float(off.max()))
        same += int((live.argmax(1) == index[number, rows, 0]).sum())
    if not steady:
        raise DistillError(UNSTEADY, UNSTEADY_HINT)
    if worst > most:
        raise DistillError(
            f"kept teacher outputs differ from the live teacher by {worst:.3g}",
            "the teacher changed under the same name: of a callable or a module, name the files "
            "that it reads by teacher.depends; of another, delete the labels' folder",
        )
    return Audit(count * len(logits), same / (count * len(logits)), worst)


def _steady(ask: Ask, view: View, rows: np.ndarray, classes: int) -> bool:
    """Whether the live teacher agrees with itself."""

    def answers(examples: Any) -> np.ndarray:
        return _answers(ask, examples, classes)

    examples = view.examples(torch.from_numpy(rows))
    return not unsteady(answers, examples, answers(examples))
