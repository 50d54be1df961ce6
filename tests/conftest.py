"""Shared fixtures. Real students are replaced by one of a few kilobytes, nothing by a mock."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from zoo import registry
from zoo.files import sha256
from zoo.folders import Folders
from zoo.registry import Entry, FileRef, Headline

# Read by the Hub's client when it is imported: no traffic but the one under test.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_UPDATE_CHECK", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")

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


# --- a hub on loopback ---------------------------------------------------------------------------


@dataclass(frozen=True)
class LiveHub:
    """A hub that answers at `url` until `stop` is called."""

    url: str
    root: Path
    token: str  # may write
    read_token: str
    stop: Callable[[], None]


@pytest.fixture
def make_hub(tmp_path: Path) -> Iterator[Callable[..., LiveHub]]:
    """Serve a root in a thread: make_hub(root, upstream=..., other settings)."""
    started: list[LiveHub] = []

    def make(root: Path | None = None, **settings: Any) -> LiveHub:
        started.append(_serve(root or tmp_path / f"hub{len(started)}", settings))
        return started[-1]

    yield make
    for hub in started:
        hub.stop()


@pytest.fixture
def hub(make_hub: Callable[..., LiveHub]) -> LiveHub:
    """An empty hub with a token that may write and one that may only read."""
    return make_hub()


def _serve(root: Path, changed: dict[str, Any]) -> LiveHub:
    import uvicorn

    from zoo.serve import create_app
    from zoo.serve.settings import Settings
    from zoo.store import Store

    tokens = _tokens(root)
    app = create_app(Store(root), replace(Settings(b"a secret of the tests"), **changed))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.002)

    def stop() -> None:
        server.should_exit = True
        thread.join(20)
        listening.close()

    return LiveHub(f"http://127.0.0.1:{listening.getsockname()[1]}", root, *tokens, stop)


def _tokens(root: Path) -> tuple[str, str]:
    """A token that may write and one that may read; of two servers on a root, each has its own."""
    from zoo.serve.tokens import Tokens

    tokens = Tokens(root)
    number = len(tokens.all())
    return tokens.add(f"ada{number or ''}", "write"), tokens.add(f"bob{number or ''}", "read")
