"""A small training: its pictures, network, teacher and plan.

Run as a process, it trains into the folder that it is given until it kills itself.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distill import train
from distill.config import Augment, Loss, Train
from distill.data import Dataset
from distill.students.image import ImageInput
from distill.train import Plan, fit

SIZE, CLASSES, N = 8, 3, 24
AUGMENT = Augment(crop_padding=1, flip=True, cutout=2, mixup=0.3)
SETTINGS = Train(epochs=3, batch_size=8, learning_rate=0.05, ema=0.9)
PLAN = Plan(Loss(), AUGMENT, SETTINGS, seed=5, views=2)


def dataset(n: int = N, split: str = "train") -> Dataset:
    """Noise that is brighter in one of the three colours, its class."""
    images = np.random.default_rng(3).integers(0, 160, (n, SIZE, SIZE, 3), np.uint8)
    labels = np.arange(n) % CLASSES
    images[np.arange(n), :, :, labels] += 90
    return Dataset(images, labels, ("red", "green", "blue"), split, "d" * 64)


HELD = dataset(9, "validation")


def network(seed: int = 0, dropout: float = 0.3) -> nn.Module:
    """All that a checkpoint must hold: weights, running statistics, and dropout's chance."""
    torch.manual_seed(seed)
    return nn.Sequential(
        ImageInput(SIZE),
        nn.Conv2d(3, 6, 3, 2, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(54, CLASSES),
    )


def linear(seed: int = 0) -> nn.Module:
    """Without batch norm and dropout, so that a step can be computed by hand."""
    torch.manual_seed(seed)
    net = nn.Sequential(ImageInput(SIZE), nn.Flatten(), nn.Linear(SIZE * SIZE * 3, CLASSES))
    with torch.no_grad():
        net[2].weight.mul_(0.1)
    return net


class Colours:
    """A teacher, with a name: logits (b, classes), the mean of each colour."""

    key = "mean colours"

    def __call__(self, view: int, rows: Tensor, pictures: Tensor) -> Tensor:
        return pictures.float().mean((1, 2)) / 20


teacher = Colours()


def weights(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def read(path: Path) -> Any:
    return torch.load(path, weights_only=True)


class Watching(Colours):
    """A teacher that remembers what it was shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, list[int], Tensor]] = []

    def __call__(self, view: int, rows: Tensor, pictures: Tensor) -> Tensor:
        self.shown.append((view, rows.tolist(), pictures.clone()))
        return super().__call__(view, rows, pictures)


def dying(after: int, kill: Callable[[], None]) -> Watching:
    """A teacher that ends the process in place of its answer number `after`."""

    class Dying(Watching):
        def __call__(self, view: int, rows: Tensor, pictures: Tensor) -> Tensor:
            if len(self.shown) == after:
                kill()
            return super().__call__(view, rows, pictures)

    return Dying()


def _train_and_die(out: Path) -> None:
    """In a process of its own: killed in the middle of the second epoch."""
    train.CHECKPOINT_SECONDS = -1.0
    killer = dying(5, lambda: os.kill(os.getpid(), signal.SIGKILL))
    fit(network(), dataset(), HELD, PLAN, out, killer)


if __name__ == "__main__":
    _train_and_die(Path(sys.argv[1]))
