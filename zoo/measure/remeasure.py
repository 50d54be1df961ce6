"""The numbers of a published student, measured again on this machine."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import CardError
from zoo.files import sha256
from zoo.measure.devices import SENTENCE, WORD
from zoo.records import card as cards
from zoo.records.card import Bench, Card, Variant
from zoo.records.measures import Measurement, Score
from zoo.students.golden import Verdict

if TYPE_CHECKING:
    import numpy as np

    from zoo.measure.devices import Load
    from zoo.records.recipe import Recipe

Progress = Callable[[int, int], None]  # done, in all
TEXT_LENGTHS = (WORD, SENTENCE)


@dataclass(frozen=True)
class Again:
    """A score of the card and the same one measured now."""

    card: Score
    now: Score
    same_data: bool  # whether both read the same names, labels, and pixels or texts

    @property
    def ok(self) -> bool:
        """Inside the card's 95 % interval, on the card's data."""
        inside = self.card.low <= self.now.value <= self.card.high
        return self.same_data and self.card.n == self.now.n and inside


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
    from zoo.measure import bench

    card = cards.read(folder)
    files = {precision: folder / variant.file for precision, variant in card.variants.items()}
    loads = _loads(card, batch)
    rows: list[Measurement] = []
    for place, load in enumerate(loads):
        rows += bench.measure(
            files,
            load,
            threads=threads,
            rounds=rounds,
            device=device,
            progress=_part(progress, place, len(loads)),
        )
    hashes = {precision: sha256(path) for precision, path in files.items()}
    return Bench(1, card.name, hashes, tuple(rows))


def _loads(card: Card, batch: int) -> list[Load]:
    """What a student is timed on: pictures of its own size; words, and sentences."""
    from zoo.measure.devices import PictureLoad, TextLoad

    if card.input.size is not None:
        return [PictureLoad(batch, card.input.size)]
    return [TextLoad(batch, length) for length in TEXT_LENGTHS]


def _part(progress: Progress | None, place: int, parts: int) -> Progress | None:
    """Progress of one of several equal parts."""
    if progress is None:
        return None
    return lambda done, total: progress(place * total + done, parts * total)


def golden(folder: Path) -> dict[str, Verdict]:
    """Precision -> whether the file gives the published answers on this processor."""
    from zoo.students import golden as students_golden

    return {
        precision: students_golden.golden(folder, precision)
        for precision in cards.read(folder).variants
    }


def accuracy(folder: Path, root: Path, progress: Progress | None = None) -> dict[str, Again]:
    """Precision -> accuracy on the test data under `root`, beside the card's.

    Where the card has other test sets too, they follow as "PRECISION, NAME". The sha256 of a test
    set beside the one in run.json tells whether it is the card's.
    """
    from zoo import tasks

    card = cards.read(folder)
    recorded = _run(folder)
    recipe = _recipe(recorded, folder)
    tests = tasks.of(recipe).tests(recipe, root)
    jobs = list(itertools.product(tests.items(), card.variants.items()))
    found = {}
    for place, ((name, test), (precision, variant)) in enumerate(jobs):
        first = test is next(iter(tests.values()))
        score = variant.accuracy if first else _also(variant, name)
        if score is None:
            continue
        _check_classes(test.classes, card, root)
        columns = [card.labels.index(label) for label in test.classes]
        report = _part(progress, place, len(jobs))
        logits = _logits(folder / variant.file, test, report)[:, columns]
        now = tasks.of(recipe).score(logits, test, score.dataset, score.split)
        same = test.sha256 == recorded["data"].get("test" if first else name)
        found[precision if first else f"{precision}, {name}"] = Again(score, now, same)
    return found


def _also(variant: Variant, name: str) -> Score | None:
    """The card's score on a test set that is not the headline's."""
    return next((score for score in variant.also if score.dataset == name), None)


def _check_classes(classes: Sequence[str], card: Card, root: Path) -> None:
    if set(classes) != set(card.labels):
        raise CardError(
            f"the data under {root} has other classes than {card.name}",
            hint=f"it needs {card.data.source}: {card.data.home}",
        )


def _logits(path: Path, test: Any, progress: Progress | None) -> np.ndarray:
    """Float32 (n, classes) of the pictures or texts of a test set."""
    from zoo.measure import verify

    report = (lambda done: progress(done, len(test))) if progress else None
    if hasattr(test, "texts"):
        return verify.logits_of_texts(path, test.texts, progress=report)
    return verify.logits_of(path, test.images, progress=report)


def _run(folder: Path) -> dict[str, Any]:
    """run.json, with the recipe and the sha256 of the test split in it."""
    run = cards.read_run(folder)
    if not isinstance(run.get("recipe"), dict):
        raise CardError(f"{folder}: run.json does not hold the recipe", hint="pull it again")
    data = run.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("test"), str):
        raise CardError(f"{folder}: run.json does not hold data.test", hint="pull it again")
    return run


def _recipe(run: dict[str, Any], folder: Path) -> Recipe:
    """What the student was made by, as its own run tells."""
    from zoo.records import recipe
    from zoo.records.reader import Document

    return recipe.bind(Document(run["recipe"], f"{folder / cards.RUN}: recipe"))
