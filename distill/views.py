"""Examples seen many ways: what the training loop and the label store know of pictures and texts.

A view is known by its number: the same number gives the same bytes of any row in whatever batch,
order or process, so what the teacher said of it can be kept and used later.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from distill import augment
from distill.config import Augment, Pieces
from distill.data import Dataset
from distill.data.texts import Texts
from distill.errors import DistillError
from distill.pieces import TextViews
from distill.students.image import resized


class View(Protocol):
    """Every example of a data set, seen one way."""

    def examples(self, rows: Tensor) -> Any:
        """Rows (b,) as a teacher reads them: uint8 pictures (b, k, k, 3), or a list of texts."""

    def inputs(self, rows: Tensor) -> Tensor:
        """Rows (b,) as a student reads them."""

    def targets(self, rows: Tensor) -> Tensor:
        """True classes of rows (b,): distributions float32 (b, classes)."""

    def batches(self, rng: np.random.Generator, size: int) -> list[Tensor]:
        """The rows of one epoch in its random order, `size` at a time; what is over is left out."""


class Views(Protocol):
    """A data set and how its views are drawn."""

    key: dict[str, Any]  # all that decides a view, for a hash

    def __len__(self) -> int: ...

    def askable(self, of: str) -> np.ndarray:
        """The rows that the teacher may answer, ascending: "all", or of texts the "words" only."""

    def steps(self, size: int) -> int:
        """Batches of `size` in an epoch."""

    def view(self, number: int) -> View:
        """The view of that number, >= 0."""


def views_of(data: Dataset | Texts, how: Augment | Pieces, device: str = "cpu") -> Views:
    """Pictures are augmented, on the device where they have room there; texts are cut."""
    if isinstance(data, Dataset) and isinstance(how, Augment):
        return PictureViews(data, how, device)
    if isinstance(data, Texts) and isinstance(how, Pieces):
        return TextViews(data, how)
    raise TypeError(f"{type(data).__name__} cannot be drawn by {type(how).__name__}")


class PictureViews:
    """Pictures cropped, mirrored, cut out and mixed as `Augment` says.

    Of large pictures where the data has them: a teacher sees the view as it was drawn, a student
    the same view at the size of `images`, as its own graph would resize it.
    """

    def __init__(self, data: Dataset, how: Augment, device: str = "cpu") -> None:
        self.data, self.how = data, how
        self.device = device if _has_room(device, data.seen.nbytes) else "cpu"
        self.images = torch.from_numpy(data.seen).to(self.device)
        self.size = data.images.shape[1]  # of what a student reads
        augment.check(how, self.size)
        self.drawn = how.times(self.images.shape[1] / self.size)
        self.labels = torch.from_numpy(data.labels).to(self.device)
        self.key = {"data": data.sha256, "augment": asdict(how)}

    def __len__(self) -> int:
        return len(self.data)

    def askable(self, of: str) -> np.ndarray:
        if of != "all":
            what = f"labels.of is {of!r}, but the data are pictures"
            raise DistillError(what, 'only "all" is', ("labels", "of"))
        return np.arange(len(self.data))

    def steps(self, size: int) -> int:
        return len(self.data) // size

    def view(self, number: int) -> _PictureView:
        drawn = augment.draw(self.drawn, len(self.data), self.images.shape[1], number)
        return _PictureView(self, drawn.to(self.device))


def _has_room(device: str, size_bytes: int) -> bool:
    """Whether a quarter of what is free on a GPU holds so much."""
    if not device.startswith("cuda"):
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return size_bytes < free // 4


class _PictureView:
    def __init__(self, views: PictureViews, drawn: augment.View) -> None:
        self.views, self.drawn = views, drawn

    def examples(self, rows: Tensor) -> np.ndarray:
        return self._drawn(rows).cpu().numpy()

    def inputs(self, rows: Tensor) -> Tensor:
        planes = self._drawn(rows).permute(0, 3, 1, 2)
        return resized(planes, self.views.size).to(torch.uint8).permute(0, 2, 3, 1)

    def _drawn(self, rows: Tensor) -> Tensor:
        rows = rows.to(self.views.device)
        return augment.apply(self.views.drawn, self.drawn, self.views.images, rows)

    def targets(self, rows: Tensor) -> Tensor:
        classes, rows = len(self.views.data.classes), rows.to(self.views.device)
        return augment.targets(self.views.how, self.drawn, self.views.labels, rows, classes)

    def batches(self, rng: np.random.Generator, size: int) -> list[Tensor]:
        order = torch.from_numpy(rng.permutation(len(self.views)))
        return list(order[: len(order) // size * size].split(size))
