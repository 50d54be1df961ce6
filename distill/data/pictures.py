"""From an encoded picture to an RGB square."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np

from distill.data.image import decoded, square
from distill.data.record import Picture
from distill.errors import DistillError

BATCH = 256  # encoded pictures that one thread holds at a time


def decode_all(pictures: Iterable[Picture], count: int, size: int) -> np.ndarray:
    """uint8 (count, size, size, 3): each picture at its index, decoded by a pool of threads."""
    images = np.zeros((count, size, size, 3), np.uint8)

    def put(batch: list[Picture]) -> None:
        for picture in batch:
            images[picture.place] = decode(picture, size)

    threads = os.cpu_count() or 1
    batches = _batched(pictures, BATCH)
    quiet = warnings.catch_warnings(action="ignore")  # of Pillow, about what it reads all the same
    with quiet, ThreadPoolExecutor(threads) as pool:
        while running := [pool.submit(put, batch) for batch in islice(batches, threads)]:
            for future in running:
                future.result()
    return images


def decode(picture: Picture, size: int) -> np.ndarray:
    """uint8 (size, size, 3); a DistillError that names the picture when it cannot be decoded."""
    try:
        if isinstance(picture.content, np.ndarray):
            return np.asarray(square(picture.content, size))
        with decoded(picture.content) as image:
            return np.asarray(square(image, size))
    except DistillError as problem:
        raise DistillError(
            f"{picture.name}: {problem}",
            problem.hint
            or "replace or remove the file; it may be cut off or not what its name says",
        ) from None


def _batched(pictures: Iterable[Picture], size: int) -> Iterator[list[Picture]]:
    iterator = iter(pictures)
    while batch := list(islice(iterator, size)):
        yield batch
