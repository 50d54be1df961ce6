"""Shared fixtures. Real students are replaced by one of a few kilobytes, nothing by a mock."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from zoo.files import sha256
from zoo.records.entry import Entry, FileRef, Headline
from zoo.registry import local
from zoo.stores.folders import Folders

# What several test files share is a plain module there.
sys.path.append(str(Path(__file__).parent / "files"))

# Read by the Hub's client when it is imported: no traffic but the one under test.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_UPDATE_CHECK", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
with contextlib.suppress(ImportError):  # what a test says in the environment comes too late for it
    import huggingface_hub.constants  # noqa: F401

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
def students(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shelf's student has moved from its store to what `studentzoo-students` installs."""
    root = tmp_path / "site" / "studentzoo_students"
    shutil.copytree(shelf.store.root, root, ignore=shutil.ignore_patterns(".*"))
    shutil.rmtree(shelf.store.root)
    (root / "__init__.py").touch()
    monkeypatch.syspath_prepend(root.parent)
    return root


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
    local.write([entry], root / "registry.yaml")
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

    def commits(self, repo: str) -> list[str]:
        """Titles of the repository's commits, newest first."""
        from zoo.stores.store import Store

        return [commit.title for commit in Store(self.root).log(repo, "main")]


@pytest.fixture
def make_hub(tmp_path: Path) -> Iterator[Callable[..., LiveHub]]:
    """Serve a root in a thread: make_hub(root, upstream=..., other settings)."""
    pytest.importorskip("uvicorn")
    pytest.importorskip("starlette")
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


@pytest.fixture(scope="module")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    """One such hub for all tests of a file, in their order."""
    pytest.importorskip("uvicorn")
    pytest.importorskip("starlette")
    hub = _serve(tmp_path_factory.mktemp("hub"), {})
    yield hub
    hub.stop()


@pytest.fixture
def open_hub(hub: LiveHub, monkeypatch: pytest.MonkeyPatch) -> LiveHub:
    """A hub whose token is in $ZOO_TOKEN."""
    monkeypatch.setenv("ZOO_TOKEN", hub.token)
    return hub


@pytest.fixture
def serve_app() -> Iterator[Callable[[Any], tuple[str, Callable[[], None]]]]:
    """Serve an ASGI application in a thread: its URL, and what stops it."""
    pytest.importorskip("uvicorn")
    stops: list[Callable[[], None]] = []

    def serve(app: Any) -> tuple[str, Callable[[], None]]:
        url, stop = _start(app, "critical")
        stops.append(stop)
        return url, stop

    yield serve
    with ThreadPoolExecutor() as pool:  # each takes a moment
        list(pool.map(lambda stop: stop(), stops))


def _serve(root: Path, changed: dict[str, Any]) -> LiveHub:
    from zoo.serve import create_app
    from zoo.serve.settings import Settings
    from zoo.stores.store import Store

    tokens = _tokens(root)
    app = create_app(Store(root), replace(Settings(b"a secret of the tests"), **changed))
    url, stop = _start(app, "warning")
    return LiveHub(url, root, *tokens, stop)


def _start(app: Any, log_level: str) -> tuple[str, Callable[[], None]]:
    import uvicorn

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level=log_level, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.002)

    def stop() -> None:
        server.should_exit = True
        thread.join(20)
        listening.close()

    return f"http://127.0.0.1:{listening.getsockname()[1]}", stop


def _tokens(root: Path) -> tuple[str, str]:
    """A token that may write and one that may read; of two servers on a root, each has its own."""
    from zoo.serve.tokens import Tokens

    tokens = Tokens(root)
    number = len(tokens.all())
    return tokens.add(f"ada{number or ''}", "write"), tokens.add(f"bob{number or ''}", "read")


# --- a web server on loopback --------------------------------------------------------------------

Request = http.server.BaseHTTPRequestHandler


@dataclass(frozen=True)
class Site:
    """A web server, the answers that it gives by path, and what it was asked."""

    url: str
    answers: dict[str, Callable[[Request], None]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # path, headers

    def has(self, path: str, body: str | bytes, **told: Any) -> None:
        """Answer with `body`; see `reply`."""
        data = body.encode() if isinstance(body, str) else body
        self.answers[path] = lambda request: self.reply(request, data, **told)

    def sends_on(self, path: str, to: str) -> None:
        """Answer with a redirect."""
        self.answers[path] = lambda request: self.reply(request, b"", status=302, Location=to)

    @staticmethod
    def reply(
        request: Request,
        data: bytes,
        *,
        etag: str = "",
        status: int = 200,
        length: int | None = None,
        **headers: str,
    ) -> None:
        """Send it, or 304 to whom has it; `length` is what is announced, in bytes."""
        if etag:
            headers["ETag"] = etag
            if request.headers.get("If-None-Match") == etag:
                status, data = 304, b""
        request.send_response(status)
        announced = len(data) if length is None else length
        for key, value in {"Content-Length": str(announced), **headers}.items():
            request.send_header(key, value)
        request.end_headers()
        request.wfile.write(data)


@pytest.fixture
def make_site() -> Iterator[Callable[[], Site]]:
    """Start another web server; all are stopped at the end."""
    started: list[tuple[http.server.ThreadingHTTPServer, threading.Thread]] = []

    def make() -> Site:
        class Handler(Request):
            def do_GET(self) -> None:
                site.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                site.answers.get(self.path, lambda r: site.reply(r, b"no", status=404))(self)

            def log_message(self, *args: Any) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        site = Site(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        started.append((server, thread))
        return site

    yield make
    for server, thread in started:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def site(make_site: Callable[[], Site]) -> Site:
    """A web server that has nothing yet."""
    return make_site()


# --- who publishes -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lab:
    """Folders with students, and the registry beside them; `zoo publish` finds both."""

    store: Folders

    @property
    def registry(self) -> Path:
        return self.store.root.parent / "registry.yaml"

    @property
    def row(self) -> Entry:
        """Of the tiny student."""
        return local.load(self.registry)[TINY]

    def rewrite(self, name: str = TINY, **fields: Any) -> None:
        """Build the tiny student again, with other fields of its card, maybe by another name."""
        from zoo.publish import shelf

        copy = shutil.copytree(self.store.folder(TINY), self.store.root.parent / "built" / name)
        _write_card(copy, name=name, **fields)
        shelf.publish(copy, self.store)
        shutil.rmtree(copy)


@pytest.fixture(scope="session")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny student as a build leaves it, with an attempt that passed; to be copied."""
    from zoo.records import card
    from zoo.records.card import Attempt

    folder = tmp_path_factory.mktemp("passed") / "tiny"
    shutil.copytree(Path(__file__).parent / "files" / "tiny", folder)
    tiny = card.read(folder)
    size = tiny.variants["int8"].size_bytes
    rung = Attempt("minmax", {}, 0.9, 0.995, 0.1, size, 0.7, None, None, "pass", "")
    gates = {"max_drop_points": 0.3, "min_agreement": 0.98, "max_speed_ratio": 1.0}
    _write_card(folder, attempts=(rung,), gates=gates)
    return folder


@pytest.fixture
def write_card() -> Callable[..., None]:
    """Change a student's card and make its page anew: write_card(folder, field=value, ...)."""
    return _write_card


def _write_card(folder: Path, **fields: Any) -> None:
    """As `zoo.card.write`, with figures that name their numbers and show nothing: no matplotlib."""
    from zoo.card import figures, writing
    from zoo.card import page as card_page
    from zoo.records import card

    changed = replace(card.read(folder), **fields)
    for name, digest in figures.sources(changed, card.read_run(folder)).items():
        (folder / name).write_text(f"<svg><!-- sha256 {digest} --></svg>\n")
    page = card_page.render(changed, writing.figure_names(changed, folder))
    (folder / card.PAGE).write_text(page, encoding="utf-8")
    (folder / card.FILE).write_text(card.to_json(changed), encoding="utf-8")


@pytest.fixture
def lab(passed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The tiny student built and ready to be published; no token and no hub is set."""
    from zoo.publish import shelf

    for variable in ("ZOO_REGISTRY", "HF_TOKEN", "HF_ENDPOINT", "ZOO_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    made = Lab(Folders(tmp_path / "lab" / "embedded"))
    monkeypatch.setenv("ZOO_STORE", str(made.store.root))
    shelf.publish(passed, made.store)
    return made
