"""The registry: which students are published, and the hash of every byte of them.

registry.yaml is data, one row a student; nothing in it is a moving name. It stands beside the
packages in a checkout and inside `zoo` in a wheel. A store of one's own has its registry beside it;
$ZOO_REGISTRY names any other one. This module is about one such file on this machine; registries
elsewhere, and several together, are in `zoo.registry.registries`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from zoo.errors import RegistryError, disk
from zoo.files import PACKAGE, expanded, replacing
from zoo.records.entry import REPO_ID, Entry, bind, render
from zoo.records.text import load_yaml

WHEEL = PACKAGE / "registry.yaml"  # there in an installed wheel, not in a checkout
DEFAULT = "default"  # the name of the registry that is read where $ZOO_REGISTRY says nothing


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
    root, package = store or os.environ.get("ZOO_STORE"), PACKAGE
    own = expanded(root) if root else package / "embedded"
    if own.resolve() != (package / "embedded").resolve():
        return own.parent / "registry.yaml"
    return WHEEL if WHEEL.is_file() else package.parent / "registry.yaml"


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
        path = expanded(name)
        is_folder, there = path.is_dir(), path.exists()
    except OSError:  # a name too long, no right to look
        path, is_folder, there = Path(name), False, False
    plain = name.endswith((".yaml", ".yml")) or name[0] in ".~" or path.is_absolute()
    if REPO_ID.fullmatch(name) and not plain and not there:
        return None
    return path / "registry.yaml" if is_folder else path


def load(path: str | Path | None = None, *, whole: bool = False) -> dict[str, Entry]:
    """All entries by name, in the order of the file; see `entry.bind` for `whole`."""
    return bind(load_yaml(path or default_path(), RegistryError), whole=whole)


def is_packaged(entry: Entry) -> bool:
    """Whether the registry in an installed wheel lists these very files; a checkout has none."""
    known = load(WHEEL).get(entry.name) if WHEEL.is_file() else None
    return known is not None and known.files == entry.files


def write(entries: Iterable[Entry], path: str | Path | None = None) -> None:
    """Replace the registry in one step, sorted by name."""
    with writing(entries, path):
        pass


@contextlib.contextmanager
def writing(entries: Iterable[Entry], path: str | Path | None = None) -> Iterator[None]:
    """Replace the registry when the block ends well; what cannot be written fails before it."""
    target = Path(path or default_path())
    text = render(entries)
    with disk(target, RegistryError):
        if not target.parent.exists():
            target.parent.mkdir(parents=True)
        with replacing(target) as file:
            file.write(text.encode())
            file.flush()
            yield
