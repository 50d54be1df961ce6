"""Labelled pictures that are arrays already."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from distill.data.record import Dataset, Split, digest
from distill.errors import DistillError


def dataset(
    pictures: np.ndarray,
    labels: Sequence[int] | np.ndarray,
    classes: Sequence[str] = (),
    split: Split = "train",
) -> Dataset:
    """Pictures uint8 (n, s, s, 3), RGB, and their labels int (n,), indices of classes.

    classes are the names; left out, they are "0" to the largest label. Raises `DistillError`.
    """
    _check_pictures(pictures)
    given = np.asarray(labels)
    if given.shape != (len(pictures),) or given.dtype.kind not in "iu":
        what = f"labels are {given.dtype} {given.shape} for {len(pictures)} pictures"
        raise DistillError(what, "an integer is needed for each")
    names = tuple(classes) or tuple(map(str, range(int(given.max()) + 1)))
    if not 0 <= given.min() <= given.max() < len(names):
        what = f"labels go from {given.min()} to {given.max()}, and there are {len(names)} classes"
        raise DistillError(what, "a label is the index of its class, from 0 on")
    own, images = given.astype(np.int64), np.ascontiguousarray(pictures)
    rows = tuple(f"{names[label]}/{i}" for i, label in enumerate(own))
    return Dataset(images, own, names, split, digest(images, own, names, rows, split), rows)


def _check_pictures(pictures: np.ndarray) -> None:
    shape = pictures.shape
    square = pictures.ndim == 4 and shape[1] == shape[2] and shape[3] == 3
    if pictures.dtype != np.uint8 or not square or not len(pictures):
        what = f"pictures are {pictures.dtype} {shape}"
        raise DistillError(what, "squares uint8 (n, s, s, 3) are needed, at least one")
