"""Many pictures: folders are walked, batches answered, and a broken picture stops no other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import InputError

if TYPE_CHECKING:
    from zoo.students.load import PictureStudent, Prediction

SUFFIXES = frozenset(".avif .bmp .gif .jp2 .jpeg .jpg .pgm .png .ppm .tif .tiff .webp".split())  # noqa: SIM905


def pictures(paths: Iterable[Path]) -> list[Path]:
    """Files as given, and the pictures (by their suffix) below each folder, sorted."""
    found: list[Path] = []
    for path in paths:
        found += _below(path) if path.is_dir() else [path]
    return found


def _below(folder: Path) -> list[Path]:
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise InputError(f"{folder}: no pictures in it", f"known are {' '.join(sorted(SUFFIXES))}")
    return files


def answers(
    student: PictureStudent, files: Sequence[Path], batch: int, top: int
) -> Iterator[tuple[Path, Prediction | InputError]]:
    """Each file with its (label, probability) list, or with what is wrong with it; in order."""
    waiting = iter(files)
    while chunk := list(islice(waiting, batch)):
        yield from zip(chunk, _answer(student, chunk, top), strict=True)


def _answer(
    student: PictureStudent, chunk: list[Path], top: int
) -> Iterator[Prediction | InputError]:
    """The answers of one batch; where a picture breaks it, each is tried alone."""
    try:
        yield from student.rank(chunk, top)
    except InputError as error:
        if len(chunk) == 1:
            yield error
            return
        for path in chunk:
            yield from _answer(student, [path], top)


def as_text(path: Path, answer: Prediction) -> str:
    """A line for each answer: file, probability and label, tabs between them."""
    return "\n".join(f"{path}\t{probability:.4f}\t{label}" for label, probability in answer)


def as_json(path: Path, answer: Prediction) -> str:
    """One JSON object on one line."""
    labels = [{"label": label, "probability": probability} for label, probability in answer]
    return json.dumps({"file": str(path), "answers": labels}, ensure_ascii=False)
