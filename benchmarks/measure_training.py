"""Pictures a second that a student learns, of this code and of an older one, in pairs.

    git worktree add ../older COMMIT
    python benchmarks/measure_training.py --old ../older width=0.5 stem=small
    python benchmarks/measure_training.py --old ../older --architecture separable size=small \
        --data cifar10.zip --rounds 3

Each round trains one after the other, as whole processes: the older code at full size in its one
process, this one in a process a core, with --sizes that grow. Without --data pictures of 32 pixels
are made up; with it a round is a seed, and its accuracy on the validation split is told.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SIDE, CLASSES = 32, 10
Side = tuple[Path, dict[str, Any]]  # a checkout, and the settings that only it has


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("options", nargs="*", help="of the student: width=0.5 stem=small")
    parser.add_argument("--old", type=Path, help="a checkout of the code to compare with")
    parser.add_argument("--architecture", default="shufflenet-v2")
    parser.add_argument("--data", type=Path, help="cifar10.zip; left out: noise")
    parser.add_argument("--pictures", type=int, default=6400, help="in an epoch of noise")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--sizes", type=int, nargs="*", default=[])
    parser.add_argument("--shares", type=float, nargs="*", default=[])
    parser.add_argument("--processes", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(train(given, **json.loads(given.one))))
        return
    new = {"sizes": given.sizes, "shares": given.shares, "processes": given.processes}
    old: dict[str, Side] = {"old": (given.old, {})} if given.old else {}
    report(given, pairs(given, old | {"new": (ROOT, new)}))


def pairs(given: argparse.Namespace, sides: dict[str, Side]) -> dict[str, list[dict[str, float]]]:
    """What each side found in each round."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for number in range(given.rounds):
        for name in list(sides) if number % 2 == 0 else list(sides)[::-1]:
            root, settings = sides[name]
            one = json.dumps({"seed": number, "settings": settings})
            done = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--one", one],
                env=os.environ | {"PYTHONPATH": str(root)},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                sys.exit(done.stderr)
            found[name].append(json.loads(done.stdout))
            print(f"round {number + 1}, {name}: {found[name][-1]}", flush=True)
    return found


def train(given: argparse.Namespace, seed: int, settings: dict[str, Any]) -> dict[str, float]:
    """Of the code that is on the path: pictures a second, CPU-seconds an epoch, accuracy."""
    import torch

    from distill.config import Augment, Loss, Train
    from distill.students import create
    from distill.train import Plan, fit

    torch.manual_seed(seed)
    net = create(given.architecture, CLASSES, SIDE, dict(map(_option, given.options)))
    known, held_out = _data(given)
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    ema = 0.998 if given.data else 0.9  # noise is seen in few steps
    how = Train(epochs=given.epochs, batch_size=128, learning_rate=0.1, ema=ema, **settings)
    plan = Plan(Loss(name="ce"), Augment(crop_padding=4, flip=True), how, seed)
    with tempfile.TemporaryDirectory() as folder:
        cpu, wall = _cpu_seconds(), time.monotonic()
        curves = fit(net, known, held_out, plan, Path(folder))
        cpu, wall = _cpu_seconds() - cpu, time.monotonic() - wall
    seen = len(known) // 128 * 128 * given.epochs
    found = {
        "pictures_a_second": round(seen / sum(row["seconds"] for row in curves), 1),
        "with_start_and_validation": round(seen / wall, 1),
        "cpu_seconds_an_epoch": round(cpu / given.epochs, 2),
    }
    return found | ({"accuracy": curves[-1]["validation_accuracy"]} if given.data else {})


def _data(given: argparse.Namespace) -> tuple[Any, Any]:
    """Train and validation."""
    import numpy as np

    from distill.config import Data
    from distill.data import Dataset, load

    if given.data:
        data = Data(source=str(given.data), licence="as it is", image_size=SIDE)
        return load(data, "train"), load(data, "validation")

    def noise(count: int) -> Any:
        images = np.random.default_rng(count).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)
        labels = np.arange(count) % CLASSES
        images[..., 0] = (labels * 25)[:, None, None]  # to be learnt
        return Dataset(images, labels, tuple("abcdefghij"), "train", f"{count:064x}")

    return noise(given.pictures), noise(20)  # too few to be held to anything


def _option(pair: str) -> tuple[str, int | float | str]:
    key, _, value = pair.partition("=")
    for kind in (int, float):
        try:
            return key, kind(value)
        except ValueError:
            continue
    return key, value


def _cpu_seconds() -> float:
    """Of this process and of those that it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def report(given: argparse.Namespace, found: dict[str, list[dict[str, float]]]) -> None:
    name = " ".join([given.architecture, *given.options])
    print(f"{name}: {given.epochs} epochs, sizes {given.sizes} {given.shares}, n = {given.rounds}")
    for side, rows in found.items():
        for key in rows[0]:
            values = sorted(row[key] for row in rows)
            middle = statistics.fmean if key == "accuracy" else statistics.median
            print(f"  {side} {key}: {middle(values):,.4g} of {values}")
    if "old" in found:
        both = zip(found["old"], found["new"], strict=True)
        ratios = sorted(b["pictures_a_second"] / a["pictures_a_second"] for a, b in both)
        print(f"  new over old: {statistics.median(ratios):.2f} of {[round(r, 2) for r in ratios]}")


if __name__ == "__main__":
    main()
