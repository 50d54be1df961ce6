"""What bad links do to a pull, ours and the stock client's, into docs/links.md.

    python benchmarks/measure_links.py [--mb 40] [--print]

A small hub on loopback serves one file through a proxy that breaks the link. Each download is a
process of its own with an empty cache. Without huggingface_hub its columns stay empty.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.metadata
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "files")]

from chaos import Fault, Origin, Proxy, dead_port  # type: ignore[import-not-found]  # noqa: E402

from zoo.files import write_text  # noqa: E402

PAGE = ROOT / "docs" / "links.md"
START, END = "<!-- links: generated -->\n", "<!-- links: end -->\n"
REPO, REVISION, FILE = "lab/far.test", "0123456789abcdef" * 2 + "01234567", "model.fp32.onnx"
LINK_BYTES_PER_S = 16 << 20
LIMIT_S = 240  # a download that takes longer is stopped
MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    """One kind of trouble: the links to the sources in their order."""

    name: str
    links: tuple[dict[str, Any] | None, ...] = ({},)  # None: nobody listens
    kill: bool = False  # -9 when half has been sent, and run again


@dataclass
class Result:
    """How one download went."""

    outcome: str
    seconds: float
    share: float  # bytes sent to the client, over the file's size

    def cells(self) -> str:
        return f"{self.outcome} | {self.seconds:.0f} | {self.share:.2f}"


CASES = (
    Case("none"),
    Case("closed after every 256 KiB", ({"close_after": 256 * 1024},)),
    Case("TCP reset after every 10 MiB", ({"reset_after": 10 * MIB},)),
    Case("silent after 10 MiB, twice", ({"stall_after": 10 * MIB, "times": 2},)),
    Case("one bit flipped, the second source is good", ({"flip_at": 5 * MIB}, {})),
    Case("first source dead, the second is good", (None, {})),
    Case("kill -9 at half, and run again", kill=True),
)


# --- one download, in its own process ------------------------------------------------------------


def ours(urls: list[str], cache: str, digest: str, size: int) -> Path:
    """With zoo.pull: all sources but the last are given, the last is the entry's hub."""
    from zoo.fetch.fetch import fetch
    from zoo.records.entry import Entry, FileRef, Headline

    os.environ["HF_ENDPOINT"] = urls[-1]
    row = Headline(1.0, "none", 0, 0.0)
    refs = {FILE: FileRef(digest, size)}
    entry = Entry("far.test", "task", REPO, REVISION, "MIT", "Far.", refs, row)
    return fetch(entry, sources=urls[:-1], cache=cache) / FILE


def stock(urls: list[str], cache: str, digest: str, size: int) -> Path:
    """With the Hub's client, which knows one endpoint."""
    from huggingface_hub import hf_hub_download

    where = {"endpoint": urls[0], "cache_dir": cache, "token": False}
    return Path(hf_hub_download(REPO, FILE, revision=REVISION, **where))


def child(kind: str, urls: str, cache: str, digest: str, size: str) -> None:
    """Print what came of it: a word or the name of an error."""
    download: Callable[..., Path] = {"ours": ours, "stock": stock}[kind]
    try:
        path = download(urls.split(","), cache, digest, int(size))
    except Exception as error:  # noqa: BLE001 (whatever it is, its name is the result)
        sys.stdout.write(type(error).__name__)
        return
    whole = hashlib.sha256(path.read_bytes()).hexdigest() == digest
    sys.stdout.write("whole" if whole else "wrong bytes accepted")


# --- the table -----------------------------------------------------------------------------------


@dataclass
class Bench:
    """A file, and the processes that fetch it."""

    data: bytes
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        self.digest = hashlib.sha256(self.data).hexdigest()

    def run(self, kind: str, case: Case) -> Result:
        with tempfile.TemporaryDirectory() as folder, self._links(case) as (urls, proxies):
            began = time.monotonic()
            process = self._started(kind, urls, folder)
            if case.kill:
                while process.poll() is None and proxies[0].sent < len(self.data) // 2:
                    time.sleep(0.002)
                process.kill()
                process.wait()
                process = self._started(kind, urls, folder)
            outcome = _waited(process)
            share = sum(proxy.sent for proxy in proxies) / len(self.data)
            return Result(outcome, time.monotonic() - began, share)

    @contextlib.contextmanager
    def _links(self, case: Case) -> Iterator[tuple[list[str], list[Any]]]:
        origin = Origin({FILE: self.data}, {FILE: self.digest})
        with contextlib.ExitStack() as stack:
            stack.enter_context(origin.running())
            urls, proxies = [], []
            for link in case.links:
                if link is None:
                    urls.append(f"http://127.0.0.1:{dead_port()}")
                    continue
                proxy = Proxy(origin.port, Fault(**link, bytes_per_s=LINK_BYTES_PER_S))
                proxies.append(stack.enter_context(proxy.running()))
                urls.append(proxy.url)
            yield urls, proxies

    def _started(self, kind: str, urls: list[str], folder: str) -> subprocess.Popen[str]:
        words = [kind, ",".join(urls), f"{folder}/cache", self.digest, str(len(self.data))]
        environ = {**os.environ, "HF_HOME": f"{folder}/home", "ZOO_STORE": f"{folder}/none"}
        environ |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "ZOO_MIRRORS": ""}
        environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        command = [sys.executable, __file__, "--child", *words]
        return subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )


def _waited(process: subprocess.Popen[str]) -> str:
    try:
        said, _ = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return f"stopped after {LIMIT_S} s"
    return said or f"exit {process.returncode}"


def table(mb: int) -> str:
    """Markdown; a line a fault."""
    bench = Bench(random.Random(1).randbytes(mb * 10**6))
    client = _version("huggingface_hub")
    head = f"| fault | ours | s | bytes / size | huggingface_hub {client} | s | bytes / size |"
    lines = [head, "| --- " * 7 + "|"]
    for case in CASES:
        cells = [bench.run(kind, case).cells() for kind in ("ours", "stock")[: 1 + bool(client)]]
        lines.append(f"| {case.name} | {' | '.join(cells)}" + " |" * (1 if client else 4))
        sys.stderr.write(lines[-1] + "\n")
    return f"A file of {mb} MB, studentzoo beside huggingface_hub {client or '(not here)'}:\n\n" + (
        "\n".join(lines) + "\n"
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def filled(page: str, text: str) -> str:
    """The page with `text` between its marks."""
    before, rest = page.split(START)
    return f"{before}{START}\n{text}\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Measure, and write the page or print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mb", type=int, default=40, help="size of the file, 10^6 bytes")
    parser.add_argument("--print", action="store_true", help="leave the page as it is")
    chosen = parser.parse_args()
    text = table(chosen.mb)
    if chosen.print:
        sys.stdout.write(text)
    else:
        write_text(PAGE, filled(PAGE.read_text(encoding="utf-8"), text))


if __name__ == "__main__":
    child(*sys.argv[2:]) if sys.argv[1:2] == ["--child"] else main()
