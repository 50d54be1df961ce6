"""Registries anywhere, one or several: the students of another lab are used exactly like ours.

    default                                 beside the store, else the packaged one
    PATH                                    a registry.yaml, or a folder with one in it
    https://lab.example.org/registry.yaml   as it stands there
    http://10.0.0.7:8080                    of a hub, which has the files as well
    ORG/NAME                                registry.yaml in that repository on $HF_ENDPOINT, else
                                            on the public Hub

`where` is one such name or several, in a list or with commas; where it is empty, $ZOO_REGISTRY is
read, else the default one. The name by which a registry was asked for is the `origin` of its rows.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import NotFound, RegistryError
from zoo.records import reader
from zoo.records.entry import Entry
from zoo.registry import local, remote
from zoo.registry.local import DEFAULT

Where = str | os.PathLike[str] | Sequence[str] | None
Found = tuple[str, Entry]  # origin, row


def origins(where: Where = ()) -> list[str]:
    """The names of the registries that are read, each once, in the order given."""
    listed = isinstance(where, Sequence) and not isinstance(where, str)
    texts = where if isinstance(where, Sequence) and not isinstance(where, str) else [where or ""]
    if listed and not all(local.split(os.fspath(text)) for text in texts):
        hint = "give a PATH, a URL or ORG/NAME; without one, $ZOO_REGISTRY is read"
        raise RegistryError("the name of the registry is empty", hint)  # of a variable, perhaps
    named = [name for text in texts for name in local.split(os.fspath(text))]
    chosen = named or local.split(os.environ.get("ZOO_REGISTRY", ""))
    return list(dict.fromkeys(chosen)) or [DEFAULT]


def entries(where: Where = (), *, fetch: bool = True, whole: bool = False) -> list[Found]:
    """All rows with their origins, by name; without `fetch`, no request is made.

    Then a registry elsewhere is the copy that was kept of it, and empty where there is none.
    `whole`: a RegistryError where a row is of a newer studentzoo and would be passed over.
    """
    names = origins(where)
    found = ((o, load(o, fetch=fetch, whole=whole, named=names)) for o in names)
    rows = [(origin, entry) for origin, students in found for entry in students.values()]
    return sorted(rows, key=lambda row: row[1].name)  # of one name in the order of the registries


def load(
    origin: str, *, fetch: bool = True, whole: bool = False, named: Sequence[str] = ()
) -> dict[str, Entry]:
    """The rows of one registry by name; see `entries`. `named` are those asked for with it."""
    file = path(origin)
    if file:
        return local.load(file, whole=whole)
    return remote.load(origin, fetch=fetch, whole=whole, named=named)


def path(origin: str) -> Path | None:
    """The file of a registry on this machine, None where it is elsewhere."""
    return local.own_path() if origin == DEFAULT else local.local_path(origin)


def find(name: str, where: Where = ()) -> Entry:
    """The entry of that name; a RegistryError where registries name different bytes for it."""
    return found(name, where)[1]


def found(name: str, where: Where = ()) -> Found:
    """The entry of that name, and where it stands: first, where several name the same bytes."""
    rows = entries(where)
    matches = [row for row in rows if row[1].name == name]
    if not matches:
        names = dict.fromkeys(entry.name for _, entry in rows)
        raise NotFound(f'no student is called "{name}"', reader.near(name, names))
    if any(entry.files != matches[0][1].files for _, entry in matches):
        places = ", ".join(origin for origin, _ in matches)
        hint = f'name one of them: --registry {matches[0][0]}, or registry="{matches[0][0]}"'
        raise RegistryError(f'"{name}" stands in several registries: {places}', hint)
    return matches[0]


def models(task: str | None = None, *, registry: Where = None) -> list[Entry]:
    """The published students, of one task or of all, by name.

    registry: a path, a URL or ORG/NAME, or several; see `zoo.registry.registries`.
    """
    return [entry for _, entry in entries(registry) if task in (None, entry.task)]


def named(where: Where = (), entry: Entry | None = None) -> list[str]:
    """The registries that are read and are no files; see `endpoints.lab_token`.

    And the hub of a row that stands so in the registry that this user's own students are written
    to: `zoo publish` has put it there.
    """
    found = [name for name in origins(where) if "://" in name]
    if entry is None or not entry.endpoint or not os.environ.get("ZOO_TOKEN"):
        return found
    own = local.default_path()
    if own in map(path, origins(where)) and local.load(own).get(entry.name) == entry:
        return [*found, entry.endpoint]
    return found


def matches(entry: Entry, words: Sequence[str]) -> bool:
    """Whether every word stands in the name, the summary or the task, in capitals or not."""
    text = f"{entry.name}\n{entry.summary}\n{entry.task}".casefold()
    return all(word.casefold() in text for word in words)
