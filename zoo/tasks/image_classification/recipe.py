"""What a recipe of a student that classifies pictures may say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from compress.config import Compress
from distill.config import Augment, Data
from zoo.records.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(Recipe):
    """Of a student that reads pictures."""

    task: Literal["image-classification"] = "image-classification"  # where none is named, this one
    data: Data  # the labelled pictures
    augment: Augment = field(default_factory=Augment)  # how a view is drawn from a picture
    compress: Compress | None = None  # the ladder to 8 bits; none: an fp32 file only
