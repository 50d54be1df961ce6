"""What the rewrites and 8 bits do to latency, by architecture: timing only, random live weights.

    python benchmarks/measure_speed.py [--rounds N] [--threads N]

Each network goes through the build's own steps. The yardstick is `torch.onnx.export` of the same
weights and nothing else, in the same interleaved run, with its own second session as control.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from compress import int8, rewrite
from compress.config import Attempt
from distill.students import create
from export import onnx_file
from export.files import save
from zoo.measure import bench
from zoo.measure.loads import PictureLoad
from zoo.records.measures import Measurement

SIZE = 32  # pixels
NETWORKS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("shufflenet-v2", {"width": 0.5, "stem": "small"}),
    ("shufflenet-v2", {"width": 1.0, "stem": "small"}),
    ("shufflenet-v1", {"width": 0.5, "groups": 3, "stem": "small"}),
    ("separable", {"size": "small"}),
    ("nasnet-a", {"cells": 3, "filters": 16, "stem": "small"}),
)


def main() -> None:
    """A line of markdown for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    sys.stdout.write("| network | plain, ms | control | ours fp32 / plain | int8 / plain | KB |\n")
    sys.stdout.write("| --- | --- | --- | --- | --- | --- |\n")
    for architecture, options in NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            sys.stdout.write(line(architecture, options, Path(folder), chosen) + "\n")
            sys.stdout.flush()


def line(
    architecture: str, options: dict[str, Any], folder: Path, chosen: argparse.Namespace
) -> str:
    """Latency over the plain export, [95 % interval]."""
    plain, fp32, eight = files(live(create(architecture, 10, SIZE, options)), folder)
    timed = {bench.REFERENCE: plain, "ours": fp32, "int8": eight}
    rows = bench.measure(timed, PictureLoad(1, SIZE), rounds=chosen.rounds, threads=chosen.threads)
    first, ours, bits = rows
    control = replace(
        first,
        ratio_to_fp32=first.control_ratio,
        ratio_low=first.control_low,
        ratio_high=first.control_high,
    )
    name = f"{architecture} {' '.join(str(value) for value in options.values())}"
    shown = [name, f"{first.p50_ms:.3f}", *(interval(r) for r in (control, ours, bits))]
    return f"| {' | '.join(shown)} | {eight.stat().st_size / 1000:.0f} |"


def interval(row: Measurement) -> str:
    """ratio [low, high]."""
    return f"{row.ratio_to_fp32:.3f} [{row.ratio_low:.3f}, {row.ratio_high:.3f}]"


def live(net: nn.Module) -> nn.Module:
    """Running statistics that fit the weights: a dead network is timed wrong."""
    torch.manual_seed(0)
    with torch.no_grad():
        for _ in range(10):
            net.train()(torch.randint(0, 256, (64, SIZE, SIZE, 3), dtype=torch.uint8))
    return net.eval()


def files(net: nn.Module, folder: Path) -> tuple[Path, Path, Path]:
    """The plain export, our fp32 file, our int8 file."""
    plain, fp32, ready, eight = (folder / f"{n}.onnx" for n in ("plain", "fp32", "ready", "int8"))
    core = onnx_file.core(net, SIZE)
    save(core, plain)
    model = rewrite.optimize(onnx_file.finish(core, SIZE, {}))
    save(model, fp32)
    save(rewrite.prepare_int8(model), ready)
    pictures = np.random.default_rng(0).integers(0, 256, (128, SIZE, SIZE, 3), dtype=np.uint8)
    int8.quantize(ready, eight, [pictures], Attempt("minmax"))
    return plain, fp32, eight


if __name__ == "__main__":
    main()
