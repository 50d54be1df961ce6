"""Shared fixtures. Real students are replaced by one of a few kilobytes, nothing by a mock."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from zoo import registry
from zoo.files import sha256
from zoo.folders import Folders
from zoo.registry import Entry, FileRef, Headline

# A loaded machine is no failure: no deadlines.
settings.register_profile(
    "studentzoo",
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("studentzoo")

TINY = "colours-tiny.test"


@dataclass(frozen=True)
class Shelf:
    """A registry with its store and an empty cache, all in one temporary folder."""

    root: Path
    store: Folders
    registry: Path
    cache: Path
    entry: Entry

    def file(self, name: str) -> Path:
        """A file of the student in the store."""
        return self.store.folder(self.entry.name) / name


@pytest.fixture
def files() -> Path:
    """Folder of the files that the tests read."""
    return Path(__file__).parent / "files"


@pytest.fixture
def tiny(files: Path, tmp_path: Path) -> Path:
    """A copy of the tiny student's folder (see files/make_tiny.py); it tells colours apart."""
    return Path(shutil.copytree(files / "tiny", tmp_path / "tiny"))


@pytest.fixture
def tiny_text(files: Path, tmp_path: Path) -> Path:
    """A copy of the tiny text student (see files/make_tiny_text.py); it tells scripts apart."""
    return Path(shutil.copytree(files / "tiny-text", tmp_path / "tiny-text"))


@pytest.fixture
def shelf(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """The tiny student published; `zoo.pull(TINY)` finds this registry, store and cache."""
    made = _make_shelf(tmp_path / "shelf", tiny)
    monkeypatch.setenv("ZOO_REGISTRY", str(made.registry))
    monkeypatch.setenv("ZOO_STORE", str(made.store.root))
    monkeypatch.setenv("ZOO_CACHE", str(made.cache))
    return made


@pytest.fixture
def make_shelf() -> Callable[..., Shelf]:
    """Publish a folder into a new store and registry: make_shelf(root, folder)."""
    return _make_shelf


def _make_shelf(root: Path, folder: Path, name: str = TINY) -> Shelf:
    store = Folders(root / "store")
    revision = store.put(name, folder)
    entry = Entry(
        name=name,
        task="image-classification",
        repo=f"studentzoo/{name}",
        revision=revision,
        licence="Apache-2.0",
        summary="Tells colours apart.",
        files={p.name: FileRef(sha256(p), p.stat().st_size) for p in sorted(folder.iterdir())},
        headline=Headline(1.0, "made colours", 1135, 0.01),
    )
    registry.write([entry], root / "registry.yaml")
    return Shelf(root, store, root / "registry.yaml", root / "cache", entry)
