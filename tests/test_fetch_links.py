"""Bad links: what has arrived is kept, and a file comes whole with little sent twice."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from zoo.errors import IntegrityError, PullError
from zoo.fetch.fetch import fetch
from zoo.fetch.link import Hub
from zoo.records.entry import Entry, FileRef, Headline
from zoo.registry import local

MIB = 1 << 20
SIZE = 4 * MIB
DATA = random.Random(7).randbytes(SIZE)
FILE = "model.fp32.onnx"
REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def chaos(files: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(files))
    return importlib.import_module("chaos")


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, chaos: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder, mirror or hub but those of the test."""
    for name in ("HF_HUB_OFFLINE", "ZOO_MIRRORS", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ZOO_STORE", str(tmp_path / "none"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{chaos.dead_port()}")


@pytest.fixture
def entry() -> Entry:
    ref = FileRef(hashlib.sha256(DATA).hexdigest(), SIZE)
    head = Headline(1.0, "none", 0, 0.0)
    return Entry("far.test", "task", "lab/far.test", REVISION, "MIT", "Far.", {FILE: ref}, head)


Link = Callable[..., Any]


@pytest.fixture
def link(chaos: ModuleType) -> Iterator[Link]:
    """A hub that has the file, behind a proxy with the given fault."""
    with contextlib.ExitStack() as stack:

        def made(**fault: Any) -> Any:
            origin = stack.enter_context(chaos.Origin({FILE: DATA}).running())
            return stack.enter_context(chaos.Proxy(origin.port, chaos.Fault(**fault)).running())

        yield made


def hub(url: str, read_s: float = 5.0) -> Hub:
    """A hub whose link counts as broken after so many seconds without a byte."""
    return Hub(url, read_s=read_s)


def is_whole(folder: Path) -> bool:
    return (folder / FILE).read_bytes() == DATA


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"close_after": 256 * 1024},
        {"reset_after": MIB, "grace_s": 0.2},
        {"stall_after": 3 * MIB // 2, "times": 2},
    ],
    ids=str,
)
def test_a_file_arrives_whole_and_next_to_nothing_is_sent_twice(
    fault: dict[str, Any], link: Link, entry: Entry, tmp_path: Path
) -> None:
    proxy = link(**fault)
    source = hub(proxy.url, 0.4 if "stall_after" in fault else 5.0)
    assert is_whole(fetch(entry, sources=[source], cache=tmp_path / "cache"))
    assert proxy.sent <= 1.1 * SIZE
    assert list((tmp_path / "cache").rglob("*.part")) == []


def test_a_flipped_bit_is_refused_and_the_next_source_is_used(
    link: Link, entry: Entry, tmp_path: Path
) -> None:
    bad, good = link(flip_at=MIB), link()
    folder = fetch(entry, sources=[hub(bad.url), hub(good.url)], cache=tmp_path / "cache")
    assert is_whole(folder)
    assert bad.connections == 1
    assert bad.sent + good.sent <= 2.1 * SIZE


def test_a_flipped_bit_everywhere_is_one_error_and_nothing_is_kept(
    link: Link, entry: Entry, tmp_path: Path
) -> None:
    with pytest.raises(IntegrityError, match="is not the published file: sha256"):
        fetch(entry, sources=[hub(link(flip_at=MIB).url)], cache=tmp_path / "cache")
    assert [path for path in (tmp_path / "cache").rglob("blobs/*")] == []


def test_what_a_bad_source_left_is_not_held_against_the_next(
    link: Link, entry: Entry, tmp_path: Path
) -> None:
    bad = link(flip_at=MIB, close_after=2 * MIB, connections=1)
    good = link()
    folder = fetch(entry, sources=[hub(bad.url), hub(good.url)], cache=tmp_path / "cache")
    assert is_whole(folder)
    assert good.connections == 2  # the rest, and then all of it


def test_a_dead_first_mirror_costs_no_time(
    chaos: ModuleType, link: Link, entry: Entry, tmp_path: Path
) -> None:
    dead, began = f"http://127.0.0.1:{chaos.dead_port()}", time.monotonic()
    assert is_whole(fetch(entry, sources=[dead, hub(link().url)], cache=tmp_path / "cache"))
    assert time.monotonic() - began < 5


def test_the_next_mirror_goes_on_where_the_first_one_died(
    link: Link, entry: Entry, tmp_path: Path
) -> None:
    first, second = link(close_after=2 * MIB, connections=1), link()
    folder = fetch(entry, sources=[hub(first.url), hub(second.url)], cache=tmp_path / "cache")
    assert is_whole(folder)
    assert first.sent + second.sent <= 1.1 * SIZE


CODE = """
import sys
from zoo.registry import registries
from zoo.fetch.fetch import fetch
where, cache, row = sys.argv[1:]
fetch(registries.find("far.test", row), sources=[where], cache=cache)
"""


def size_of_part(cache: Path, at_least: int) -> int:
    """Bytes that have arrived, once they are so many."""
    for _ in range(3000):
        sizes = [path.stat().st_size for path in cache.rglob("*.part")]
        if sum(sizes) >= at_least:
            return sum(sizes)
        time.sleep(0.01)
    raise TimeoutError


def test_a_process_that_was_killed_half_way_fetches_the_rest(
    link: Link, entry: Entry, tmp_path: Path
) -> None:
    proxy, cache = link(stall_after=SIZE // 2, times=1), tmp_path / "cache"
    local.write([entry], tmp_path / "registry.yaml")
    words = [sys.executable, "-c", CODE, proxy.url, str(cache), str(tmp_path / "registry.yaml")]
    environ = {**os.environ, "PYTHONPATH": str(Path(local.__file__).parents[1])}
    with subprocess.Popen(words, env=environ) as running:
        assert size_of_part(cache, int(0.45 * SIZE)) < SIZE
        time.sleep(0.2)
        running.kill()
    subprocess.run(words, env=environ, check=True)
    (folder,) = cache.glob("*/snapshots/*")
    assert is_whole(folder)
    assert proxy.sent <= 1.1 * SIZE
    assert list(cache.rglob("*.part")) == []


def test_a_source_that_never_answers_is_left_and_named(
    chaos: ModuleType, link: Link, entry: Entry, tmp_path: Path
) -> None:
    silent = link(stall_after=1)
    with pytest.raises(PullError, match="came from nowhere") as caught:
        fetch(entry, sources=[hub(silent.url, 0.4)], cache=tmp_path / "cache")
    assert silent.connections == 2
    assert silent.url in str(caught.value)
    assert os.environ["HF_ENDPOINT"] in str(caught.value)


# --- the page ------------------------------------------------------------------------------------


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "benchmarks"))
    return importlib.import_module("measure_links")


def test_the_page_has_a_line_for_every_fault(measure: ModuleType) -> None:
    page = measure.PAGE.read_text(encoding="utf-8")
    for case in measure.CASES:
        (line,) = [row for row in page.splitlines() if row.startswith(f"| {case.name} |")]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[1] == "whole"
        good_copy = 1.0 if "flip" in case.name else 0.0  # the bad one was fetched as well
        assert float(cells[3]) - good_copy <= 1.1


def test_a_table_takes_the_place_of_the_old_one(measure: ModuleType) -> None:
    page = f"before\n{measure.START}\nold\n\n{measure.END}after\n"
    assert measure.filled(page, "new\n") == page.replace("old", "new")


def test_a_download_is_measured_in_a_process_of_its_own(measure: ModuleType) -> None:
    bench = measure.Bench(bytes(range(256)) * 4096)
    result = bench.run("ours", measure.Case("closed", ({"close_after": 256 * 1024},)))
    assert result.outcome == "whole"
    assert 1.0 <= result.share <= 1.1
