"""What a recipe of this task may say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from compress.config import Compress
from zoo.records.recipe import Recipe


@dataclass(frozen=True)
class Levels:
    """Pictures of one brightness and some noise, made from seeds."""

    source: str  # any name
    licence: str
    home: str = ""
    name: str = "levels"
    image_size: int = 16  # pixels
    train: int = 256  # pictures
    held_out: int = 64  # pictures of validation, and of test


@dataclass(frozen=True, kw_only=True)
class LevelRecipe(Recipe):
    """Of a student that tells brightness."""

    task: Literal["brightness"] = "brightness"
    data: Levels
    compress: Compress | None = None
