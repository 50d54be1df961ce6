"""What the channel shuffle is worth: ShuffleNet v1 (Zhang et al. 2018) with and without it.

    python benchmarks/ablate_shuffle.py cifar10.zip --work W [--epochs N] [--seeds 0 1 2]

Each network learns the train split by cross-entropy alone. The figure is its accuracy on the
held-out part of it after the last epoch; the test split is not read. Every run has a folder of its
own in W, and one that was cut off goes on where it was when the same command is given again.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from distill.config import Augment, Data, Loss, Train
from distill.data import Dataset, load
from distill.students import create
from distill.train import Plan, fit

SIZE = 32  # pixels


def main() -> None:
    """A table of markdown, after all runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("data", help="folder, zip or tar of split/class/name.ext")
    parser.add_argument("--work", type=Path, required=True, help="where the runs are kept")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--groups", type=int, nargs="+", default=[3, 8])
    parser.add_argument("--width", type=float, default=0.5)
    parser.add_argument("--rate", type=float, default=0.05, help="peak learning rate")
    parser.add_argument("--batch", type=int, default=128, help="pictures a step")
    parser.add_argument("--validation", type=float, default=0.1, help="fraction of train held out")
    parser.add_argument("--part", type=int, default=1, help="train on every so many pictures only")
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    data = Data(chosen.data, "none", image_size=SIZE, validation=chosen.validation)
    train, held_out = every(load(data, "train"), chosen.part), load(data, "validation")
    found = {
        (groups, shuffle): [
            accuracy(train, held_out, groups, shuffle, seed, chosen) for seed in chosen.seeds
        ]
        for groups in chosen.groups
        for shuffle in (False, True)
    }
    sys.stdout.write(
        f"ShuffleNet v1 {chosen.width}x, {len(train):,} pictures, {chosen.epochs} epochs; "
        f"accuracy on {len(held_out):,} held out, % (mean and sd of {len(chosen.seeds)} seeds)\n\n"
        "| Groups | no shuffle | shuffle | gain, points |\n| --- | --- | --- | --- |\n"
    )
    for groups in chosen.groups:
        sys.stdout.write(row(groups, found[groups, False], found[groups, True]) + "\n")


def every(data: Dataset, step: int) -> Dataset:
    """Every step-th picture; its hash is that of the whole and the step."""
    if step == 1:
        return data
    names = data.names[::step]
    sha256 = f"{data.sha256}/{step}"
    images, labels = data.images[::step].copy(), data.labels[::step]
    return Dataset(images, labels, data.classes, data.split, sha256, names)


def accuracy(
    train: Dataset,
    held_out: Dataset,
    groups: int,
    shuffle: bool,
    seed: int,
    chosen: argparse.Namespace,
) -> float:
    """Fraction of held_out that the network of one run gets right after its last epoch."""
    options = {"groups": groups, "width": chosen.width, "stem": "small", "shuffle": shuffle}
    torch.manual_seed(seed)
    net = create("shufflenet-v1", len(train.classes), SIZE, options)
    plan = Plan(
        Loss("ce"),
        Augment(crop_padding=4, flip=True),
        Train(epochs=chosen.epochs, batch_size=chosen.batch, learning_rate=chosen.rate),
        seed,
    )
    kind = "shuffle" if shuffle else "none"
    name = f"g{groups}-{kind}-x{chosen.width}-e{chosen.epochs}-p{chosen.part}-s{seed}"
    sys.stderr.write(f"{name}\n")
    curves = fit(net, train, held_out, plan, chosen.work / name, device=chosen.device)
    return curves[-1]["validation_accuracy"]


def row(groups: int, without: Sequence[float], shuffled: Sequence[float]) -> str:
    """A line of the table; the gain is that of runs of one seed."""
    gains = [b - a for a, b in zip(without, shuffled, strict=True)]
    return f"| {groups} | {spread(without)} | {spread(shuffled)} | {spread(gains)} |"


def spread(fractions: Sequence[float]) -> str:
    """Mean and standard deviation, in points; one value has no deviation."""
    points = [100 * value for value in fractions]
    deviation = f" ± {statistics.stdev(points):.2f}" if len(points) > 1 else ""
    return f"{statistics.mean(points):.2f}{deviation}"


if __name__ == "__main__":
    main()
