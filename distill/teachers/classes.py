"""Whose names a teacher's answers have: in its own order, and more of them than the data's."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from distill.errors import DistillError
from distill.files import expanded, open_plain
from distill.teachers import beside
from distill.teachers.teacher import Teacher

_LARGEST = 10_000_000  # bytes of a file of names
_SHOWN = 5  # names in a message


def own(said: str | Sequence[str]) -> tuple[str, ...]:
    """The names that `teacher.classes` says, or those in the file that it names; (): none."""
    if not isinstance(said, str):
        return tuple(said)
    if not said:
        return ()
    path = expanded(said)
    names = _of_json(beside.load(path), path) if path.suffix == ".json" else _lines(path)
    if not names:
        raise DistillError(f"{path} names no classes", "a name a line, in the teacher's order")
    return names


def answering(teacher: Teacher, names: tuple[str, ...]) -> Teacher:
    """The teacher with its answers in the order of `names`, the data's classes; others are dropped.

    `DistillError` where the teacher does not know one of them.
    """
    if teacher.labels == names:
        return teacher
    columns = _columns(teacher.labels, names, teacher.name)
    dropped = len(teacher.labels) - len(names)
    note = f"the classes of {teacher.name} are matched by name"
    if dropped:
        note += f"; {dropped} of its {len(teacher.labels)} are not among the data's"
    facts = json.dumps([teacher.sha256, "columns", columns])
    return replace(
        teacher,
        sha256=hashlib.sha256(facts.encode()).hexdigest(),
        classes=len(names),
        width=teacher.classes,
        columns=columns,
        labels=names,
        notes=(*teacher.notes, note),
    )


def _columns(theirs: Sequence[str], ours: Sequence[str], teacher: str) -> tuple[int, ...]:
    """Where each of our names stands among theirs."""
    missing = [name for name in ours if name not in theirs]
    if missing:
        shown = ", ".join(map(repr, missing[:_SHOWN])) + (", ..." if missing[_SHOWN:] else "")
        raise DistillError(
            f"the teacher {teacher} has no class {shown}; it has {len(theirs)} others",
            f"{_near(missing[0], theirs)}: names are compared letter by letter; write those of "
            "teacher.classes as the data has them, in the teacher's order",
        )
    twice = [name for name in ours if list(theirs).count(name) > 1]
    if twice:
        raise DistillError(
            f"the teacher {teacher} has two classes called {twice[0]!r}",
            "tell them apart in teacher.classes: the data's name goes to one of them",
        )
    return tuple(list(theirs).index(name) for name in ours)


def _near(name: str, known: Sequence[str]) -> str:
    lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), lower, n=3)
    found = [repr(lower[one]) for one in close] or [repr(one) for one in known[:_SHOWN]]
    return f"{'nearest are' if close else 'it begins with'} {', '.join(found)}"


def _lines(path: Path) -> tuple[str, ...]:
    try:
        with open_plain(path) as file:
            text = file.read(_LARGEST).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DistillError(
            f"the teacher's classes {path} cannot be read: {error}",
            "teacher.classes is a list of names, or a text file with a name a line",
        ) from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _of_json(facts: Any, path: Path) -> tuple[str, ...]:
    """A list of names, or what transformers and timm call them in a config.json."""
    if isinstance(facts, Mapping):
        facts = facts.get("id2label") or facts.get("label_names") or []
    if isinstance(facts, Mapping):
        if set(facts) != set(map(str, range(len(facts)))):
            raise DistillError(f"{path}: id2label must be numbered from 0 without a gap")
        facts = [facts[str(place)] for place in range(len(facts))]
    if not isinstance(facts, list) or not all(isinstance(name, str) for name in facts):
        raise DistillError(f"{path} holds no list of names", "a JSON list, or id2label")
    return tuple(facts)
