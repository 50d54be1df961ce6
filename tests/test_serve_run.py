"""The server as a process: its start, its log, its end, and what keeps it from starting."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("starlette")

import httpx2
from typer.testing import CliRunner

from zoo.cli import app
from zoo.errors import StoreError, ZooError
from zoo.serve import run
from zoo.stores.store import Add, Store

REPO = "lab/colours.kd"
DATA = bytes(40_000_000)  # more than the buffers between two processes hold

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


class Process:
    """`zoo serve` on a free port; `lines` is what it has said on stderr so far."""

    def __init__(self, root: Path, folder: Path) -> None:
        command = [sys.executable, "-m", "zoo", "serve", "--root", str(root), "--port", "0"]
        env = {**os.environ, "ZOO_STORE": str(folder), "ZOO_REGISTRY": str(folder / "none.yaml")}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self.wait_for(r"serving .* at (http://\S+);")

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def wait_for(self, pattern: str, within_s: float = 30) -> str:
        """The first group of the first line that fits."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            for line in list(self.lines):
                if match := re.search(pattern, line):
                    return match[1]
            time.sleep(0.01)
        raise TimeoutError("\n".join(self.lines))

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and wait for the end: the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(40)
        self._reader.join(5)
        if self.process.stderr is not None:
            self.process.stderr.close()
        return status


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = Store(tmp_path / "root")
    store.create(REPO)
    store.commit(REPO, "main", [Add("data.bin", store.add([DATA])[0])], title="data")
    return store.root


@pytest.fixture
def start(root: Path, tmp_path: Path) -> Iterator[Callable[[], Process]]:
    started: list[Process] = []
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "none.yaml").write_text("{}\n")

    def start() -> Process:
        started.append(Process(root, tmp_path / "none"))
        return started[-1]

    yield start
    for one in started:
        one.stop(signal.SIGTERM)


def test_each_request_is_one_line_without_query_and_token(start: Callable[[], Process]) -> None:
    server = start()
    url = f"{server.url}/api/models/{REPO}?blobs=true&secret=s3cret"  # not understood: 400
    answer = httpx2.get(url, headers={"authorization": "Bearer zoo_t0ken"})
    line = server.wait_for(r"(.*GET /api/models/.*)")
    match = re.fullmatch(r"(\S+) 127\.0\.0\.1 GET (\S+) 400 (\d+) ([\d.]+)", line)
    assert match is not None, line
    assert match[2] == f"/api/models/{REPO}" and int(match[3]) == len(answer.content)
    httpx2.get(f"{server.url}/a%0Ab/resolve/main/x")
    server.wait_for(r"(GET /a%0Ab/resolve/main/x 4)")
    assert server.stop() == 0
    assert "s3cret" not in "\n".join(server.lines) and "t0ken" not in "\n".join(server.lines)


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_requests_that_run(
    start: Callable[[], Process], number: int
) -> None:
    server = start()
    with httpx2.stream("GET", f"{server.url}/{REPO}/resolve/main/data.bin") as answer:
        pieces = answer.iter_raw(chunk_size=1 << 16)
        received = len(next(pieces))
        stopping = threading.Thread(target=server.stop, args=(number,))
        stopping.start()
        time.sleep(0.5)
        assert server.process.poll() is None
        received += sum(map(len, pieces))
    stopping.join(40)
    assert received == len(DATA)
    assert server.process.returncode == 0 and server.lines[-1] == "stopped"


def test_what_a_client_that_left_would_have_got_is_not_read(start: Callable[[], Process]) -> None:
    server = start()
    with httpx2.stream("GET", f"{server.url}/{REPO}/resolve/main/data.bin") as answer:
        next(answer.iter_raw(chunk_size=1 << 16))
    assert int(server.wait_for(r"data\.bin 200 (\d+)")) < len(DATA)
    assert not [line for line in server.lines if "Traceback" in line]


def test_a_hundred_clients_at_once_get_what_they_asked_for(
    start: Callable[[], Process], root: Path
) -> None:
    server, data = start(), os.urandom(500_000)
    Store(root).commit(REPO, "main", [Add("s.bin", Store(root).add([data])[0])], title="small")
    url = f"{server.url}/{REPO}/resolve/main/s.bin"
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: httpx2.get(url, timeout=60), range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.content == data for answer in answers)


def test_two_servers_share_one_root(start: Callable[[], Process], root: Path) -> None:
    one, two = start(), start()
    assert run.secret(root) == run.secret(root) and len(run.secret(root)) == 32
    for server in (one, two):
        assert httpx2.get(f"{server.url}/api/models/{REPO}").status_code == 200


def test_a_new_root_is_its_owners_alone_and_an_old_one_stays_as_it_is(tmp_path: Path) -> None:
    for number, made in enumerate((run.check_root, lambda root: Store(root).create(REPO))):
        made(root := tmp_path / "new" / str(number))
        assert root.stat().st_mode & 0o777 == 0o700
    (shared := tmp_path / "shared").mkdir()
    shared.chmod(0o775)
    run.check_root(shared)
    Store(shared).create(REPO)
    assert shared.stat().st_mode & 0o777 == 0o775


def test_the_secret_is_its_owners_alone(tmp_path: Path) -> None:
    first = run.secret(tmp_path)
    assert (tmp_path / "secret").stat().st_mode & 0o077 == 0
    assert run.secret(tmp_path) == first
    (tmp_path / "secret").write_bytes(b"short")
    with pytest.raises(StoreError, match="damaged"):
        run.secret(tmp_path)


# --- what stops it from starting -----------------------------------------------------------------


def test_a_port_in_use_is_told_with_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ZooError, match=f"port {port} on 127.0.0.1 is in use") as caught:
            run.bind("127.0.0.1", port)
    assert "--port 0" in caught.value.hint


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "", "x" * 300, "\u2603..\u2603"])
def test_a_host_that_is_not_this_machine_is_one_error(host: str) -> None:
    with pytest.raises(ZooError, match="cannot listen"):
        run.bind(host, 0)


def test_a_root_that_cannot_be_made_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError) as caught:
            run.check_root(place)
        assert "--root" in caught.value.hint


def test_a_folder_of_other_things_is_no_root(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()  # of a disk that is new
    run.check_root(tmp_path)
    (tmp_path / "toy.kd").mkdir()
    with pytest.raises(StoreError, match="other things") as caught:
        run.check_root(tmp_path)
    assert "--root" in caught.value.hint
    (tmp_path / "tokens.json").touch()  # `zoo token add` was here first
    run.check_root(tmp_path)


@posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write everywhere")
def test_a_root_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="Permission denied"):
        run.check_root(tmp_path)


@pytest.mark.parametrize("words", [["--port", "70000"], ["--port", "x"], ["--host"]])
def test_wrong_usage_is_2(words: list[str]) -> None:
    assert CliRunner().invoke(app, ["serve", *words]).exit_code == 2


@pytest.mark.parametrize("url", ["hub.local", "http://ada:s3cret@hub.local", "http://hub.local?x"])
def test_an_upstream_that_is_no_hub_s_address_is_one_error(tmp_path: Path, url: str) -> None:
    """A password in it would be told to everybody who asks for a mirrored repository."""
    done = CliRunner().invoke(app, ["serve", "--root", str(tmp_path), "--upstream", url])
    assert isinstance(done.exception, ZooError) and "http(s) URL" in str(done.exception)
    assert "s3cret" not in str(done.exception)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    """In a process of its own, where starlette cannot be imported."""
    code = (
        "import sys; sys.modules['starlette'] = None\n"
        f"sys.argv = ['zoo', 'serve', '--root', {str(tmp_path)!r}]\n"
        "import zoo.cli; zoo.cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "pip install 'studentzoo[serve]'" in done.stderr and "Traceback" not in done.stderr
