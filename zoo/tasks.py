"""What a build does differently for pictures and for texts.

`zoo.learn` and `zoo.build` are the chain, the same for every student; what a recipe's task decides
stands in `zoo.task_image` and `zoo.task_text`, two modules of the same functions.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.recipe import Recipe


def of(recipe: Recipe) -> ModuleType:
    """The module of the recipe's task."""
    from zoo import task_image, task_text

    modules = {"image-classification": task_image, "text-classification": task_text}
    return modules[recipe.task]
