"""What a build does differently for pictures and for texts."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.records.recipe import Recipe


def of(recipe: Recipe) -> ModuleType:
    """The module of the recipe's task."""
    from zoo.tasks.image_classification import making as image
    from zoo.tasks.text_classification import making as text

    modules = {"image-classification": image, "text-classification": text}
    return modules[recipe.task]
