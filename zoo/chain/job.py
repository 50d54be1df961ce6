"""One recipe at work: where, who is told, what its task decides, and what was done before."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from zoo.chain.maker import Maker
from zoo.files import write_text
from zoo.measure.meter import Meter, meter
from zoo.records import recipe as recipes
from zoo.records import task
from zoo.records.plain import canonical
from zoo.records.recipe import Recipe
from zoo.records.task import Task

DONE = "done.json"
Say = Callable[[str], None]


def _silent(line: str) -> None:
    pass


@dataclass(frozen=True)
class Done:
    """A finished piece of a stage."""

    folder: Path  # its files
    result: dict[str, Any]  # what it found, as JSON
    fresh: bool  # done now; False: found as it stood


@dataclass(frozen=True)
class Job:
    """What every stage may use."""

    recipe: Recipe = field(repr=False)
    data: Path | None  # folder that holds the data; None: ZOO_DATA
    root: Path  # what all builds keep
    store: Path | None = None  # where it is published; None: the default store
    say: Say = _silent  # a line for whoever watches

    @property
    def name(self) -> str:
        """Of the student."""
        return self.recipe.name

    @cached_property
    def digest(self) -> str:
        """sha256 of the recipe."""
        return recipes.digest(self.recipe)

    @cached_property
    def task(self) -> Task:
        """What kind of student it is."""
        return task.find(self.recipe.task)

    @cached_property
    def maker(self) -> Maker[Any, Any]:
        """How it is made."""
        return self.task.part("maker", Maker)(self.recipe)

    @cached_property
    def meter(self) -> Meter[Any, Any]:
        """How it is measured."""
        return meter(self.recipe)

    @property
    def folder(self) -> Path:
        """What is kept of this student."""
        return self.root / self.name

    def tell(self, line: str) -> None:
        """Say it of this student."""
        self.say(f"{self.name}: {line}")

    def once(self, name: str, reads: Any, make: Callable[[Path], dict[str, Any]]) -> Done:
        """`make(folder)` unless it was done before for the same `reads`; see `once`."""
        return once(self.folder, name, reads, make)


def once(root: Path, name: str, reads: Any, make: Callable[[Path], dict[str, Any]]) -> Done:
    """`make(folder)` unless it was done before for the same `reads`: all that decides its result.

    The folder is root/<name>-<hash>. What a killed `make` left there is still there when it is
    called again, so it may go on; only a returned result marks the folder as done.
    """
    text = canonical(reads)
    folder = root / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    found = _result(folder / DONE)
    if found is not None:
        return Done(folder, found, False)
    folder.mkdir(parents=True, exist_ok=True)
    result = json.loads(canonical(make(folder)))
    write_text(folder / DONE, json.dumps({"reads": json.loads(text), "result": result}, indent=1))
    return Done(folder, result, True)


def _result(done: Path) -> dict[str, Any] | None:
    """What a finished stage wrote down; None where there is nothing, or nothing whole."""
    try:
        return json.loads(done.read_text(encoding="utf-8"))["result"]
    except (OSError, ValueError, TypeError, KeyError):
        return None


def code(package: str) -> str:
    """sha256 of a package's source: a stage that is cheap is done again when its code changed."""
    root = Path(str(importlib.import_module(package).__file__)).parent
    found = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        found.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return found.hexdigest()
