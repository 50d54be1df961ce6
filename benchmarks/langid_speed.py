"""The clock of compare_langid.py: CPU time in rounds, ratios to CLD3, peak memory."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from langid_tools import REFERENCE, Tool, cld3

from zoo.measure import bench

ROOT = Path(__file__).resolve().parent.parent
BATCH = 256  # texts
CHARACTERS = 100  # of a sentence in the timing
WORD = "hoofstad"
SENTENCE = (
    "The quick brown fox jumps over the lazy dog while the old farmer watches from his porch, "
    "smiling now"
)
CONTROL = " control"  # no tool's name starts with a blank
SAMPLE_NS = 1_000_000  # what one timed sample takes at least: the clock itself costs up to 1 us
BLOCK_NS = 15_000_000  # what one block of samples should take


def each(tool: Tool, texts: Sequence[str]) -> Callable[[], list[str]]:
    """A call that gives a tool the texts one by one."""
    return lambda: [tool.one(text) for text in texts]


def together(tool: Tool, texts: list[str]) -> Callable[[], list[str]]:
    """A call that gives a tool the texts at once, where it has batches."""
    return partial(tool.many, texts) if tool.many else each(tool, texts)


def clocked(call: Callable[[], Any]) -> tuple[Any, int]:
    """What a call returns and its CPU nanoseconds."""
    start = time.process_time_ns()
    result = call()
    return result, time.process_time_ns() - start


def in_rounds(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[list[float]]]:
    """CPU nanoseconds a call: for each name one block of samples a round."""
    rng = random.Random(0)
    plans = {name: plan(call) for name, call in calls.items()}
    blocks: dict[str, list[list[float]]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name in rng.sample(list(calls), len(calls)):
            samples, repeats = plans[name]
            blocks[name].append([sample(calls[name], repeats) for _ in range(samples)])
    return blocks


def plan(call: Callable[[], Any]) -> tuple[int, int]:
    """Samples a block, and calls a sample, of a call: it is run until it is warm."""
    if sample(call, 1) > 10 * BLOCK_NS:
        return 1, 1
    spent = max(1.0, min(sample(call, 3) for _ in range(3)))
    repeats = max(1, round(SAMPLE_NS / spent))
    return max(3, min(12, round(BLOCK_NS / (repeats * spent)))), repeats


def sample(call: Callable[[], Any], repeats: int) -> float:
    """CPU nanoseconds a call, over `repeats` calls."""
    start = time.process_time_ns()
    for _ in range(repeats):
        call()
    return (time.process_time_ns() - start) / repeats


def timings(
    tools: Sequence[Tool], texts: Mapping[str, Sequence[str]], rounds: int
) -> dict[str, dict[str, list[list[float]]]]:
    """Blocks of every tool on a word, on a sentence and on pieces, the control's beside them."""
    drawn = pieces(texts, BATCH, CHARACTERS)
    named = {tool.name: tool for tool in tools}
    if REFERENCE in named:
        named[CONTROL] = cld3()

    found = {}
    for kind, text in (("word", WORD), ("sentence", SENTENCE)):
        say(f"timing a {kind}")
        calls = {name: partial(tool.one, text) for name, tool in named.items()}
        found[kind] = in_rounds(calls, rounds)
    say(f"timing {BATCH} pieces of {CHARACTERS} characters")
    calls = {name: together(tool, drawn) for name, tool in named.items()}
    blocks = in_rounds(calls, max(5, rounds // 3))
    found["pieces"] = {k: [[ns / BATCH for ns in b] for b in v] for k, v in blocks.items()}
    return found


def peak_memory_mb(tool: Tool) -> float | None:
    """Peak resident memory in 1e6 bytes of `alone`; None where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    program = f"{tool.alone}\nprint(open({str(status)!r}).read())"
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", program, SENTENCE],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": paths},
    )
    peak = next(line for line in done.stdout.splitlines() if line.startswith("VmHWM"))
    return round(int(peak.split()[1]) * 1024 / 1e6, 1)


def ratio(nanoseconds: Mapping[str, list[Any]], name: str, reference: str) -> tuple | None:
    """(ratio, low, high) of a tool's blocks over the reference's; None where one is missing."""
    if not nanoseconds.get(name) or not nanoseconds.get(reference):
        return None
    return bench.ratio(nanoseconds[name], nanoseconds[reference])


def pieces(texts: Mapping[str, Sequence[str]], count: int, length: int) -> list[str]:
    """`count` texts of exactly `length` characters: neighbours of one class, joined and cut."""
    rng = random.Random(0)
    found = []
    for _ in range(count):
        lines = texts[rng.choice(sorted(texts))]
        start, piece = rng.randrange(len(lines)), ""
        while len(piece) < length:
            piece += lines[start % len(lines)] + " "
            start += 1
        found.append(piece[:length])
    return found


def microseconds(blocks: Sequence[Sequence[float]]) -> float:
    """Median over blocks of each block's 10th percentile, given nanoseconds."""
    import numpy as np

    return round(float(np.median([np.percentile(block, 10) for block in blocks])) / 1000, 2)


def say(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)
