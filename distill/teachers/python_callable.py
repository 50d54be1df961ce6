"""Any Python function as a teacher: `module:function`, uint8 (n, h, w, 3) to logits (n, classes).

The module is looked for as Python does, and in the working directory. What a function answers is
known by a hash of its module's source, with what that imports by name from beside it, and, where it
has one, of its attribute `revision`. Files that it reads, weights above all, and modules that it
imports otherwise (by `importlib`, say) are named by `teacher.depends`, so that kept labels are not
taken for those of others.
"""

from __future__ import annotations

import hashlib
from typing import Any

from distill import config, own_code
from distill.teachers.teacher import Asked, Kind, Teacher

AGAIN = "mend it and build again: it goes on where it stopped"


def open_callable(settings: config.Teacher, asked: Asked) -> Teacher:
    """The teacher `settings.callable`; `DistillError` if there is no such function."""
    wanted = "a teacher takes uint8 (n, h, w, 3) and gives logits (n, classes)"
    function = own_code.find(settings.callable, wanted)

    def answer(examples: Any) -> Any:
        with own_code.blamed(f"the teacher {settings.callable}", AGAIN):
            return function(examples)

    return Teacher(
        name=settings.callable,
        source=settings.source or settings.callable,
        sha256=fingerprint(settings.callable, function),
        licence=settings.licence,
        classes=asked.classes,
        answer=answer,
    )


def fingerprint(address: str, function: Any) -> str:
    """sha256, hexadecimal, of address, sources and `revision`."""
    facts = f"{own_code.sha256(address)} {getattr(function, 'revision', '')}"
    return hashlib.sha256(facts.encode()).hexdigest()


KIND = Kind(open_callable, ("pictures", "texts"))
