"""What a recipe of a student that classifies pictures may say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from zoo.records.recipe import Recipe

if TYPE_CHECKING:
    from compress.config import Compress
    from distill.config import Augment, Data


def _augment() -> Augment:
    from distill.config import Augment

    return Augment()


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(Recipe):
    """Of a student that reads pictures."""

    task: Literal["image-classification"] = "image-classification"  # where none is named, this one
    data: Data  # the labelled pictures
    augment: Augment = field(default_factory=_augment)  # how a view is drawn from a picture
    compress: Compress | None = None  # the ladder to 8 bits; none: an fp32 file only
