"""What a recipe of a student that classifies pictures may say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from compress.config import Compress
from distill.config import Augment, Data
from distill.losses import LOSSES
from zoo.records.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(Recipe):
    """Of a student that reads pictures."""

    task: Literal["image-classification"] = "image-classification"  # where none is named, this one
    data: Data  # the labelled pictures
    augment: Augment = field(default_factory=Augment)  # how a view is drawn from a picture
    compress: Compress | None = None  # the ladder to 8 bits; none: an fp32 file only

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data.labelled:
            return
        if self.teacher is None:
            raise ValueError("data.labelled is false, so a teacher must answer: add one")
        if self.loss.ce or LOSSES.load(self.loss.name).labels:
            raise ValueError(
                f"data.labelled is false, but the loss {self.loss.name} learns from labels: "
                "write loss: {name: kd, ce: 0, kd: 1}"
            )
