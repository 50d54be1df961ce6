"""Latency of several files on one device, timed so that the machine's mood falls on all alike.

A round times one block of calls of every file, in random order, and of a second session of the
reference (the control). Within a block the 10th percentile is kept: other programs only ever add
time. The ratio of a file is the median over rounds of its block over the reference's block of the
same round; its 95 % interval is a bootstrap over rounds. p50 and p95 are over all single calls.
"""

from __future__ import annotations

import datetime
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import InputError, ZooError
from zoo.measure import machine
from zoo.measure.devices import Call, Runtime, runtime_for
from zoo.measure.loads import Load
from zoo.records.measures import Measurement

if TYPE_CHECKING:
    import numpy as np

    Blocks = dict[str, list[np.ndarray]]  # label -> one array of seconds a round

REFERENCE = "fp32"  # label of the file that the others are divided by
CONTROL = " control"  # the reference's second session; no file's label starts with a blank
BLOCK_SECONDS = 0.01  # what one block should take
RESAMPLES = 2000  # of the bootstrap
LONG_ROUNDS, LONG_REPEATS = 20, 3  # of calls that take a block's time many times over


def measure(
    files: Mapping[str, Path | str | bytes],
    load: Load,
    *,
    threads: int = 1,
    rounds: int = 60,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> list[Measurement]:
    """One row for each file: {"fp32": path, "int8": path, ...} -> Measurements in that order.

    Files are paths or the ONNX bytes. Pictures are random bytes, texts random words; a file that
    reads float32 (n, 3, h, w), a plain export, gets its pictures normalised. Without an "fp32" file
    there are no ratios. With device "cuda" and PyTorch (no CUDA provider in onnxruntime) only float
    files that read pictures are run. `progress(done, rounds)` is called after each round.
    """
    sizes = [size for size in load.facts().values() if size is not None]
    if not files or min(*sizes, threads, rounds) < 1:
        raise InputError("nothing to measure", "give a file, and sizes and rounds of at least 1")
    runtime = runtime_for(device, threads)
    check_load(runtime, load)
    calls: dict[str, Call] = {}
    for label, source in usable(files, runtime).items():
        calls[label] = runtime.open(source, load)
        if label == REFERENCE:
            calls[CONTROL] = runtime.open(source, load)
    blocks = interleave(calls, rounds, seed, progress)
    return rows(blocks, runtime, load, device=device, threads=threads)


def check_load(runtime: Runtime, load: Load) -> None:
    """Refuse what the runtime cannot run."""
    if runtime.name == "torch" and not load.in_torch:
        raise ZooError(
            "students of its kind do not run in PyTorch yet: they cannot be timed on this GPU",
            "measure on the processor, or install onnxruntime-gpu",
        )


def usable(files: Mapping[str, Path | str | bytes], runtime: Runtime) -> dict[str, Path | bytes]:
    """The files this runtime can time: all of them, or with PyTorch the float ones."""
    found = {k: Path(v) if isinstance(v, str) else v for k, v in files.items()}
    if runtime.name == "torch":
        from zoo.measure.torch_graph import is_float

        found = {label: source for label, source in found.items() if is_float(source)}
    if not found:
        raise InputError("PyTorch runs float files only", f"add the {REFERENCE} file")
    return found


def interleave(
    calls: Mapping[str, Call],
    rounds: int,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    repeats: int = 0,
) -> Blocks:
    """Seconds of every call: for each label one array for each round, all of one length.

    repeats: calls in a block; 0: as many as take about BLOCK_SECONDS.
    """
    repeats = repeats or _warm_up(calls)
    order = list(calls)
    rng = random.Random(seed)
    blocks: Blocks = {label: [] for label in calls}
    for done in range(rounds):
        rng.shuffle(order)
        for label in order:
            blocks[label].append(_block(calls[label], repeats))
        if progress is not None:
            progress(done + 1, rounds)
    return blocks


def _warm_up(calls: Mapping[str, Call]) -> int:
    """Run every file for a block's time; calls in a block, so that the slowest takes about one."""
    slowest = max(_seconds_a_call(call) for call in calls.values())
    return max(10, min(200, int(BLOCK_SECONDS / slowest)))


def _seconds_a_call(call: Call) -> float:
    call()
    count, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < BLOCK_SECONDS or count < 3:
        call()
        count += 1
    return spent / count


def _block(call: Call, repeats: int) -> np.ndarray:
    import numpy as np

    seconds = np.empty(repeats)
    for i in range(repeats):
        start = time.perf_counter()
        call()
        seconds[i] = time.perf_counter() - start
    return seconds


def rows(
    blocks: Blocks, runtime: Runtime, load: Load, *, device: str, threads: int
) -> list[Measurement]:
    """The blocks as records; ratios are None where no reference was timed."""
    shared: dict[str, Any] = {
        "device": device,
        "device_name": runtime.device_name,
        "threads": threads,
        **load.facts(),
        "isa": runtime.isa,
        "runtime": runtime.name,
        "runtime_version": runtime.version,
        "os": machine.os_name(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    labels = [label for label in blocks if label != CONTROL]
    return [Measurement(precision=k, **shared, **_figures(blocks, k)) for k in labels]


def _figures(blocks: Blocks, label: str) -> dict[str, Any]:
    """What was timed of one file, by the names of Measurement's fields."""
    none = (None, None, None)
    reference = blocks.get(REFERENCE)
    value, low, high = ratio(blocks[label], reference) if reference else none
    control = ratio(reference, blocks[CONTROL]) if reference else none
    return {
        **calls_of(blocks[label]),
        "ratio_to_fp32": value,
        "ratio_low": low,
        "ratio_high": high,
        "control_ratio": control[0],
        "control_low": control[1],
        "control_high": control[2],
    }


def calls_of(blocks: Sequence[np.ndarray]) -> dict[str, Any]:
    """Median and 95th percentile of all calls in milliseconds, and how many they were."""
    import numpy as np

    milliseconds = np.concatenate(blocks) * 1e3
    p50, p95 = (round(float(np.percentile(milliseconds, share)), 4) for share in (50, 95))
    return {"p50_ms": p50, "p95_ms": p95, "n": len(milliseconds)}


def ratio(
    blocks: Sequence[np.ndarray], reference: Sequence[np.ndarray], seed: int = 0
) -> tuple[float, float, float]:
    """(ratio, low, high) of two files timed in the same rounds: blocks[i] beside reference[i]."""
    import numpy as np

    quiet = [np.percentile(block, 10) for block in blocks]
    paired = np.array(quiet) / [np.percentile(block, 10) for block in reference]
    low, high = bootstrap_median(paired, seed)
    return round(float(np.median(paired)), 4), round(low, 4), round(high, 4)


def beside(call: Call, reference: Call) -> tuple[float, float, float]:
    """(ratio, low, high) of one long call's time over another's, interleaved."""
    for each in (call, reference):
        each()
    calls = {"call": call, REFERENCE: reference}
    blocks = interleave(calls, LONG_ROUNDS, repeats=LONG_REPEATS)
    return ratio(blocks["call"], blocks[REFERENCE])


def bootstrap_median(values: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % percentile-bootstrap interval of the median of `values` (n,), n >= 1."""
    import numpy as np

    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(np.median(values[drawn], axis=1), (2.5, 97.5))
    return float(low), float(high)


@dataclass(frozen=True)
class Comparison:
    """A row of the card beside the same set-up measured now."""

    row: Measurement  # measured now
    card_p50_ms: float | None  # None: the card has no such row
    p50_ratio: float | None  # now over the card; None where they cannot be compared
    card_ratio_to_fp32: float | None
    note: str  # "" where the two can be compared in full, else why not


def compare(card_rows: Iterable[Measurement], fresh: Iterable[Measurement]) -> list[Comparison]:
    """Each fresh row beside the card's row of the same set-up, the same device first.

    Milliseconds compare on one device only; the ratio to fp32 tells something across devices.
    """
    card_rows = list(card_rows)
    return [_beside(row, _best_match(card_rows, row)) for row in fresh]


def _best_match(card_rows: Sequence[Measurement], row: Measurement) -> Measurement | None:
    alike = [old for old in card_rows if _setup(old) == _setup(row)]
    return min(alike, key=lambda old: old.device_name != row.device_name, default=None)


def _setup(row: Measurement) -> tuple[object, ...]:
    return (row.device, row.precision, row.batch, row.threads, row.image_size, row.text_length)


def _beside(row: Measurement, old: Measurement | None) -> Comparison:
    if old is None:
        return Comparison(row, None, None, None, "not on the card")
    if old.device_name != row.device_name:
        note = f"the card's device is {old.device_name}: compare the ratio to fp32"
        return Comparison(row, old.p50_ms, None, old.ratio_to_fp32, note)
    then, now = (f"{r.runtime} {r.runtime_version}" for r in (old, row))
    note = "" if then == now else f"the card was measured with {then}, now {now}"
    return Comparison(row, old.p50_ms, row.p50_ms / old.p50_ms, old.ratio_to_fp32, note)


def peak_memory_mb(path: Path, batches: Sequence[np.ndarray], threads: int = 1) -> float:
    """Peak resident memory, in 1e6 bytes, of a fresh process in which `path` runs each batch once.

    `batches` are pictures uint8 (n, h, w, 3) or texts int32 (n, length). The interpreter, numpy
    and onnxruntime are counted in.
    """
    import subprocess
    import sys
    import tempfile

    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs.npz"
        np.savez(inputs, *batches)
        command = [sys.executable, "-c", _PEAK, str(path), str(inputs), str(threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"{path} did not run: {last}", "check the file with `zoo verify`")
    return float(done.stdout)


# VmHWM is the process's own peak; ru_maxrss on Linux starts at the parent's.
_PEAK = """
import sys
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[3])
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
for batch in numpy.load(sys.argv[2]).values():
    session.run(None, {name: batch})
try:
    lines = open("/proc/self/status").read().splitlines()
    print(next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM")))
except OSError:
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print((peak if sys.platform == "darwin" else peak * 1024) / 1e6)
"""
