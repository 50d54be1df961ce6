"""A connection has an end, and nobody who holds many keeps others out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")

import httpx2

from zoo.serve import connections, create_app, run
from zoo.serve.settings import Settings
from zoo.stores.store import Add, Store

REPO = "lab/colours.kd"
DATA = os.urandom(8_000_000)
HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nX: "


@dataclass(frozen=True)
class Served:
    port: int
    root: Path
    server: connections.Server
    opened: contextlib.ExitStack

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def open(self, sent: bytes = b"", **options: int) -> socket.socket:
        """A connection on which that was sent."""
        made = self.opened.enter_context(socket.socket())
        for name, value in options.items():
            made.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        made.connect(("127.0.0.1", self.port))
        made.sendall(sent)
        made.settimeout(10)
        return made

    def health(self) -> int:
        return httpx2.get(f"{self.url}/health", timeout=5).status_code


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """serve(total=..., settings...): a hub behind the real server, with limits of its own."""
    stops: list[Callable[[], None]] = []
    opened = contextlib.ExitStack()

    def start(total: int = 100, **changed: Any) -> Served:
        store = Store(tmp_path / "root")
        settings = Settings(b"a secret of the tests", **changed)
        listening = run.bind("127.0.0.1", 0)
        limits = run.limits_of(settings, total)
        server = connections.server(create_app(store, settings), limits, 5)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)

        def stop() -> None:
            server.should_exit = True
            thread.join(20)

        stops.append(stop)
        return Served(listening.getsockname()[1], store.root, server, opened)

    yield start
    opened.close()
    for stop in stops:
        stop()


def ended(connection: socket.socket, within_s: float = 5) -> bytes:
    """What comes until the server ends it; a TimeoutError where it does not."""
    connection.settimeout(within_s)
    told = bytearray()
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            told += piece
    return bytes(told)


# --- heads ---------------------------------------------------------------------------------------


def test_a_head_that_dribbles_in_has_an_end(serve: Any) -> None:
    one = serve(head_s=0.6).open(HEAD)
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        for _ in range(40):
            one.sendall(b"x")
            time.sleep(0.05)
    assert ended(one).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"G", b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_a_connection_on_which_nothing_is_asked_has_an_end(serve: Any, sent: bytes) -> None:
    ended(serve(head_s=0.5).open(sent), within_s=8)


def test_a_body_that_nobody_reads_keeps_no_connection(serve: Any) -> None:
    served = serve(head_s=0.5)
    one = served.open(b"POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while time.monotonic() - began < 3:
            one.sendall(b"x")
            time.sleep(0.1)
    assert b" 404 " in ended(one)[:20]
    assert not served.server.server_state.connections


def test_a_client_with_a_hundred_open_heads_keeps_nobody_out(serve: Any) -> None:
    served = serve(total=20)
    held = [served.open(HEAD) for _ in range(100)]
    for _ in range(5):
        assert served.health() == 200
    assert len(served.server.server_state.connections) <= 11
    with pytest.raises((ConnectionError, TimeoutError)):  # the oldest made room
        for _ in range(20):
            held[0].sendall(b"x")
            time.sleep(0.02)
    for one in held:
        one.close()


def asked_for_data(served: Any) -> bytes:
    """A file is put into the hub; the head that asks for it."""
    store = Store(served.root)
    store.create(REPO)
    store.commit(REPO, "main", [Add("data.bin", store.add([DATA])[0])], title="data")
    return f"GET /{REPO}/resolve/main/data.bin HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def slow_readers(served: Any) -> list[socket.socket]:
    """Two that ask for a file, and take its first bytes only."""
    get = asked_for_data(served)
    readers = [served.open(get, SO_RCVBUF=4096) for _ in range(2)]
    for reader in readers:
        assert reader.recv(100)
    return readers


def test_where_all_are_answered_one_more_is_told_so(serve: Any, tmp_path: Path) -> None:
    served = serve(total=4)
    readers = slow_readers(served)
    assert ended(served.open()).startswith(b"HTTP/1.1 503 ")
    for reader in readers:
        reader.close()


def test_readers_that_take_nothing_make_room(serve: Any) -> None:
    served = serve(total=4, head_s=0.3)
    readers = slow_readers(served)
    time.sleep(0.6)
    assert [served.health() for _ in range(3)] == [200, 200, 200]
    assert sum(len(ended(reader)) < len(DATA) // 2 for reader in readers) >= 1


def test_an_answer_does_not_wait_for_the_client_to_confirm_its_head(serve: Any) -> None:
    served = serve()
    one = served.open(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
    assert one.recv(1000)
    (taken,) = served.server.server_state.connections
    mine = taken.transport.get_extra_info("socket")
    assert mine.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# --- bodies and answers --------------------------------------------------------------------------


def test_a_body_that_dribbles_in_has_an_end(serve: Any) -> None:
    one = serve(grace_s=0.5, small_rate=1000).open(
        b"POST /api/validate-yaml HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
    )
    with contextlib.suppress(ConnectionError):
        for _ in range(40):
            one.sendall(b"x")
            time.sleep(0.05)
    told = ended(one)
    assert told.startswith(b"HTTP/1.1 408 ") and b"slower than 1000 bytes a second" in told
    assert b"nothing came" not in told


def test_a_slow_but_steady_upload_goes_through(serve: Any) -> None:
    """Longer than every limit of time: it is its rate that counts."""
    served = serve(head_s=0.4, grace_s=0.4, idle_s=0.4, small_rate=10_000)
    body = b'{"content": "' + b"x" * 20_000 + b'"}'
    head = f"POST /api/validate-yaml HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    one = served.open(head.encode())
    for start in range(0, len(body), 1000):  # some 20 kB/s
        one.sendall(body[start : start + 1000])
        time.sleep(0.05)
    assert one.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_slow_reader_gets_all_and_one_that_takes_nothing_goes(serve: Any) -> None:
    served = serve(head_s=0.4, stall_s=1.0)
    get = asked_for_data(served)
    slow, silent = served.open(get), served.open(get, SO_RCVBUF=4096)
    got = bytearray()
    while len(got) < len(DATA):
        piece = slow.recv(200_000)
        assert piece, len(got)
        got += piece
        time.sleep(0.05)
    assert got.endswith(DATA[-1000:])
    assert len(ended(silent)) < len(DATA)


# --- the process ---------------------------------------------------------------------------------


@dataclass
class Process:
    process: subprocess.Popen[bytes]
    log: Path
    url: str
    root: Path

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1000


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """`zoo serve` with 1024 files at most, one for all; the bomb comes first, for its peak."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("reads /proc")
    tmp_path = tmp_path_factory.mktemp("process")
    log = tmp_path / "log"
    (tmp_path / "none.yaml").write_text("{}\n")
    command = [sys.executable, "-m", "zoo", "serve", "--root", str(tmp_path / "root")]
    env = {**os.environ, "ZOO_REGISTRY": str(tmp_path / "none.yaml")}
    limited = ["bash", "-c", 'ulimit -n 1024; exec "$@"', "-", *command, "--port", "0"]
    with log.open("wb") as file:
        running = subprocess.Popen(limited, stderr=file, env=env)
    end = time.monotonic() + 60
    while not (found := re.search(r" at (http://\S+);", log.read_text())):
        assert running.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.05)
    yield Process(running, log, found[1], tmp_path / "root")
    running.terminate()
    assert running.wait(40) == 0


@contextlib.contextmanager
def many_files(count: int) -> Iterator[None]:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip("too few open files are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_bomb_of_yaml_costs_the_server_little(process: Process) -> None:
    keys = "".join(f"k{number}: 1\n" for number in range(6145)).replace("\n", ", ")
    bomb = f"---\na: &a {{{keys}}}\nb:\n" + "- <<: *a\n" * 400 + "---\n"
    wide = "---\na: [" + "1," * 32_000 + "1]\n---\n"
    store = Store(process.root)
    for number, text in enumerate((bomb, wide)):
        store.create(f"lab/r{number}")
        readme = Add("README.md", store.add([text.encode()])[0])
        store.commit(f"lab/r{number}", "main", [readme], title="card")
    assert httpx2.get(f"{process.url}/health").status_code == 200
    cpu_s, peak_mb = process.cpu_s(), process.peak_mb()
    for text in (bomb, wide):
        answer = httpx2.post(f"{process.url}/api/validate-yaml", json={"content": text}, timeout=60)
        assert answer.status_code == 400 and "README.md:" in answer.text
    assert len(httpx2.get(f"{process.url}/api/models", timeout=60).json()) == 2
    assert process.cpu_s() - cpu_s < 3 * 0.5
    assert process.peak_mb() - peak_mb < 60


def test_eleven_hundred_open_heads_keep_nobody_out_and_fill_no_log(process: Process) -> None:
    port = int(process.url.rpartition(":")[2])
    with many_files(4096), contextlib.ExitStack() as held:
        for _ in range(1100):
            one = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            with contextlib.suppress(ConnectionError):
                one.sendall(HEAD)
        for _ in range(3):
            assert httpx2.get(f"{process.url}/health", timeout=5).status_code == 200
        assert process.log.stat().st_size < 10_000
        assert "Traceback" not in process.log.read_text()


def test_an_error_of_accepting_is_said_once_and_others_as_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handle, loop = connections._said_once(), asyncio.new_event_loop()
    context = {"message": "socket.accept() out of system resource"}
    for _ in range(1000):
        handle(loop, context | {"exception": OSError(24, "Too many open files")})
    assert [r.getMessage() for r in caplog.records] == [
        "no new connections for now: Too many open files"
    ]
    handle(loop, {"message": "a task failed", "exception": OSError(5, "Input/output error")})
    assert len(caplog.records) == 2
    loop.close()


def test_what_is_forwarded_is_not_believed_of_anybody(process: Process) -> None:
    forged = {"x-forwarded-for": "6.6.6.6 GET /admin 200 \x1b[31mX", "x-forwarded-proto": "https"}
    before = len(process.log.read_text())
    httpx2.get(f"{process.url}/health", headers=forged)
    httpx2.get(f"{process.url}/health?2", headers={"x-forwarded-for": "6.6.6.6"})
    lines = [line for line in process.log.read_text()[before:].splitlines() if " GET " in line]
    assert len(lines) == 2 and all(" 127.0.0.1 GET /health 200 " in line for line in lines)


# --- proxies -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "client", "scheme"),
    [
        ({"x-forwarded-for": "6.6.6.6"}, "6.6.6.6", "http"),
        ({"x-forwarded-for": "1.2.3.4, 6.6.6.6"}, "6.6.6.6", "http"),
        ({"x-forwarded-for": "6.6.6.6, 10.0.0.1"}, "6.6.6.6", "http"),
        ({"x-forwarded-for": "6.6.6.6 GET /admin 200 \x1b[31mX"}, "10.0.0.1", "http"),
        ({"x-forwarded-for": "fe80::1%\x1b[31mX GET /admin 200"}, "10.0.0.1", "http"),
        ({"x-forwarded-for": "2001:DB8::1", "x-forwarded-proto": "https"}, "2001:db8::1", "https"),
        ({"x-forwarded-for": "", "x-forwarded-proto": "javascript"}, "10.0.0.1", "http"),
        ({}, "10.0.0.1", "http"),
    ],
)
def test_a_proxy_that_was_named_is_believed(said: dict[str, str], client: str, scheme: str) -> None:
    import asyncio

    from zoo.serve.forwarded import Forwarded, checked

    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["client"][0], scope["scheme"]))

    headers = [(k.encode(), v.encode()) for k, v in said.items()]
    scope = {"type": "http", "client": ("10.0.0.1", 9), "scheme": "http", "headers": headers}
    asyncio.run(Forwarded(app, checked(["10.0.0.1"]))(scope, None, None))  # type: ignore[arg-type]
    stranger = {**scope, "client": ("10.0.0.2", 9)}
    asyncio.run(Forwarded(app, checked(["10.0.0.1"]))(stranger, None, None))  # type: ignore[arg-type]
    assert seen == [(client, scheme), ("10.0.0.2", "http")]


def test_the_limit_of_one_client_counts_networks_and_no_proxies() -> None:
    limits = connections.Limits(10, 5, proxies=frozenset({"10.0.0.1"}))
    assert limits.counted_as("10.0.0.1") == ""
    assert limits.counted_as("10.0.0.2") == "10.0.0.2"
    assert limits.counted_as("2001:db8::1") == limits.counted_as("2001:db8::ffff")
    assert 16 <= connections.most_connections() <= 2048


def test_a_proxy_that_is_no_address_is_one_error(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from zoo.cli import app
    from zoo.errors import ZooError

    done = CliRunner().invoke(app, ["serve", "--root", str(tmp_path), "--proxy", "nginx"])
    assert isinstance(done.exception, ZooError) and "IPv4 or IPv6" in str(done.exception)
