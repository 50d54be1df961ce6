"""An entry: one published student, known by the hash of every byte; and the text of a registry."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from zoo.errors import RegistryError, ZooWarning
from zoo.records import reader
from zoo.records.measures import FRACTION, Scale
from zoo.records.names import (
    check_endpoint,
    check_file_name,
    check_hex,
    check_name,
    check_together,
    quoted,
)
from zoo.records.plain import LATER, essentials
from zoo.records.text import Document, parse_yaml

REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


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

    accuracy: float  # score of the 8-bit file (fp32 where there is none) on held-out data
    accuracy_dataset: str  # whose test split
    int8_size_bytes: int  # of the 8-bit file; 0: none
    int8_latency_ms: float  # p50 of one picture, or a sentence, on one CPU thread; 0: none
    metric: str = field(default="accuracy", metadata={LATER: True})  # what `accuracy` is
    scale: Scale = field(default=FRACTION, metadata={LATER: True})  # and how it is read

    def __post_init__(self) -> None:
        self.scale.check(self.accuracy, "accuracy")
        for key in ("int8_size_bytes", "int8_latency_ms"):
            if getattr(self, key) < 0:
                raise ValueError(f"{key} must be >= 0, not {getattr(self, key)}")


@dataclass(frozen=True)
class Entry:
    """One published student."""

    name: str  # the row's key: <data>-<architecture>-<size>.<tag>
    task: str  # "image-classification"
    repo: str  # "org/name" on the Hub and in the cache
    revision: str  # 40 hex digits: a commit of repo, or the files' git tree; never a branch
    licence: str  # SPDX id
    summary: str  # one line for people
    files: dict[str, FileRef]  # every file, by name
    headline: Headline
    endpoint: str = field(default="", metadata={LATER: True})
    # of the hub that has `repo`; "": $HF_ENDPOINT, else the public Hub
    format: Literal[1] = field(default=1, metadata={LATER: True})  # of the row: 2 would be newer

    def __post_init__(self) -> None:
        check_name(self.name)
        check_hex(self.revision, 40, "revision")
        if not REPO_ID.fullmatch(self.repo):
            raise ValueError(f'repo must be "org/name", not "{self.repo}"')
        if not self.files:
            raise ValueError("files must name at least one file")
        for name in self.files:
            check_file_name(name)
        check_together(self.files)
        if self.endpoint:
            check_endpoint(self.endpoint)

    @property
    def size_bytes(self) -> int:
        """What a pull copies."""
        return sum(ref.size for ref in self.files.values())


@dataclass(frozen=True)
class _File:
    """The whole of registry.yaml."""

    format: Literal[1]
    students: dict[str, Entry]


def render(entries: Iterable[Entry]) -> str:
    """The text of a registry; what it says is read back before anybody else can read it."""
    by_name = {entry.name: entry for entry in sorted(entries, key=lambda entry: entry.name)}
    text = _HEAD + "\n".join(_yaml(plain(by_name))) + "\n"
    if bind(parse_yaml(text, "registry.yaml", RegistryError)) != by_name:
        raise RegistryError("registry.yaml would not be read back as it is")
    return text


def plain(entries: Mapping[str, Entry]) -> dict[str, Any]:
    """The whole of a registry as plain data; what `bind` reads."""
    rows = {name: essentials(entry) for name, entry in entries.items()}
    for row in rows.values():
        del row["name"]
    return {"format": 1, "students": rows}


def bind(document: Document, *, whole: bool = False) -> dict[str, Entry]:
    """The rows, each told its own key as its name.

    Rows whose `format` is of a newer studentzoo are passed over, with a ZooWarning; an error where
    the registry is wanted `whole`, as by whoever will write it again.
    """
    data = document.data
    students = data.get("students") if isinstance(data, dict) else None
    if isinstance(students, dict):
        for name, row in students.items():
            if isinstance(row, dict) and "name" in row:
                where = document.where(("students", name, "name"))
                raise RegistryError(f"{where}: unknown key", "the row's key is its name")
        newer = [name for name, row in students.items() if _is_newer(row)]
        if newer:
            _tell_newer(f"{document.name}: {', '.join(map(quoted, newer))}", whole)
        named = {
            name: {"name": name, **row} if isinstance(row, dict) else row
            for name, row in students.items()
            if name not in newer
        }
        document = Document({**data, "students": named}, document.name, document.lines)
    return reader.read(_File, document, RegistryError).students


def _is_newer(row: Any) -> bool:
    made = row.get("format") if isinstance(row, dict) else None
    return type(made) is int and made > 1


def _tell_newer(which: str, whole: bool) -> None:
    hint = "pip install --upgrade studentzoo"
    if whole:
        raise RegistryError(f"{which}: of a newer studentzoo, would be lost", hint)
    warnings.warn(f"{which}: passed over, of a newer studentzoo ({hint})", ZooWarning, stacklevel=4)


_HEAD = """\
# The students: data, no code. Written by `zoo build` and `zoo publish`; a pull checks every hash.
# revision is a commit of the repository; until `zoo publish` has put the student there, it is the
# git tree of its folder: git rev-parse HEAD:zoo/embedded/NAME
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
