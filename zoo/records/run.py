"""The run: what happened in a build, enough to do it again."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.files import PACKAGE
from zoo.records import plain
from zoo.records.labeller import Labeller

FILE = "run.json"
_PACKAGES = ("studentzoo", "torch", "onnx", "onnxruntime", "numpy", "pillow")


@dataclass(frozen=True)
class KeptLabels:
    """The teacher's outputs that the student learned from."""

    key: str  # sha256 of the teacher's file, data and how views are drawn
    views: int  # of every training picture
    top_k: int  # logits of a view
    size_bytes: int  # on disk
    audit_rows: int  # compared with the live teacher
    audit_agreement: float  # fraction of them with the same first class
    audit_max_difference: float  # of a logit


@dataclass(frozen=True)
class Training:
    """One seed."""

    weights_sha256: str  # of the kept weights, by name
    commit: str  # of this project, when it was trained
    device: str  # "cpu" or "cuda", and its name
    versions: dict[str, str]  # python, packages, system, where it was trained
    seconds: float  # of all steps together
    curves: tuple[dict[str, float], ...]  # a row an epoch
    labels: KeptLabels | None  # None: no teacher
    temperature: float | None = None  # that the last layer was divided by after training
    processes: int = 1  # that shared each step


@dataclass(frozen=True)
class TeacherRun:
    """Who was learned from, and how it came to know."""

    name: str  # a recipe, a pretrained network, a callable
    source: str  # where it can be had
    sha256: str  # of a recipe's student: of its weights; else of its file or code and, where they
    # are not asked as they stand, of how they are (preparation, columns, `depends`)
    licence: str
    recipe: dict[str, Any] | None  # resolved, where the teacher is a recipe's student
    recipe_sha256: str | None
    training: Training | None  # of that recipe's first seed; its curves hold validation accuracy
    labeller: Labeller | None = None  # None: its only file, or no file at all


@dataclass(frozen=True)
class Run:
    """What happened. Figures of the student itself stand on its card."""

    format: int  # 1
    name: str  # of the recipe
    recipe: dict[str, Any]  # resolved: every default written out
    recipe_sha256: str
    data: dict[str, str]  # split -> sha256 of what was read
    teacher: TeacherRun | None
    parity: dict[str, float]  # largest difference of a logit between ONNX and torch, and the bound
    versions: dict[str, str]  # where it was exported, quantized and measured
    seeds: dict[str, Training]  # seed -> its training; the first one is published
    words: dict[str, Any] | None = None  # as in the card's data: drawn, listed, keep_size ...
    reader: int = 1  # version of what read the data: `data` holds hashes of what it gave


def to_json(run: Run) -> str:
    """The text of run.json."""
    return json.dumps(plain.to_dict(run), indent=1, ensure_ascii=False) + "\n"


def versions() -> dict[str, str]:
    """Python, the packages that decide numbers, and the system."""
    found = {"python": platform.python_version(), "system": platform.platform(terse=True)}
    packages = {name: installed(name) for name in _PACKAGES}
    return found | {name: version for name, version in packages.items() if version}


def installed(package: str) -> str | None:
    """The version of a package, None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def commit() -> str:
    """This project's git commit, "+changes" behind it where code differs, "" outside git."""
    root = PACKAGE.parent
    if not (root / ".git").exists():
        return ""
    head = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "*.py")
    return head + ("+changes" if head and changed else "")


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
