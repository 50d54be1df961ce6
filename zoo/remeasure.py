"""The numbers of a published student, measured again on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import card as cards
from zoo.card import Bench
from zoo.errors import CardError
from zoo.files import sha256
from zoo.measures import Score
from zoo.verify import Verdict

Progress = Callable[[int, int], None]  # done, in all


@dataclass(frozen=True)
class Again:
    """A score of the card and the same one measured now."""

    card: Score
    now: Score
    same_pictures: bool  # whether both read the same names, labels and pixels

    @property
    def ok(self) -> bool:
        """Inside the card's 95 % interval, on the card's pictures."""
        inside = self.card.low <= self.now.value <= self.card.high
        return self.same_pictures and self.card.n == self.now.n and inside


def latency(
    folder: Path,
    *,
    device: str = "cpu",
    batch: int = 1,
    threads: int = 1,
    rounds: int = 60,
    progress: Progress | None = None,
) -> Bench:
    """Time the published files of the student in `folder`, interleaved."""
    from zoo import bench

    card = cards.read(folder)
    files = {precision: folder / variant.file for precision, variant in card.variants.items()}
    rows = bench.measure(
        files,
        card.input.size,
        batch=batch,
        threads=threads,
        rounds=rounds,
        device=device,
        progress=progress,
    )
    hashes = {precision: sha256(path) for precision, path in files.items()}
    return Bench(1, card.name, hashes, tuple(rows))


def golden(folder: Path) -> dict[str, Verdict]:
    """Precision -> whether the file gives the published answers on this processor."""
    from zoo import verify

    return {
        precision: verify.golden(folder, precision) for precision in cards.read(folder).variants
    }


def accuracy(folder: Path, root: Path, progress: Progress | None = None) -> dict[str, Again]:
    """Precision -> accuracy on the test split of the data under `root`, beside the card's.

    The sha256 of that split beside the one in run.json tells whether the pictures are the card's.
    """
    import numpy as np

    from distill.data import load
    from zoo import verify

    card = cards.read(folder)
    recorded = _run(folder)
    test = load(_data(recorded, folder), "test", root)
    if set(test.classes) != set(card.labels):
        raise CardError(
            f"the data under {root} has other classes than {card.name}",
            hint=f"it needs {card.data.source}: {card.data.home}",
        )
    place = np.array([card.labels.index(name) for name in test.classes])
    found = {}
    for precision, variant in card.variants.items():
        score = verify.accuracy(
            folder / variant.file,
            test.images,
            place[test.labels],
            dataset=variant.accuracy.dataset,
            split="test",
            progress=(lambda done: progress(done, len(test))) if progress else None,
        )
        found[precision] = Again(variant.accuracy, score, test.sha256 == recorded["data"]["test"])
    return found


def _run(folder: Path) -> dict[str, Any]:
    """run.json, with the recipe and the sha256 of the test split in it."""
    run = cards.read_run(folder)
    if not isinstance(run.get("recipe"), dict):
        raise CardError(f"{folder}: run.json does not hold the recipe", hint="pull it again")
    data = run.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("test"), str):
        raise CardError(f"{folder}: run.json does not hold data.test", hint="pull it again")
    return run


def _data(run: dict[str, Any], folder: Path):  # type: ignore[no-untyped-def] # -> distill Data
    """Where the student's data is, as its own run tells."""
    from zoo.recipe import Recipe
    from zoo.records import Document

    return Recipe.bind(Document(run["recipe"], f"{folder / cards.RUN}: recipe")).data
