"""What it saves to keep the teacher's outputs: CPU seconds of an epoch, kept against live.

    python benchmarks/measure_labels.py RECIPE --data ROOT [--steps N] [--rounds N]

Takes a recipe that was built under `runs` (its teacher must be there), and times the same training
steps with kept outputs and with the teacher asked at every step, in turns.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from distill import labels
from distill.config import Labels
from distill.data import Dataset
from distill.train import Answers, Plan, fit
from zoo.chain.build import chain
from zoo.chain.job import Job
from zoo.records import recipe as recipes


def main() -> None:
    """Median seconds, and the median of the rounds' ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("recipe")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs"))
    parser.add_argument("--steps", type=int, default=20, help="of one epoch in each round")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    recipe = recipes.find(chosen.recipe)
    labelled = chain(recipes.written(chosen.recipe), chosen.data, chosen.work, until="label")
    whole, teacher = labelled.train, labelled.teacher
    if teacher is None:
        parser.error(f"{recipe.name} has no teacher")
    some = part(whole, chosen.steps * recipe.train.batch_size)
    one_view = Labels(1, recipe.labels.top_k, recipe.labels.audit)
    live: Answers = lambda view, rows, pictures: torch.from_numpy(teacher(pictures.numpy()))  # noqa: E731
    with tempfile.TemporaryDirectory() as folder:
        kept = labels.keep(teacher, teacher.sha256, some, recipe.augment, one_view, Path(folder))
        pairs = [
            (seconds(recipe, some, kept), seconds(recipe, some, live))
            for _ in range(chosen.rounds + 1)
        ][1:]
    factor = len(whole) / len(some)
    for name, values in zip(("kept", "live"), zip(*pairs, strict=True), strict=True):
        sys.stdout.write(f"{name}: {factor * statistics.median(values):.0f} CPU-s an epoch\n")
    ratio = statistics.median(a / b for a, b in pairs)
    sys.stdout.write(f"kept / live: {ratio:.3f} (n = {chosen.rounds} rounds of {len(some)})\n")


def part(data: Dataset, n: int) -> Dataset:
    """The first n pictures of every so many."""
    step = max(1, len(data) // n)
    return replace(data, images=data.images[::step][:n].copy(), labels=data.labels[::step][:n])


def seconds(recipe: recipes.Recipe, data: Dataset, answers: Answers) -> float:
    """CPU seconds of one epoch over data, a fresh student."""
    net = Job(recipe, None, Path()).maker.network(data.classes)
    plan = Plan(recipe.loss, recipe.augment, replace(recipe.train, epochs=1), 0, 1)
    few = part(data, 16)
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        fit(net, data, few, plan, Path(folder), answers)
        return time.process_time() - began


if __name__ == "__main__":
    main()
