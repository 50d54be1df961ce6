"""What a recipe of a student that classifies texts may say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from compress.config import Rows
from distill.config import Pieces, TextData
from zoo.records.plain import LATER
from zoo.records.recipe import Recipe

_LATER = {LATER: True}


@dataclass(frozen=True, kw_only=True)
class TextRecipe(Recipe):
    """Of a student that reads texts."""

    task: Literal["text-classification"] = "text-classification"  # must be named
    data: TextData  # the labelled texts
    pieces: Pieces = field(default_factory=Pieces)  # how a view is cut from a text
    unknown_below: float = 0.5  # an answer of a smaller probability is called unknown
    nothing_before: float | None = field(default=None, metadata=_LATER)  # for the card: what share
    # of texts of no language the student before it answered
    compress: Rows | None = None  # the 8-bit codecs to try; none: an fp32 file only

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.unknown_below < 1:
            raise ValueError(f"unknown_below must lie in [0, 1), not {self.unknown_below}")
        if self.nothing_before is not None and not 0 <= self.nothing_before <= 1:
            raise ValueError(f"nothing_before must lie in [0, 1], not {self.nothing_before}")
        if self.nothing_before is not None and not self.pieces.nothing:
            raise ValueError("nothing_before means nothing where pieces.nothing is 0")
