"""The two tasks of a build offer the same functions."""

import ast
import inspect
from types import ModuleType

import pytest

from zoo import task_image, task_text


def functions(module: ModuleType) -> dict[str, list[str]]:
    """Public functions and the names of their arguments, read from the source."""
    tree = ast.parse(inspect.getsource(module))
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {f.name: [a.arg for a in f.args.args] for f in found if not f.name.startswith("_")}


ONLY = {"image_size", "spread"}  # of pictures


@pytest.mark.parametrize("name", sorted(functions(task_text)))
def test_what_texts_offer_pictures_offer_too(name: str) -> None:
    assert functions(task_image)[name] == functions(task_text)[name]


def test_pictures_offer_nothing_more_but_their_size() -> None:
    assert set(functions(task_image)) - set(functions(task_text)) == ONLY
