"""How fast `zoo serve` is beside nginx, and how much memory uploads take.

    python benchmarks/measure_serve.py [--rounds N] [--nginx PATH]

On loopback, with a file of 40 MB for throughput (both servers in turns, from the same disk), 100
clients at once that pull a file of 0.5 MB each, and 20 clients that upload 60 MB each. The table is
written between the marks in docs/hub.md. Without nginx its figures are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from zoo.card.markdown import between, table
from zoo.measure import machine
from zoo.serve.tokens import Tokens
from zoo.stores.store import Add, Store

PAGE = Path(__file__).resolve().parent.parent / "docs" / "hub.md"
LARGE, SMALL, UPLOAD = 40_000_000, 500_000, 60_000_000  # bytes
PULLERS, PULLS, UPLOADERS = 100, 5, 20
REPO, PIECE = "lab/student", 1 << 20


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--nginx", default=shutil.which("nginx", path=os.defpath + ":/usr/sbin"))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        token = filled(root)
        with serving(root) as (port, process):
            rows = [
                *throughput(root, port, chosen.nginx, chosen.rounds, Path(scratch)),
                *crowd(port),
                *uploads(port, token, process.pid),
            ]
    cores = f"{os.cpu_count()} cores, client and server on the same ones"
    text = f"{machine.cpu_name()}, {cores}:\n\n{table(('What', 'Seen'), rows)}"
    PAGE.write_text(between(PAGE.read_text(encoding="utf-8"), "serve", text), encoding="utf-8")
    print(text)


def filled(root: Path) -> str:
    """Put both files into a new root; returns a token that may write."""
    store = Store(root)
    store.create(REPO)
    for name, size in (("large.onnx", LARGE), ("small.onnx", SMALL)):
        digest, _, _ = store.add([os.urandom(size)])
        store.commit(REPO, "main", [Add(name, digest)], title=name)
    return Tokens(root).add("measure", "write")


@contextlib.contextmanager
def serving(root: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """`zoo serve` in a process of its own, its access log thrown away."""
    command = [sys.executable, "-m", "zoo", "serve", "--root", str(root), "--port", "0"]
    environment = os.environ | {"ZOO_STORE": str(root / "none")}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    try:
        line = next(line for line in process.stderr if line.startswith("serving"))
        port = int(line.partition(";")[0].rpartition(":")[2])
        threading.Thread(target=lambda: [None for _ in process.stderr], daemon=True).start()
        yield port, process
    finally:
        process.terminate()
        process.wait()


def throughput(
    root: Path, port: int, nginx: str | None, rounds: int, scratch: Path
) -> list[tuple[str, str]]:
    """Seconds of the large file from both servers, in turns."""
    ours, path = f"/{REPO}/resolve/main/large.onnx", blob(root)
    if nginx is None:
        seconds = [timed(port, ours) for _ in range(rounds)]
        return [("one client, 40 MB", f"{LARGE / 1e6 / statistics.median(seconds):.0f} MB/s")]
    with static(nginx, path.parent, scratch) as other:
        timed(port, ours), timed(other, f"/{path.name}")
        pairs = [(timed(port, ours), timed(other, f"/{path.name}")) for _ in range(rounds)]
    mine, its = (LARGE / 1e6 / statistics.median(column) for column in zip(*pairs, strict=True))
    ratios = sorted(theirs / own for own, theirs in pairs)
    spread = f"{ratios[len(ratios) // 10]:.2f} to {ratios[-1 - len(ratios) // 10]:.2f}"
    return [
        ("one client, 40 MB", f"{mine:.0f} MB/s (nginx {its:.0f} MB/s)"),
        (
            f"throughput over nginx, median of {rounds} rounds (10th to 90th percentile)",
            f"{statistics.median(ratios):.2f} ({spread})",
        ),
    ]


def blob(root: Path) -> Path:
    """Where the large file is on the disk."""
    store = Store(root)
    return store.blob(store.read(REPO, "main").files["large.onnx"].sha256)


@contextlib.contextmanager
def static(nginx: str, folder: Path, scratch: Path) -> Iterator[int]:
    """Nginx with sendfile on a folder of files."""
    port = free_port()
    config = scratch / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; pid {scratch}/pid; error_log {scratch}/log;\n"
        f"events {{}}\nhttp {{ access_log off; sendfile on; server {{ listen 127.0.0.1:{port}; "
        f"root {folder}; }} }}\n"
    )
    process = subprocess.Popen([nginx, "-c", str(config), "-p", str(scratch)])
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def timed(port: int, path: str) -> float:
    """Seconds of one GET on a new connection."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers={"Accept-Encoding": "identity"})
    answer = connection.getresponse()
    buffer, got = bytearray(PIECE), 0
    while count := answer.readinto(buffer):
        got += count
    connection.close()
    if answer.status != 200 or got != int(answer.headers["Content-Length"]):
        raise SystemExit(f"{path}: status {answer.status}, {got} bytes")
    return time.perf_counter() - began


def together(count: int, work: Callable[[], object]) -> list[BaseException]:
    """Run `work` in so many threads that start at once; what they raised."""
    gate, failed = threading.Barrier(count), []

    def run() -> None:
        gate.wait()
        try:
            work()
        except (OSError, SystemExit, http.client.HTTPException) as problem:
            failed.append(problem)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def crowd(port: int) -> list[tuple[str, str]]:
    """Many clients at once, each with some pulls of the small file one after the other."""
    seconds: list[float] = []
    path = f"/{REPO}/resolve/main/small.onnx"
    failed = together(PULLERS, lambda: seconds.extend(timed(port, path) for _ in range(PULLS)))
    ranked = sorted(seconds)
    p50, p99 = (ranked[int(len(ranked) * share)] for share in (0.50, 0.99))
    what = f"{PULLERS} clients at once, {PULLS} pulls of 0.5 MB each"
    return [(what, f"{len(failed)} errors, p50 {p50:.2f} s, p99 {p99:.2f} s")]


def uploads(port: int, token: str, pid: int) -> list[tuple[str, str]]:
    """Many clients at once, each with a large file of its own; the server's peak memory."""
    before = peak_mb(pid)
    began = time.perf_counter()
    failed = together(UPLOADERS, lambda: upload(port, token))
    took = time.perf_counter() - began
    what = f"{UPLOADERS} clients at once upload 60 MB each"
    found = f"{len(failed)} errors, {took:.1f} s, peak memory {peak_mb(pid):.0f} MB"
    return [(what, f"{found} (before: {before:.0f} MB)")]


def upload(port: int, token: str) -> None:
    """One file by git's LFS protocol: ask where to, and put it there."""
    seed = os.urandom(1 << 16)
    pieces = [seed] * (UPLOAD // len(seed)) + [seed[: UPLOAD % len(seed)]]
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    entry = {"oid": digest.hexdigest(), "size": UPLOAD}
    body = json.dumps({"operation": "upload", "transfers": ["basic"], "objects": [entry]})
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    answer = ask(port, "POST", f"/{REPO}.git/info/lfs/objects/batch", body.encode(), headers)
    href = urlsplit(json.loads(answer)["objects"][0]["actions"]["upload"]["href"])
    sized = {"Content-Length": str(UPLOAD)}
    ask(port, "PUT", f"{href.path}?{href.query}", iter(pieces), sized)


def ask(port: int, method: str, path: str, body: object, headers: dict[str, str]) -> bytes:
    """The body of an answer that is well."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request(method, path, body=body, headers=headers)  # type: ignore[arg-type]
    answer = connection.getresponse()
    found = answer.read()
    connection.close()
    if answer.status >= 300:
        raise SystemExit(f"{method} {path}: {answer.status} {found[:200]!r}")
    return found


def peak_mb(pid: int) -> float:
    """The most memory that a process has had, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


if __name__ == "__main__":
    main()
