"""What the other parts of this package hand to each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from distill.errors import DistillError

Split = Literal["train", "validation", "test"]
READER = 2  # counts up when a picture of another size than the wanted one is squared otherwise
LARGE = 1  # counts up when a view of a larger picture becomes a student's otherwise


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


@runtime_checkable
class Bare(Protocol):
    """A source that can do without labels."""

    def pictures(self) -> Listing:
        """Every picture, its label the empty string."""


@dataclass(frozen=True)
class Dataset:
    """One split, decoded."""

    images: np.ndarray  # uint8 (n, s, s, 3), RGB
    labels: np.ndarray  # int64 (n,), index into classes; 0 where nobody has said them
    classes: tuple[str, ...]  # in the order of their indices; empty: there are no labels yet
    split: str  # train, validation or test
    sha256: str  # of classes, split, relative names, labels and decoded pixels
    names: tuple[str, ...] = ()  # class/name of each picture, for messages
    doubts: tuple[str, ...] = ()  # what whoever trains on it should know, a sentence each
    skipped: int = 0  # pictures that cannot be read and were left out
    large: np.ndarray | None = None  # uint8 (n, k, k, 3), k > s: views are drawn from these

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def seen(self) -> np.ndarray:
        """The pictures as a teacher sees them: the large ones, or else `images`."""
        return self.images if self.large is None else self.large

    @classmethod
    def of(
        cls,
        images: np.ndarray,
        chosen: Sequence[Example],
        classes: tuple[str, ...],
        split: str,
        doubts: tuple[str, ...] = (),
        skipped: int = 0,
        large: np.ndarray | None = None,
    ) -> Dataset:
        """Pictures uint8 (n, s, s, 3) and the examples they were decoded from, in one order."""
        index = {name: i for i, name in enumerate(classes)}
        labels = np.array([index[e.label] if index else 0 for e in chosen], dtype=np.int64)
        names = tuple(f"{e.label}/{e.name}" if e.label else e.name for e in chosen)
        sha256 = digest(images, labels, classes, names, split, large)
        return cls(images, labels, classes, split, sha256, names, doubts, skipped, large)

    def answered(self, labels: np.ndarray, classes: tuple[str, ...]) -> Dataset:
        """The same pictures under labels int (n,), answers that a teacher gave.

        The sha256 stays: it is of what was read.
        """
        return replace(self, labels=labels.astype(np.int64), classes=classes)


def digest(
    images: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    names: Sequence[str],
    split: str,
    large: np.ndarray | None = None,
) -> str:
    """sha256, hexadecimal, of a JSON head and then the pixels; the same on every machine.

    Large pictures follow the small ones, and the head says which version of drawing from them.
    """
    head: dict[str, Any] = {
        "classes": list(classes),
        "labels": labels.tolist(),
        "names": list(names),
        "shape": list(images.shape),
        "split": split,
    }
    if large is not None:
        head["large"] = {"version": LARGE, "shape": list(large.shape)}
    hasher = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for pixels in (images, large):
        if pixels is not None:
            hasher.update(np.ascontiguousarray(pixels).data)
    return hasher.hexdigest()
