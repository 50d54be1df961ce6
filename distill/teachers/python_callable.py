"""Any Python function as a teacher: `module:function`, uint8 (n, h, w, 3) to logits (n, classes).

The module is looked for as Python does, and in the working directory. What a function answers is
known by a hash of its module's source (in a package: of all that lies in the module's folder) and,
where it has one, of its attribute `revision`. Files that it reads, weights above all, are named by
`teacher.depends`, so that kept labels are not taken for those of others.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

from distill import config
from distill.errors import DistillError
from distill.teachers.teacher import Asked, Kind, Teacher
from distill.theirs import theirs


def open_callable(settings: config.Teacher, asked: Asked) -> Teacher:
    """The teacher `settings.callable`; `DistillError` if there is no such function."""
    function = find(settings.callable)
    file = str(getattr(sys.modules[settings.callable.partition(":")[0]], "__file__", ""))

    def answer(examples: Any) -> Any:
        with theirs(f"the teacher {settings.callable}", file):
            return function(examples)

    return Teacher(
        name=settings.callable,
        source=settings.source or settings.callable,
        sha256=fingerprint(settings.callable, function),
        licence=settings.licence,
        classes=asked.classes,
        answer=answer,
    )


def find(address: str) -> Any:
    """The function that `module:function` names."""
    module_name, _, function_name = address.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), function_name]):
        raise DistillError(f"{address!r} is not the address of a function", "write module:function")
    module = _module(module_name)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise DistillError(
            f"{module_name} ({getattr(module, '__file__', 'built in')}) has no function "
            f"{function_name!r}",
            "a teacher takes uint8 (n, h, w, 3) and gives logits (n, classes)",
        )
    return function


def fingerprint(address: str, function: Any) -> str:
    """sha256, hexadecimal, of address, module's source and `revision`."""
    hasher = hashlib.sha256(address.encode())
    hasher.update(str(getattr(function, "revision", "")).encode() + b"\0")
    for number, path in enumerate(sources(sys.modules[address.partition(":")[0]])):
        name = path.name.encode() + b"\0" if number else b""
        hasher.update(name + path.read_bytes())
    return hasher.hexdigest()


def sources(module: Any) -> list[Path]:
    """The module's file; then, of one in a package, the other sources below its folder."""
    try:
        file = inspect.getsourcefile(module)
    except TypeError:  # a built-in module has no source
        file = None
    if not file or not Path(file).is_file():
        return []
    own, packed = Path(file), bool(module.__package__)
    others = sorted(own.parent.rglob("*.py")) if packed else []
    return [own, *(path for path in others if path != own)]


def _module(name: str) -> Any:
    """Import it; the working directory stays in the path, for what the module imports later."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        with theirs(f"the teacher's module {name}", name.rpartition(".")[2] + ".py", ImportError):
            return importlib.import_module(name)
    except ImportError as error:
        raise DistillError(
            f"the teacher's module {name} cannot be imported: {error}",
            f"it is looked for in the environment and in {here}",
        ) from error


KIND = Kind(open_callable, ("pictures", "texts"))
