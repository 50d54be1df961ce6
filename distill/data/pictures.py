"""From encoded pictures to RGB squares, and which of them cannot be read."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np

from distill.data.image import decoded, square
from distill.data.record import Picture
from distill.errors import DistillError

BATCH = 256  # encoded pictures that one thread holds at a time
SHOWN = 10  # broken pictures in a message
HINT = "replace or remove the file; it may be cut off or not what its name says"

Broken = dict[int, DistillError]
"""Pictures that cannot be read, by place: each error names its picture"""


def decode_all(
    pictures: Iterable[Picture], count: int, sizes: Sequence[int]
) -> tuple[list[np.ndarray], Broken]:
    """For each of sizes uint8 (count, size, size, 3), each picture at its index.

    Those that are broken are black.
    """
    found = [np.zeros((count, size, size, 3), np.uint8) for size in sizes]

    def put(picture: Picture) -> None:
        for images, pixels in zip(found, _squares(picture, sizes), strict=True):
            images[picture.place] = pixels

    return found, _each(pictures, put)


def broken_of(pictures: Iterable[Picture]) -> Broken:
    """Those that cannot be read; nothing is kept of the others."""
    return _each(pictures, lambda picture: decode(picture, 8))


def decode(picture: Picture, size: int) -> np.ndarray:
    """uint8 (size, size, 3); a DistillError that names the picture when it cannot be decoded."""
    return _squares(picture, (size,))[0]


def _squares(picture: Picture, sizes: Sequence[int]) -> list[np.ndarray]:
    """`decode` at several sizes, each from the picture itself."""
    try:
        if isinstance(picture.content, DistillError):
            raise picture.content
        if isinstance(picture.content, np.ndarray):
            return [np.asarray(square(picture.content, size)) for size in sizes]
        with decoded(picture.content) as image:
            return [np.asarray(square(image, size)) for size in sizes]
    except DistillError as problem:
        raise DistillError(f"{picture.name}: {problem}", problem.hint or HINT) from None


def error_of(broken: Sequence[DistillError]) -> DistillError:
    """All of them, at least one, as one error."""
    if len(broken) == 1:
        hint = f"{broken[0].hint}; data.on_broken: skip leaves it out"
        return DistillError(str(broken[0]), hint)
    return DistillError(
        f"{len(broken)} pictures cannot be read: {shown(broken)}",
        "replace or remove them; data.on_broken: skip leaves them out",
    )


def shown(broken: Sequence[DistillError]) -> str:
    """The first of them, each with its reason."""
    some = "; ".join(map(str, broken[:SHOWN]))
    return some + (f"; and {len(broken) - SHOWN} more" if len(broken) > SHOWN else "")


def _each(pictures: Iterable[Picture], do: Callable[[Picture], object]) -> Broken:
    """Every picture once, by a pool of threads; the `DistillError` of each that is refused."""
    broken: Broken = {}

    def several(batch: list[Picture]) -> None:
        for picture in batch:
            try:
                do(picture)
            except DistillError as problem:
                broken[picture.place] = problem

    threads = os.cpu_count() or 1
    batches = _batched(pictures, BATCH)
    quiet = warnings.catch_warnings(action="ignore")  # of Pillow, about what it reads all the same
    with quiet, ThreadPoolExecutor(threads) as pool:
        while running := [pool.submit(several, batch) for batch in islice(batches, threads)]:
            for future in running:
                future.result()
    return dict(sorted(broken.items()))


def _batched(pictures: Iterable[Picture], size: int) -> Iterator[list[Picture]]:
    iterator = iter(pictures)
    while batch := list(islice(iterator, size)):
        yield batch
