"""What the catalogue knows of each repository: its card at main, read as something hostile.

Whoever may write to the hub may send any card.json. A card that is in the catalogue has clean text
(no control characters, one line a value), numbers that can be shown, and a page that could be made.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from zoo.card import page as card_page
from zoo.card.latency import single_latency
from zoo.card.words import words
from zoo.errors import CardError, NotFound, StoreError, ZooError
from zoo.publish.shelf import headline
from zoo.records import card as cards
from zoo.records import reader
from zoo.records.card import Card
from zoo.records.entry import Headline
from zoo.records.measures import FRACTION, Measurement, Scale, Score
from zoo.records.text import Document, parse_json
from zoo.stores.store import Commit, Store

FIGURES = ("latency.svg", "classes.svg", "curves.svg")
MAX_CARD_BYTES = 1 << 18  # a longer card.json is not read
_BRANCH = "main"
_LARGEST = 1 << 53  # a number above it is no count of anything


@dataclass(frozen=True)
class Row:
    """A line of the catalogue."""

    repo: str  # "org/name"
    name: str  # as the card says
    summary: str
    task: str
    licence: str
    architecture: str
    precision: str  # of the file to use: "int8" or "fp32"
    accuracy: float  # score of that file, by the metric and on the scale below
    accuracy_low: float  # ends of its 95 % interval
    accuracy_high: float
    metric: str
    dataset: str
    split: str  # of the data set: "test"
    n: int  # examples of it
    size_bytes: int  # of that file
    latency_ms: float | None  # p50 of one picture, or a sentence, on one CPU thread
    device: str  # that it was measured on; empty where it was not
    parameters: int
    macs: int  # multiply-accumulates of one picture, or a text of 100
    created: str  # ISO date of the build
    revision: str  # the commit that main is at, 40 hex digits
    scale: Scale = FRACTION  # of the metric

    @property
    def test_set(self) -> str:
        """What it was measured on, as people call it."""
        split = "" if self.split == "test" else f" {self.split}"
        return f"{self.dataset}{split}, n = {self.n:,}"

    @property
    def has_accuracy(self) -> bool:
        """Whether its score can stand beside accuracies."""
        return self.metric.endswith("accuracy") and self.scale == FRACTION


@dataclass(frozen=True)
class Facts:
    """What the list and the registry need of a card; small, so that many can be remembered."""

    row: Row  # repo and revision are empty
    headline: Headline
    files: tuple[tuple[str, str], ...]  # file name, sha256: what the card was measured on


@dataclass(frozen=True)
class Shown:
    """A repository as the catalogue has it. What has a `problem` is not in the list."""

    repo: str
    commit: Commit
    facts: Facts | None = None  # of its card, where that can be shown
    problem: str = ""  # why it is not in the list

    @property
    def row(self) -> Row | None:
        """Its line."""
        if self.facts is None:
            return None
        return replace(self.facts.row, repo=self.repo, revision=self.commit.id)


def shown(store: Store, *, private: bool, without: Container[str] = ()) -> Iterator[Shown]:
    """Every repository by id; those that are private only where asked for, and not `without`."""
    for repo in store.repos():
        try:
            if repo not in without and store.shows(repo, private):
                yield look(repo, store.read(repo, _BRANCH), store)
        except (NotFound, StoreError):  # deleted meanwhile, without a main, or damaged
            continue


def look(repo: str, commit: Commit, store: Store) -> Shown:
    """A repository at `commit`."""
    file = commit.files.get(cards.FILE)
    if file is None:
        return Shown(repo, commit, problem="it has no card.json")
    if file.size > MAX_CARD_BYTES:
        return Shown(repo, commit, problem=f"its card.json is over {MAX_CARD_BYTES >> 10} KiB")
    if not store.has(file.sha256):
        return Shown(repo, commit, problem="its card.json has not been fetched yet")
    facts, problem = _from_blob(store.blob(file.sha256))
    return Shown(repo, commit, facts, problem or _strangers(facts, commit))


def _strangers(facts: Facts | None, commit: Commit) -> str:
    """Which of the card's files the commit lacks, or has with other bytes; empty: none."""
    wanted, files = facts.files if facts else (), commit.files
    found = [name for name, sha in wanted if name not in files or files[name].sha256 != sha]
    return f"its files are not those of its card ({', '.join(found)})" if found else ""


@lru_cache(maxsize=4096)
def _from_blob(path: Path) -> tuple[Facts | None, str]:
    """The facts of the card in a blob, or nothing and the reason; a blob never changes."""
    try:
        card = parse(path.read_bytes())
        page(card)
        files = tuple((v.file, v.sha256) for v in card.variants.values())
        return Facts(_row(card), headline(card), files), ""
    except ZooError as problem:
        return None, str(problem)


def told(one: Shown, store: Store) -> tuple[Card, str] | None:
    """The whole card of a repository and its markdown; None where it cannot be shown."""
    if one.facts is None:
        return None
    card = parse(store.blob(one.commit.files[cards.FILE].sha256).read_bytes())
    return card, page(card)


def parse(data: bytes) -> Card:
    """A card.json that can be shown; anything else is a CardError of one line."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise CardError("card.json: not UTF-8 text") from None
    document = parse_json(text, cards.FILE, CardError)
    clean = Document(_clean(document.data), document.name)
    card = reader.read(Card, clean, CardError)
    for score in _scores(card):
        if not _is_sound(score):
            raise CardError(f"{cards.FILE}: a score is not inside its interval, on its scale")
    if any(r.p50_ms <= 0 or r.p95_ms <= 0 or r.batch < 1 for r in card.latency):
        raise CardError(f"{cards.FILE}: a latency is not above 0")
    return card


def _is_sound(score: Score) -> bool:
    """Whether it lies in its interval, and that on its scale."""
    top = score.high if score.scale.high is None else score.scale.high
    return score.scale.low <= score.low <= score.value <= score.high <= top


def _scores(card: Card) -> Iterator[Score]:
    for variant in card.variants.values():
        yield variant.accuracy
        yield from variant.also
    if card.teacher and card.teacher.accuracy:
        yield card.teacher.accuracy


def page(card: Card) -> str:
    """The markdown of a card from its first section on; a CardError where none can be made."""
    try:
        return card_page.body(words(card), FIGURES) + "\n"
    except (ArithmeticError, LookupError, ValueError):
        raise CardError(f"{cards.FILE}: its values do not fit together") from None


def _clean(value: Any) -> Any:
    """Plain data whose text is one line each and whose whole numbers are of this world."""
    if isinstance(value, str):
        return " ".join("".join(filter(_visible, value)).split())
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise CardError(f"{cards.FILE}: a number is too large")
    return value


def _visible(character: str) -> bool:
    """No control characters, half surrogates or marks that turn the direction of text."""
    return character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs", "Cf", "Co")


def _row(card: Card) -> Row:
    """The line of a card, wherever it stands."""
    variant = card.variants[card.best]
    score = variant.accuracy
    timed = single_latency(card.latency, card.best)
    return Row(
        repo="",
        name=card.name,
        summary=card.summary,
        task=card.task,
        licence=card.licence,
        architecture=card.student.architecture,
        precision=card.best,
        accuracy=score.value,
        accuracy_low=score.low,
        accuracy_high=score.high,
        metric=score.metric,
        scale=score.scale,
        dataset=score.dataset,
        split=score.split,
        n=score.n,
        size_bytes=variant.size_bytes,
        latency_ms=timed.p50_ms if timed else None,
        device=_device(timed) if timed else "",
        parameters=card.student.parameters,
        macs=card.student.macs,
        created=card.created,
        revision="",
    )


def _device(timed: Measurement) -> str:
    return f"{timed.device_name}, {timed.runtime} {timed.runtime_version}"


def rows(found: Iterable[Shown]) -> list[Row]:
    """The lines of those that are in the list."""
    return [one.row for one in found if one.row and not one.problem]


def figures(commit: Commit) -> list[str]:
    """The card's pictures that stand in the repository."""
    return [name for name in FIGURES if name in commit.files]
