"""Pictures a second that a student learns, of this code and of an older one, in pairs.

    git worktree add /tmp/old COMMIT
    python benchmarks/measure_training.py --old /tmp/old --architecture shufflenet-v2 width=0.5

Each round trains one after the other, as whole processes, for so many epochs of random pictures of
32 pixels: the older code at full size in its one process, this one as its recipes say, a process a
core and sizes that grow. Loading and the first step (kernels are chosen) are not counted.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--old", type=Path, help="a checkout of the code to compare with")
    parser.add_argument("--architecture", default="shufflenet-v2")
    parser.add_argument("options", nargs="*", help="of the student: width=0.5 stem=small")
    parser.add_argument("--pictures", type=int, default=6400, help="in an epoch")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--sizes", type=int, nargs="*", default=[16, 24, 32])
    parser.add_argument("--shares", type=float, nargs="*", default=[0.5, 0.3, 0.2])
    parser.add_argument("--processes", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(train(given, json.loads(given.one))))
        return
    new = {"sizes": given.sizes, "shares": given.shares, "processes": given.processes}
    sides: dict[str, tuple[Path, dict[str, Any]]] = {"new": (ROOT, new)}
    if given.old:
        sides = {"old": (given.old, {}), **sides}
    report(given, pairs(given, sides))


def pairs(
    given: argparse.Namespace, sides: dict[str, tuple[Path, dict[str, Any]]]
) -> dict[str, list[dict[str, float]]]:
    """What each side found in each round."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for number in range(given.rounds):
        order = list(sides) if number % 2 == 0 else list(sides)[::-1]
        for name in order:
            root, settings = sides[name]
            command = [sys.executable, __file__, *sys.argv[1:], "--one", json.dumps(settings)]
            done = subprocess.run(
                command,
                env=os.environ | {"PYTHONPATH": str(root)},
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                check=True,
            )
            found[name].append(json.loads(done.stdout))
            print(f"round {number + 1}, {name}: {found[name][-1]}", flush=True)
    return found


def train(given: argparse.Namespace, settings: dict[str, Any]) -> dict[str, float]:
    """Of the code that is on the path: pictures a second, and CPU-seconds an epoch."""
    import numpy as np

    from distill.config import Augment, Loss, Train
    from distill.data import Dataset
    from distill.students import create
    from distill.train import Plan, fit

    def pictures(count: int, split: str) -> Any:
        rng = np.random.default_rng(count)
        images = rng.integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)
        labels = np.arange(count) % CLASSES
        images[..., 0] = (labels * 25)[:, None, None]
        return Dataset(images, labels, tuple("abcdefghij"), split, f"{count:064x}")

    options = dict(pair.split("=") for pair in given.options)
    typed = {key: int(v) if v.isdigit() else _number(v) for key, v in options.items()}
    net = create(given.architecture, CLASSES, SIDE, typed)
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    how = Train(epochs=given.epochs, batch_size=128, learning_rate=0.02, ema=0.998, **settings)
    plan = Plan(Loss(name="ce"), Augment(crop_padding=4, flip=True), how, 0)
    with tempfile.TemporaryDirectory() as folder:
        cpu, wall = _cpu_seconds(), time.monotonic()
        curves = fit(
            net, pictures(given.pictures, "train"), pictures(500, "test"), plan, Path(folder)
        )
        cpu, wall = _cpu_seconds() - cpu, time.monotonic() - wall
    steps = sum(row["seconds"] for row in curves)
    seen = given.pictures // 128 * 128 * given.epochs
    return {
        "pictures_a_second": round(seen / steps, 1),
        "with_start_and_validation": round(seen / wall, 1),
        "cpu_seconds_an_epoch": round(cpu / given.epochs, 2),
    }


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _cpu_seconds() -> float:
    """Of this process and of those that it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def report(given: argparse.Namespace, found: dict[str, list[dict[str, float]]]) -> None:
    print(
        f"{given.architecture} {' '.join(given.options)}, {given.epochs} epochs, n = {given.rounds}"
    )
    for name, rows in found.items():
        for key in rows[0]:
            values = [row[key] for row in rows]
            print(f"  {name} {key}: median {statistics.median(values):,.1f} of {sorted(values)}")
    if "old" in found:
        ratios = sorted(
            round(b["pictures_a_second"] / a["pictures_a_second"], 2)
            for a, b in zip(found["old"], found["new"], strict=True)
        )
        print(f"  new over old: median {statistics.median(ratios):.2f} of {ratios}")


if __name__ == "__main__":
    main()
