"""Two server processes on one directory, and many clients at once."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from zoo.stores.store import Store

pytest.importorskip("starlette")
pytest.importorskip("huggingface_hub")

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError

from zoo.serve.tokens import Tokens

pytestmark = pytest.mark.hub

REPO = "lab/student"
PUBLISHERS = 4
COMMITS = 25  # of each publisher
CLIENTS = 20
MIB = 1 << 20


@dataclass(frozen=True)
class Server:
    """One `zoo serve` in a process of its own."""

    url: str
    process: subprocess.Popen[bytes]

    def peak_mb(self) -> float:
        """The most memory that the process ever held, in megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1000


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """start(root) runs `zoo serve` on a root and waits until it answers.

    With `largest_kib` no file of it may grow beyond that: to the server the disk is full then.
    """
    started: list[Server] = []

    def run(root: Path, largest_kib: int | None = None) -> Server:
        log = tmp_path / f"server{len(started)}.log"
        command = [sys.executable, "-m", "zoo", "serve", "--root", str(root), "--port", "0"]
        if largest_kib:
            command = ["bash", "-c", f'ulimit -f {largest_kib}; exec "$@"', "-", *command]
        with log.open("wb") as file:
            process = subprocess.Popen(command, stderr=file, stdout=file)
        started.append(Server("", process))
        for _ in range(600):
            found = re.search(r" at (http://\S+);", log.read_text())
            if found:
                started[-1] = Server(found[1], process)
                return started[-1]
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        raise AssertionError(f"the server did not start: {log.read_text()}")

    yield run
    for server in started:
        server.process.terminate()
    for server in started:
        assert server.process.wait(20) == 0


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A root with one repository; removed at once, since it grows to more than a gigabyte."""
    Store(tmp_path / "root").create(REPO)
    yield tmp_path / "root"
    shutil.rmtree(tmp_path / "root")


@dataclass
class Publisher:
    """Commits one file after another, each onto the head that it has just read."""

    api: HfApi
    name: str
    start: threading.Barrier
    made: list[str]
    stale: int = 0

    def run(self) -> None:
        for number in range(COMMITS):
            head = self.api.model_info(REPO).sha
            if number == 0:
                self.start.wait(30)  # all publishers know the same head now
            while not self.commit(number, head):
                self.stale += 1
                head = self.api.model_info(REPO).sha

    def commit(self, number: int, head: str | None) -> bool:
        """Whether nobody else was faster."""
        file = CommitOperationAdd(f"{self.name}/{number}.txt", f"{self.name} {number}".encode())
        title = f"{self.name} {number}"
        try:
            made = self.api.create_commit(REPO, [file], commit_message=title, parent_commit=head)
        except HfHubHTTPError as error:
            assert error.response.status_code == 412, error
            return False
        self.made.append(made.oid)
        return True


def test_of_a_hundred_commits_through_two_servers_none_is_lost(
    root: Path, start: Callable[..., Server]
) -> None:
    token = Tokens(root).add("ada", "write")
    servers = [start(root), start(root)]
    gate = threading.Barrier(PUBLISHERS)
    publishers = [
        Publisher(HfApi(endpoint=servers[n % 2].url, token=token), f"p{n}", gate, [])
        for n in range(PUBLISHERS)
    ]
    with ThreadPoolExecutor(PUBLISHERS) as pool:
        for done in [pool.submit(publisher.run) for publisher in publishers]:
            done.result(240)

    store = Store(root)
    history = [commit.id for commit in store.log(REPO, "main")]
    told = [oid for publisher in publishers for oid in publisher.made]
    names = {f"p{n}/{number}.txt" for n in range(PUBLISHERS) for number in range(COMMITS)}
    assert len(told) == len(set(told)) == PUBLISHERS * COMMITS
    assert set(history[:-1]) == set(told) and len(history) == PUBLISHERS * COMMITS + 1
    assert set(store.read(REPO, "main").files) == names | {".gitattributes"}
    assert sum(publisher.stale for publisher in publishers) >= PUBLISHERS - 1
    assert store.fsck() == []


# --- memory --------------------------------------------------------------------------------------


def put(server: Server, token: str, number: int) -> int:
    """60 MB by LFS: batch, PUT; the status of the last."""
    headers = {"Authorization": f"Bearer {token}"}
    pieces = [os.urandom(MIB)] * 60
    oid = hashed(pieces)
    body = {"operation": "upload", "objects": [{"oid": oid, "size": 60 * MIB}]}
    batch = f"{server.url}/{REPO}.git/info/lfs/objects/batch"
    asked = httpx2.post(batch, json=body, headers=headers, timeout=120)
    address = asked.json()["objects"][0]["actions"]["upload"]["href"]
    return httpx2.put(address, content=iter(pieces), timeout=300).status_code


def commit(server: Server, token: str, number: int) -> int:
    """30 MB inside a commit, one line of 40 MB; the status."""
    header = json.dumps({"key": "header", "value": {"summary": "Large"}}).encode()
    pieces = [base64.b64encode(os.urandom(MIB * 3 // 4))] * 40
    first, last = b'{"key": "file", "value": {"content": "', b'", "path": "%d.bin"}}' % number
    answer = httpx2.post(
        f"{server.url}/api/models/{REPO}/commit/main",
        content=iter([header, b"\n", first, *pieces, last]),
        headers={"Authorization": f"Bearer {token}"},
        timeout=300,
    )
    return answer.status_code


def hashed(pieces: list[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc")
@pytest.mark.parametrize("upload", [put, commit])
def test_twenty_large_uploads_at_once_need_little_memory(
    root: Path, start: Callable[..., Server], upload: Callable[..., int]
) -> None:
    token = Tokens(root).add("ada", "write")
    server: Any = start(root)
    with ThreadPoolExecutor(CLIENTS) as pool:
        for done in [pool.submit(upload, server, token, n) for n in range(CLIENTS)]:
            assert done.result(280) == 200
    print(f"peak of the server: {server.peak_mb():.0f} MB")  # noqa: T201
    assert server.peak_mb() < 150


@pytest.mark.skipif(os.name != "posix", reason="needs ulimit")
def test_a_full_disk_is_507_and_the_old_state_stays(
    root: Path, start: Callable[..., Server]
) -> None:
    token = Tokens(root).add("ada", "write")
    server = start(root, largest_kib=20_000)
    before = Store(root).resolve(REPO, "main")
    assert [upload(server, token, 0) for upload in (put, commit)] == [507, 507]
    assert Store(root).resolve(REPO, "main") == before
    assert not list((root / "incoming").iterdir())
    api = HfApi(endpoint=server.url, token=token)
    small = [CommitOperationAdd("small.txt", b"fits")]
    assert api.create_commit(REPO, small, commit_message="Small").oid != before
