"""Work that is done once: a folder named by the hash of everything that the work reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.files import write_text
from zoo.records.plain import canonical

DONE = "done.json"


@dataclass(frozen=True)
class Stage:
    """A finished piece of a build."""

    folder: Path  # its files
    result: dict[str, Any]  # what it found, as JSON
    fresh: bool  # done now; False: found as it stood


def run(root: Path, name: str, reads: Any, make: Callable[[Path], dict[str, Any]]) -> Stage:
    """`make(folder)` unless it was done before for the same `reads`.

    The folder is root/<name>-<hash>. What a killed `make` left there is still there when it is
    called again, so it may go on; only a returned result marks the folder as done.
    """
    text = canonical(reads)
    folder = root / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    found = _result(folder / DONE)
    if found is not None:
        return Stage(folder, found, False)
    folder.mkdir(parents=True, exist_ok=True)
    result = json.loads(canonical(make(folder)))
    write_text(folder / DONE, json.dumps({"reads": json.loads(text), "result": result}, indent=1))
    return Stage(folder, result, True)


def _result(done: Path) -> dict[str, Any] | None:
    """What a finished stage wrote down; None where there is nothing, or nothing whole."""
    try:
        return json.loads(done.read_text(encoding="utf-8"))["result"]
    except (OSError, ValueError, TypeError, KeyError):
        return None


def code(package: str) -> str:
    """sha256 of a package's source: a stage that is cheap is done again when its code changed."""
    import importlib

    root = Path(str(importlib.import_module(package).__file__)).parent
    found = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        found.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return found.hexdigest()
