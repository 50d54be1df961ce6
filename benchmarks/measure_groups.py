"""What the passes for grouped convolutions do to ShuffleNet v1: nodes, bytes, latency.

    python benchmarks/measure_groups.py [--rounds N]

Before is the same build without `ungroup` and `make_shuffled`; random live weights, timing only.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from measure_speed import SIZE, interval, live

from compress import int8, rewrite
from compress.config import Attempt
from compress.rewrite.graph import run
from compress.rewrite.names import shorten_names
from distill.students import create
from export import onnx_file
from export.files import save
from zoo.measure import bench
from zoo.measure.loads import PictureLoad

NETWORKS: tuple[dict[str, Any], ...] = (
    {"width": 0.5, "groups": 3, "stem": "small"},
    {"width": 0.5, "groups": 8, "stem": "small"},
    {"width": 1.0, "groups": 3, "stem": "small"},
)
NEW = {"ungroup", "make_shuffled"}


def main() -> None:
    """Two lines of markdown for each network, fp32 and int8."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    sys.stdout.write(
        "| network | nodes run | Gather | Transpose | bytes | ms | ratio | control |\n"
    )
    sys.stdout.write(f"{'| --- ' * 8}|\n")
    for options in NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            for bits, pair in files(options, Path(folder)).items():
                sys.stdout.write(line(f"{options} {bits}", *pair, rounds) + "\n")
                sys.stdout.flush()


def files(options: dict[str, Any], folder: Path) -> dict[str, tuple[Path, Path]]:
    """fp32 and int8: the file before, the file after."""
    net = live(create("shufflenet-v1", 10, SIZE, options))
    core = onnx_file.finish(onnx_file.core(net, SIZE), SIZE, {})
    pictures = np.random.default_rng(0).integers(0, 256, (128, SIZE, SIZE, 3), dtype=np.uint8)
    made: dict[str, list[Path]] = {"fp32": [], "int8": []}
    for without in (NEW, set()):
        passes = [one for one in rewrite.FLOAT_PASSES if one.__name__ not in without]
        model = run(core, (*passes, shorten_names))
        stem = f"{len(passes)}"
        ready = folder / f"{stem}.ready.onnx"
        for name in made:
            made[name].append(folder / f"{stem}.{name}.onnx")
        save(model, made["fp32"][-1])
        save(rewrite.prepare_int8(model), ready)
        int8.quantize(ready, made["int8"][-1], [pictures], Attempt("minmax"))
    return {name: (before, after) for name, (before, after) in made.items()}


def line(name: str, before: Path, after: Path, rounds: int) -> str:
    """before -> after; latency at batch 1, one thread."""
    timed = {bench.REFERENCE: before, "after": after}
    first, second = bench.measure(timed, PictureLoad(1, SIZE), rounds=rounds, threads=1)
    nodes = [nodes_run(file) for file in (before, after)]
    counts = [[n.total() for n in nodes], *([n[k] for n in nodes] for k in ("Gather", "Transpose"))]
    counts.append([file.stat().st_size for file in (before, after)])
    shown = [" → ".join(f"{number:,}" for number in pair) for pair in counts]
    shown.append(f"{first.p50_ms:.3f} → {second.p50_ms:.3f}")
    control = f"[{first.control_low:.3f}, {first.control_high:.3f}]"
    return f"| {' | '.join([name, *shown, interval(second), control])} |"


def nodes_run(file: Path) -> Counter[str]:
    """Nodes by type, as onnxruntime runs them."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(file.with_suffix(".run"))
    options.log_severity_level = 3
    ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)


if __name__ == "__main__":
    main()
