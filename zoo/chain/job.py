"""One recipe at work: where, who is told, what its task decides; and a step of it, done once."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from zoo.chain.maker import Maker
from zoo.errors import disk
from zoo.files import expanded, write_text
from zoo.measure import bench
from zoo.measure.devices import Call
from zoo.measure.meter import Meter, meter
from zoo.records import recipe as recipes
from zoo.records import task
from zoo.records.plain import canonical
from zoo.records.recipe import Recipe
from zoo.records.task import Task
from zoo.records.text import Document

DONE = "done.json"
Say = Callable[[str], None]
Agree = Callable[[str], bool]
"""Whether a worse student may take the place of a published one: what it is about -> yes or no"""
Timed = Callable[[Call, Call], tuple[float, float, float]]
"""How long one call takes beside another: (ratio, low, high)"""


class Step(NamedTuple):
    """A piece of a stage, done once for what it reads."""

    name: str  # of its folder
    says: str  # to whoever watches, when it begins
    reads: Any  # all that decides its result, as plain data
    make: Callable[[Path], dict[str, Any]]  # into a folder; what a killed one left is there again
    root: Path | None = None  # below which it is kept; None: the student's own folder


@dataclass(frozen=True)
class Done:
    """A finished step."""

    folder: Path  # its files
    result: dict[str, Any]  # what it found, as JSON
    fresh: bool  # done now; False: found as it stood


@dataclass(frozen=True)
class Job:
    """What every stage may use."""

    recipe: Recipe = field(repr=False)
    data: Path | None  # folder that holds the data; None: ZOO_DATA
    root: Path  # what all builds keep
    store: Path | None  # where it is published; None: the default store
    say: Say  # a line for whoever watches
    timed: Timed = bench.beside  # judges whether a teacher's 8-bit file is faster
    quick: bool = False  # nothing is timed, so nothing may be published
    agree: Agree = lambda about: False  # asked before a worse student is published
    document: Document = field(default=Document({}, "the recipe"), repr=False)  # tells lines

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

    @cached_property
    def task_code(self) -> list[str]:
        """sha256 of the source that its task makes and measures it by."""
        return codes(type(self.maker), type(self.meter))

    @property
    def folder(self) -> Path:
        """What is kept of this student."""
        return self.root / self.name

    def beside(self, name: str) -> Path:
        """What the recipe names as beside its own file."""
        return Path(self.document.name).absolute().parent / expanded(name)

    def tell(self, line: str) -> None:
        """Say it of this student."""
        self.say(f"{self.name}: {line}")


def once(root: Path, step: Step) -> Done:
    """The step, unless it was done before for the same `reads`.

    Its folder is root/<name>-<hash>; only a returned result marks it as done.
    """
    text, folder = canonical(step.reads), folder_of(root, step.name, step.reads)
    found = _result(folder / DONE)
    if found is not None:
        return Done(folder, found, False)
    with disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
    result = json.loads(canonical(step.make(folder)))
    write_text(folder / DONE, json.dumps({"reads": json.loads(text), "result": result}, indent=1))
    return Done(folder, result, True)


def begun(root: Path, step: Step) -> bool:
    """Whether it was begun before for the same `reads`, and not done."""
    return folder_of(root, step.name, step.reads).is_dir() and not finished(root, step)


def finished(root: Path, step: Step) -> bool:
    """Whether it was done before for the same `reads`."""
    return _result(folder_of(root, step.name, step.reads) / DONE) is not None


def folder_of(root: Path, name: str, reads: Any) -> Path:
    """Where a step is done."""
    return root / f"{name}-{hashlib.sha256(canonical(reads).encode()).hexdigest()[:12]}"


def _result(done: Path) -> dict[str, Any] | None:
    """What a finished step wrote down; None where there is nothing, or nothing whole."""
    try:
        return json.loads(done.read_text(encoding="utf-8"))["result"]
    except (OSError, ValueError, TypeError, KeyError):
        return None


def codes(*kinds: type) -> list[str]:
    """sha256 of the source of each class's folder, and of the modules of what it inherits."""
    folders = {kind.__module__.rpartition(".")[0] or kind.__module__ for kind in kinds}
    bases = {base.__module__ for kind in kinds for base in kind.__mro__}
    ours = {name for name in bases if name.partition(".")[0] not in sys.stdlib_module_names}
    return [code(module) for module in sorted(folders | ours)]


def code(module: str) -> str:
    """sha256 of the source of a package or module: what is cheap is done again when it changed."""
    source = importlib.import_module(module)
    found = hashlib.sha256()
    for root in map(Path, getattr(source, "__path__", [])):  # of a package; some have no __file__
        for one in sorted(root.rglob("*.py")):
            found.update(one.relative_to(root).as_posix().encode() + one.read_bytes())
    if not hasattr(source, "__path__"):
        path = Path(str(source.__file__))
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()
