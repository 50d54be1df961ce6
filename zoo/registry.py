"""The registry: which students are published, and the hash of every byte of them.

registry.yaml is data, one row a student; nothing in it is a moving name. It stands beside the
packages in a checkout and inside `zoo` in a wheel. A store of one's own has its registry beside it;
$ZOO_REGISTRY names any other one. This module is about one such file on this machine; registries
elsewhere, and several together, are in `zoo.registries`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from zoo import endpoints, records
from zoo.errors import NotFound, RegistryError
from zoo.files import replacing
from zoo.names import check_file_name, check_hex, check_name

DEFAULT = "default"  # the name of the registry that is read where $ZOO_REGISTRY says nothing
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


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
    revision: str  # 40 hex digits: a commit of repo, or the files' git tree; never a branch
    licence: str  # SPDX id
    summary: str  # one line for people
    files: dict[str, FileRef]  # every file, by name
    headline: Headline
    endpoint: str = field(default="", metadata={records.LATER: True})
    # of the hub that has `repo`; "": $HF_ENDPOINT, else the public Hub

    def __post_init__(self) -> None:
        check_name(self.name)
        check_hex(self.revision, 40, "revision")
        if not _REPO.fullmatch(self.repo):
            raise ValueError(f'repo must be "org/name", not "{self.repo}"')
        if not self.files:
            raise ValueError("files must name at least one file")
        for name in self.files:
            check_file_name(name)
        if self.endpoint:
            endpoints.check(self.endpoint)

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
    """The file that is read and written where no other is named: of $ZOO_REGISTRY, else `own_path`.

    Of several in $ZOO_REGISTRY it is the first on this machine; `zoo build` writes to no other.
    """
    names = split(os.environ.get("ZOO_REGISTRY", ""))
    paths = (own_path(store) if name == DEFAULT else local_path(name) for name in names)
    return next(filter(None, paths), None) or own_path(store)


def own_path(store: Path | None = None) -> Path:
    """registry.yaml beside `store` or $ZOO_STORE, else the packaged one: what DEFAULT means.

    `store` is the root of a store; the packaged store has its registry in the wheel, or at the top
    of the checkout.
    """
    root, package = store or os.environ.get("ZOO_STORE"), Path(__file__).parent
    own = Path(root).expanduser() if root else package / "embedded"
    if own.resolve() != (package / "embedded").resolve():
        return own.parent / "registry.yaml"
    packaged = package / "registry.yaml"
    return packaged if packaged.is_file() else package.parent / "registry.yaml"


def split(where: str) -> list[str]:
    """The names of registries in a text, which commas part."""
    return [name.strip() for name in where.split(",") if name.strip()]


def local_path(name: str) -> Path | None:
    """The file that a registry's name means; None: it is DEFAULT, a URL, or ORG/NAME on a hub.

    What exists, ends in .yaml or starts with "/", "." or "~" is a path even where it looks like
    ORG/NAME; of a folder, the registry.yaml in it.
    """
    if name == DEFAULT or "://" in name:
        return None
    try:
        path = Path(name).expanduser()
        is_folder, there = path.is_dir(), path.exists()
    except (OSError, RuntimeError):  # a name too long, no right to look, no such user's home
        path, is_folder, there = Path(name), False, False
    plain = name.endswith((".yaml", ".yml")) or name[0] in ".~" or path.is_absolute()
    if _REPO.fullmatch(name) and not plain and not there:
        return None
    return path / "registry.yaml" if is_folder else path


def load(path: str | Path | None = None) -> dict[str, Entry]:
    """All entries by name, in the order of the file."""
    return bind(records.load_yaml(path or default_path(), RegistryError))


def find(name: str, path: str | Path | None = None) -> Entry:
    """The entry of that name."""
    entries = load(path)
    if name not in entries:
        raise NotFound(f'no student is called "{name}"', records.near(name, entries))
    return entries[name]


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
    text = _HEAD + "\n".join(_yaml(plain(by_name))) + "\n"
    if bind(records.parse_yaml(text, "registry.yaml", RegistryError)) != by_name:
        raise RegistryError("registry.yaml would not be read back as it is")
    return text


def plain(entries: Mapping[str, Entry]) -> dict[str, Any]:
    """The whole of a registry as plain data; what `bind` reads."""
    rows = {name: records.essentials(entry) for name, entry in entries.items()}
    for row in rows.values():
        del row["name"]
    return {"format": 1, "students": rows}


def bind(document: records.Document) -> dict[str, Entry]:
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
