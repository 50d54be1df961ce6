"""The rooms of `zoo`: each says what it is for, and no two modules need each other.

That a room uses only those below it is a contract in pyproject.toml, proved by `make check`.
"""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import zoo

PACKAGE = Path(zoo.__file__ or "").parent
ALLOWED: dict[tuple[str, str], str] = {}  # (importer, imported), under TYPE_CHECKING -> reason
ROOMS = sorted(
    path.parent for path in PACKAGE.glob("*/__init__.py") if path.parent.name != "embedded"
)


@cache
def modules() -> dict[str, Path]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imports(source: str, known: set[str]) -> set[str]:
    """Modules that a source imports anywhere: in functions and under TYPE_CHECKING too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inside & known or {str(node.module)}
    return found & known


def needs() -> dict[str, set[str]]:
    known = set(modules())
    return {
        name: {
            other
            for other in imports(path.read_text(encoding="utf-8"), known) - {name}
            if (name, other) not in ALLOWED
        }
        for name, path in modules().items()
    }


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter(needs()).prepare()
    except CycleError as circle:
        pytest.fail(f"a circle: {' <- '.join(circle.args[1])}")


def test_a_circle_would_be_found() -> None:
    known = {"zoo.a", "zoo.b", "zoo.c"}
    graph = {
        "zoo.a": imports("def f():\n    from zoo import b\n", known),
        "zoo.b": imports("if TYPE_CHECKING:\n    from zoo.c import C\n", known),
        "zoo.c": imports("import zoo.a\n", known),
    }
    assert graph == {"zoo.a": {"zoo.b"}, "zoo.b": {"zoo.c"}, "zoo.c": {"zoo.a"}}
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_says_what_it_is_for(room: Path) -> None:
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
    assert said and len(said.splitlines()) >= 3
