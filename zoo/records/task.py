"""What a task is, and the table that finds one by its name.

A task is one folder, and decides everything that another kind of student would do differently. It
hands each room the part that the room asks for, written as "module:name" and loaded when asked:

    part       is a                      decides
    recipe     records.recipe.Recipe     what a recipe of this task may say
    student    students.student.Student  what the file reads, what `zoo.load` returns and `zoo run`
                                         prints
    agreement  function of two arrays    how much two files' answers are the same
    meter      measure.meter.Meter       the test sets, the score, what is timed
    maker      chain.maker.Maker         data, teacher, network, views, export, 8 bits (torch)
    words      card.words.Words          what card and pages say

Each of these bases has defaults where most tasks do the same. Tasks of others are found by an entry
point of the group `studentzoo.tasks`: NAME = "package.module:TASK".
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from zoo.errors import NotFound, ZooError
from zoo.records.names import quoted
from zoo.said import one_line

T = TypeVar("T")
GROUP = "studentzoo.tasks"
TASKS = {
    "image-classification": "zoo.tasks.image_classification:TASK",
    "text-classification": "zoo.tasks.text_classification:TASK",
}


@dataclass(frozen=True)
class Task:
    """One kind of student, by its parts."""

    name: str  # in recipes, files, cards and registries
    title: str  # for people
    recipe: str
    student: str
    meter: str
    maker: str
    words: str
    agreement: str = "zoo.students.golden:same_first"

    def part(self, which: str, base: type[T]) -> type[T]:
        """The class of that part; a ZooError where it is none of `base`."""
        found = load(getattr(self, which))
        if not (isinstance(found, type) and issubclass(found, base)):
            raise ZooError(f"the task {self.name}: its {which} is no {base.__name__}")
        return found

    def agree(self, found: Any, expected: Any) -> float:
        """Fraction of the inputs that two arrays of outputs answer alike."""
        same: Callable[[Any, Any], float] = load(self.agreement)
        return same(found, expected)


def find(name: str) -> Task:
    """The task of that name; NotFound where neither this package nor another one has it."""
    where = TASKS.get(name) or _others().get(name)
    if where is None:
        known = ", ".join(names())
        hint = f"install the package that brings it, or a newer studentzoo; known: {known}"
        raise NotFound(f"the task {quoted(name)} is not known here", hint)
    found = load(where)
    if not isinstance(found, Task) or found.name != name:
        raise ZooError(f'{where} is not the task "{name}"', "mend the package that registers it")
    return found


def names() -> list[str]:
    """Every task that can be found here."""
    return sorted({*TASKS, *_others()})


def load(where: str) -> Any:
    """What "module:name" means; a ZooError where there is no such thing."""
    module, _, name = where.partition(":")
    try:
        found = importlib.import_module(module)
    except (ImportError, SyntaxError) as problem:
        hint = "mend or remove the package that registers this task"
        raise ZooError(f"{where} cannot be imported: {one_line(problem)}", hint) from problem
    if not hasattr(found, name):
        raise ZooError(f"{module} has no {name}, which a task names")
    return getattr(found, name)


@cache
def _others() -> dict[str, str]:
    """Tasks that other packages registered."""
    from importlib.metadata import entry_points

    return {entry.name: f"{entry.module}:{entry.attr}" for entry in entry_points(group=GROUP)}
