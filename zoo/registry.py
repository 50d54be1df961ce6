"""The registry: which students are published, and the hash of every byte of them.

registry.yaml is data, one row a student; nothing in it is a moving name. It stands beside the
packages in a checkout and inside `zoo` in a wheel. A store of one's own has its registry beside it;
$ZOO_REGISTRY names any other one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zoo import records
from zoo.errors import NotFound, RegistryError
from zoo.files import replacing
from zoo.names import check_file_name, check_hex, check_name


@dataclass(frozen=True)
class FileRef:
    """One file, known by its bytes."""

    sha256: str  # 64 hex digits
    size: int  # bytes

    def __post_init__(self) -> None:
        check_hex(self.sha256, 64, "sha256")
        if self.size < 0:
            raise ValueError(f"size must be >= 0 bytes, not {self.size}")


@dataclass(frozen=True)
class Headline:
    """The figures that `zoo list` shows; the card has the rest."""

    accuracy: float  # fraction of the 8-bit file (fp32 where there is none) on held-out data
    accuracy_dataset: str  # whose test split
    int8_size_bytes: int  # of the 8-bit file; 0: none
    int8_latency_ms: float  # p50 of one picture, or a sentence, on one CPU thread; 0: none

    def __post_init__(self) -> None:
        if not 0 <= self.accuracy <= 1:
            raise ValueError(f"accuracy is a fraction in [0, 1], not {self.accuracy}")
        for key in ("int8_size_bytes", "int8_latency_ms"):
            if getattr(self, key) < 0:
                raise ValueError(f"{key} must be >= 0, not {getattr(self, key)}")


@dataclass(frozen=True)
class Entry:
    """One published student."""

    name: str  # the row's key: <data>-<architecture>-<size>.<tag>
    task: str  # "image-classification"
    repo: str  # "org/name" on the Hub and in the cache
    revision: str  # 40 hex digits: the git tree of the files, never a branch
    licence: str  # SPDX id
    summary: str  # one line for people
    files: dict[str, FileRef]  # every file, by name
    headline: Headline

    def __post_init__(self) -> None:
        check_name(self.name)
        check_hex(self.revision, 40, "revision")
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", self.repo, re.ASCII):
            raise ValueError(f'repo must be "org/name", not "{self.repo}"')
        if not self.files:
            raise ValueError("files must name at least one file")
        for name in self.files:
            check_file_name(name)

    @property
    def size_bytes(self) -> int:
        """What a pull copies."""
        return sum(ref.size for ref in self.files.values())


@dataclass(frozen=True)
class _File:
    """The whole of registry.yaml."""

    format: Literal[1]
    students: dict[str, Entry]


def default_path(store: Path | None = None) -> Path:
    """$ZOO_REGISTRY, else registry.yaml beside `store` or $ZOO_STORE, else the packaged one.

    `store` is the root of a store; the packaged store has its registry in the wheel, or at the top
    of the checkout.
    """
    chosen, root = os.environ.get("ZOO_REGISTRY"), store or os.environ.get("ZOO_STORE")
    if chosen:
        return Path(chosen).expanduser()
    package = Path(__file__).parent
    own = Path(root).expanduser() if root else package / "embedded"
    if own.resolve() != (package / "embedded").resolve():
        return own.parent / "registry.yaml"
    packaged = package / "registry.yaml"
    return packaged if packaged.is_file() else package.parent / "registry.yaml"


def load(path: str | Path | None = None) -> dict[str, Entry]:
    """All entries by name, in the order of the file."""
    return _bind(records.load_yaml(path or default_path(), RegistryError))


def find(name: str, path: str | Path | None = None) -> Entry:
    """The entry of that name."""
    entries = load(path)
    if name not in entries:
        raise NotFound(f'no student is called "{name}"', records.near(name, entries))
    return entries[name]


def models(task: str | None = None) -> list[Entry]:
    """The published students, of one task or of all, by name."""
    entries = sorted(load().values(), key=lambda entry: entry.name)
    return [entry for entry in entries if task in (None, entry.task)]


def write(entries: Iterable[Entry], path: str | Path | None = None) -> None:
    """Replace the registry in one step, sorted by name."""
    with writing(entries, path):
        pass


@contextlib.contextmanager
def writing(entries: Iterable[Entry], path: str | Path | None = None) -> Iterator[None]:
    """Replace the registry when the block ends well; what cannot be written fails before it."""
    target = Path(path or default_path())
    text = render(entries)
    try:
        if not target.parent.exists():
            target.parent.mkdir(parents=True)
        with replacing(target) as file:
            file.write(text.encode())
            file.flush()
            yield
    except OSError as problem:
        raise RegistryError(f"{target}: {problem.strerror}", "is the folder writable?") from None


def render(entries: Iterable[Entry]) -> str:
    """The text of a registry; what it says is read back before anybody else can read it."""
    by_name = {entry.name: entry for entry in sorted(entries, key=lambda entry: entry.name)}
    rows: dict[str, Any] = {name: records.to_dict(entry) for name, entry in by_name.items()}
    for row in rows.values():
        del row["name"]
    text = _HEAD + "\n".join(_yaml({"format": 1, "students": rows})) + "\n"
    if _bind(records.parse_yaml(text, "registry.yaml", RegistryError)) != by_name:
        raise RegistryError("registry.yaml would not be read back as it is")
    return text


def _bind(document: records.Document) -> dict[str, Entry]:
    """The rows, each told its own key as its name."""
    data = document.data
    students = data.get("students") if isinstance(data, dict) else None
    if isinstance(students, dict):
        for name, row in students.items():
            if isinstance(row, dict) and "name" in row:
                where = document.where(("students", name, "name"))
                raise RegistryError(f"{where}: unknown key", "the row's key is its name")
        named = {n: {"name": n, **r} if isinstance(r, dict) else r for n, r in students.items()}
        document = records.Document({**data, "students": named}, document.name, document.lines)
    return records.read(_File, document, RegistryError).students


_HEAD = """\
# The published students: data, no code. Written by `zoo build`; every hash is checked at a pull.
# revision is the git tree of the student's folder: git rev-parse HEAD:zoo/embedded/NAME
"""


def _yaml(mapping: dict[str, Any], indent: str = "") -> list[str]:
    """Lines of block YAML; all text is quoted, so that no hash can be read as a number."""
    lines: list[str] = []
    for key, value in mapping.items():
        plain = re.fullmatch(r"[A-Za-z][\w.-]*", key, re.ASCII)
        shown = key if plain and key.lower() not in ("null", "true", "false") else json.dumps(key)
        if isinstance(value, dict) and value:
            lines += [f"{indent}{shown}:", *_yaml(value, indent + "  ")]
        else:
            lines.append(f"{indent}{shown}: {json.dumps(value, ensure_ascii=False)}")
    return lines
