"""trial: a recipe's teacher on labelled examples, as a build tries it first; nothing is built.

examine("flowers.yaml", data=Path("data")).trial.check()
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.chain import check, label
from zoo.chain.build import look_beside
from zoo.chain.job import Job, Say
from zoo.records import recipe as recipes

if TYPE_CHECKING:
    from distill.trial import Trial


@dataclass(frozen=True)
class Examined:
    """A teacher, and what it said."""

    teacher: str  # its name
    source: str  # where it can be had
    sha256: str  # of its file and of how it is asked
    trial: Trial


def examine(recipe: str, *, data: Path | None = None, say: Say = lambda line: None) -> Examined:
    """The teacher of a recipe (a name or a file) on labelled examples of its train split."""
    found, path = recipes.written(recipe), list(sys.path)
    job = Job(found.recipe, data, Path("runs"), None, say, document=found.document)
    try:
        look_beside(recipe)
        check.recipe(job)
        teacher, trial = label.tried(job)
    finally:
        sys.path[:] = path
    return Examined(teacher.name, teacher.source, teacher.sha256, trial)
