"""The numbers of a published student, measured again on this machine."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import CardError
from zoo.files import sha256
from zoo.measure.meter import Meter, meter
from zoo.records import card as cards
from zoo.records import recipe as recipes
from zoo.records import task
from zoo.records.card import Bench, Variant
from zoo.records.measures import Measurement, Score
from zoo.records.text import Document
from zoo.students.golden import Verdict
from zoo.students.golden import golden as golden_test

if TYPE_CHECKING:
    from zoo.records.recipe import Recipe

Progress = Callable[[int, int], None]  # done, in all


@dataclass(frozen=True)
class Again:
    """A score of the card and the same one measured now."""

    card: Score
    now: Score
    same_data: bool  # whether both read the same names, labels, and pixels or texts
    older: bool = False  # not the same, and an earlier reader of data than this made the card's

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
    loads = task.find(card.task).part("meter", Meter).loads_of(card.input, batch)
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


def _part(progress: Progress | None, place: int, parts: int) -> Progress | None:
    """Progress of one of several equal parts."""
    if progress is None:
        return None
    return lambda done, total: progress(place * total + done, parts * total)


def _counted(progress: Progress | None, total: int) -> Callable[[int], None] | None:
    return (lambda done: progress(done, total)) if progress else None


def golden(folder: Path) -> dict[str, Verdict]:
    """Precision -> whether the file gives the published answers on this processor."""
    return {p: golden_test(folder, p) for p in cards.read(folder).variants}


def accuracy(folder: Path, root: Path, progress: Progress | None = None) -> dict[str, Again]:
    """Precision -> accuracy on the test data under `root`, beside the card's.

    Where the card has other test sets too, they follow as "PRECISION, NAME". The sha256 of a test
    set beside the one in run.json tells whether it is the card's.
    """
    card = cards.read(folder)
    recorded = _run(folder)
    recipe = _recipe(recorded, folder)
    measures = meter(recipe)
    if needed := measures.needs():
        raise CardError(
            f"{card.name} was measured against {needed}, which are not here",
            "build it again from its recipe to measure it again",
        )
    tests = measures.tests(root)
    jobs = list(itertools.product(tests.items(), card.variants.items()))
    found = {}
    for place, ((name, test), (precision, variant)) in enumerate(jobs):
        first = test is next(iter(tests.values()))
        score = variant.accuracy if first else _also(variant, name)
        if score is None:
            continue
        columns = measures.columns(test, card.labels)
        if columns is None:
            hint = f"it needs {card.data.source}: {card.data.home}"
            raise CardError(f"the data under {root} has other classes than {card.name}", hint)
        report = _counted(_part(progress, place, len(jobs)), len(test))
        outputs = measures.outputs(folder / variant.file, test, report)[..., columns]
        now = measures.score(outputs, test, score.dataset, score.split)
        same = test.sha256 == recorded["data"].get("test" if first else name)
        older = not same and _reader(recorded) < measures.reader()
        found[precision if first else f"{precision}, {name}"] = Again(score, now, same, older)
    return found


def _also(variant: Variant, name: str) -> Score | None:
    """The card's score on a test set that is not the headline's."""
    return next((score for score in variant.also if score.dataset == name), None)


def _run(folder: Path) -> dict[str, Any]:
    """run.json, with the recipe and the sha256 of the test split in it."""
    run = cards.read_run(folder)
    if not isinstance(run.get("recipe"), dict):
        raise CardError(f"{folder}: run.json does not hold the recipe", hint="pull it again")
    data = run.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("test"), str):
        raise CardError(f"{folder}: run.json does not hold data.test", hint="pull it again")
    return run


def _reader(run: dict[str, Any]) -> int:
    """The version of what read the data; cards from before there were two do not say it."""
    found = run.get("reader", 1)
    return found if isinstance(found, int) else 1


def _recipe(run: dict[str, Any], folder: Path) -> Recipe:
    """What the student was made by, as its own run tells."""
    return recipes.bind(Document(run["recipe"], f"{folder / cards.RUN}: recipe"))
