"""What the other parts of this package hand to each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np

from distill.errors import DistillError

Split = Literal["train", "validation", "test"]
READER = 2  # counts up when a picture of another size than the wanted one is squared otherwise


class Example(NamedTuple):
    """One labelled picture of a source, not yet read."""

    split: Split  # of the source; if none is validation, that is drawn from train later
    label: str  # name of its class
    name: str  # unique in its split and class: a file name or a row number
    key: str | int  # by which its source finds it


class Listing(NamedTuple):
    """All that a source holds."""

    examples: list[Example]
    classes: tuple[str, ...] = ()  # in the source's own order; empty: to be sorted by name
    doubts: tuple[str, ...] = ()  # what was decided without being asked, a sentence each


class Picture(NamedTuple):
    """One picture as its source holds it."""

    place: int  # position among the examples asked for
    name: str  # for messages
    content: bytes | np.ndarray | DistillError  # a file, uint8 (h, w) or (h, w, 3), or what failed


class Source(Protocol):
    """A place that holds labelled pictures."""

    where: str  # for messages

    def listing(self) -> Listing:
        """Every example of both splits, nothing decoded."""

    def read(self, wanted: Sequence[Example]) -> Iterator[Picture]:
        """The pictures of `wanted`, each once, in any order."""


@dataclass(frozen=True)
class Dataset:
    """One split, decoded."""

    images: np.ndarray  # uint8 (n, s, s, 3), RGB
    labels: np.ndarray  # int64 (n,), index into classes
    classes: tuple[str, ...]  # in the order of their indices
    split: str  # train, validation or test
    sha256: str  # of classes, split, relative names, labels and decoded pixels
    names: tuple[str, ...] = ()  # class/name of each picture, for messages
    doubts: tuple[str, ...] = ()  # what whoever trains on it should know, a sentence each
    skipped: int = 0  # pictures that cannot be read and were left out

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(
        cls,
        images: np.ndarray,
        chosen: Sequence[Example],
        classes: tuple[str, ...],
        split: str,
        doubts: tuple[str, ...] = (),
        skipped: int = 0,
    ) -> Dataset:
        """Pictures uint8 (n, s, s, 3) and the examples they were decoded from, in one order."""
        index = {name: i for i, name in enumerate(classes)}
        labels = np.array([index[e.label] for e in chosen], dtype=np.int64)
        names = tuple(f"{e.label}/{e.name}" for e in chosen)
        sha256 = digest(images, labels, classes, names, split)
        return cls(images, labels, classes, split, sha256, names, doubts, skipped)


def digest(
    images: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    names: Sequence[str],
    split: str,
) -> str:
    """sha256, hexadecimal, of a JSON head and then the pixels; the same on every machine."""
    head = {
        "classes": list(classes),
        "labels": labels.tolist(),
        "names": list(names),
        "shape": list(images.shape),
        "split": split,
    }
    hasher = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    hasher.update(np.ascontiguousarray(images).data)
    return hasher.hexdigest()
