"""A folder with a card -> the folders here and its row of the registry.

This is the local step, at the end of a build. `zoo publish` goes on from here: `remote` puts the
student on a hub and points its row there.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from zoo.card import writing
from zoo.card.latency import single_latency
from zoo.errors import CardError, NotFound, RegistryError, disk
from zoo.files import sha256
from zoo.records import card as cards
from zoo.records.card import Card
from zoo.records.entry import Entry, FileRef, Headline
from zoo.records.measures import Measurement
from zoo.registry import local
from zoo.stores.folders import Folders, default, plain_files, tree_id

ORGANISATION = "studentzoo"  # of the repo ids, where nothing else is asked for


def publish(
    folder: Path, store: Folders | None = None, registry_path: Path | None = None, repo: str = ""
) -> Entry:
    """Put the student in `folder` (card.json and all that it names) into the store and registry.

    A folder whose page, figures or files are not those of its card is refused. Rows that others
    have added to the published card stay, where they were timed on the same bytes: the card in
    `folder` is written again with them.
    """
    drifted = writing.drift(folder)
    if drifted:
        raise CardError("; ".join(drifted), hint="write the card again: zoo.card.writing.write")
    store = store or default()
    with alone(store):
        return _publish(folder, store, registry_path or local.default_path(store.root), repo)


def _publish(folder: Path, store: Folders, path: Path, repo: str = "") -> Entry:
    card = _with_rows_of(store, cards.read(folder), folder)
    known = rows_to_write(path)
    row = row_of(card, folder, known.get(card.name), repo)
    with local.writing((known | {card.name: row}).values(), path):
        store.put(card.name, folder)
    return row


def rows_to_write(path: Path) -> dict[str, Entry]:
    """All rows of a registry that is written again; of one that is not there yet, none."""
    return local.load(path, whole=True) if path.is_file() else {}


@contextlib.contextmanager
def alone(store: Folders) -> Iterator[None]:
    """No other process changes the store, or the registry that lists it, meanwhile."""
    from filelock import FileLock

    with disk(store.root):
        store.root.mkdir(parents=True, exist_ok=True)
        held = FileLock(store.root / ".registry.lock").acquire()
    with held:
        yield


def _with_rows_of(store: Folders, card: Card, folder: Path) -> Card:
    """`card`, in `folder` too, with the rows of the store's that it lacks."""
    try:
        published = cards.read(store.folder(card.name))
    except (NotFound, CardError):  # none, or one that this build replaces
        return card
    kept = kept_rows(published, card)
    same = _same_files(published, card) == published.variants.keys()
    peers = card.peers or (published.peers if same else ())
    if kept or peers != card.peers:
        card = cards.add_measurements(replace(card, peers=peers), kept)
        writing.write(card, folder)
    return card


def _same_files(published: Card, card: Card) -> set[str]:
    """The precisions of `published` of which `card` has the very same bytes."""
    ours = {precision: variant.sha256 for precision, variant in card.variants.items()}
    return {p for p, variant in published.variants.items() if ours.get(p) == variant.sha256}


def kept_rows(published: Card, card: Card) -> list[Measurement]:
    """Rows of `published` whose set-up `card` lacks, timed on bytes that `card` has as well."""
    there = {cards.setup(row) for row in card.latency}
    same = _same_files(published, card)
    return [
        row
        for row in published.latency
        if cards.setup(row) not in there and {row.precision.removeprefix("plain-"), "fp32"} <= same
    ]


def add_rows(name: str, rows: Path, store: Folders | None = None) -> Entry:
    """Merge the measurements in the file `rows` into a published student's card.

    They are what `zoo bench NAME --json` printed, or what a comparison wrote.
    """
    bench = cards.read_bench(rows)
    store = store or default()
    path = local.default_path(store.root)
    with alone(store), tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for file in plain_files(store.folder(name)):
            shutil.copyfile(file, folder / file.name)
        writing.write(cards.merge(cards.read(folder), bench), folder)
        return _publish(folder, store, path)


def row_of(card: Card, folder: Path, known: Entry | None, repo: str = "") -> Entry:
    """The row of `card`, whose files are in `folder`, after the `known` one of the same name.

    It stays in its repository, and at its revision there while it has the very same files; else the
    revision is the git tree of the folder.
    """
    repo = repo or (known.repo if known else f"{ORGANISATION}/{card.name}")
    row = entry(card, folder, tree_id(folder), repo)
    if known is None or known.repo != repo:
        return row
    same = known.files == row.files
    return replace(row, endpoint=known.endpoint, revision=known.revision if same else row.revision)


def entry(card: Card, folder: Path, revision: str, repo: str) -> Entry:
    """The registry's row of `card`, whose files are in `folder`."""
    files = {p.name: FileRef(sha256(p), p.stat().st_size) for p in plain_files(folder)}
    try:
        return Entry(
            name=card.name,
            task=card.task,
            repo=repo,
            revision=revision,
            licence=card.licence,
            summary=card.summary,
            files=files,
            headline=headline(card),
        )
    except ValueError as problem:
        raise RegistryError(f"{card.name} cannot be a row of the registry: {problem}") from None


def headline(card: Card) -> Headline:
    """What `zoo list` shows of `card`."""
    score, int8 = card.variants[card.best].accuracy, card.variants.get("int8")
    row = single_latency(card.latency, "int8")
    return Headline(
        accuracy=score.value,
        accuracy_dataset=score.dataset,
        int8_size_bytes=int8.size_bytes if int8 else 0,
        int8_latency_ms=row.p50_ms if row else 0.0,
        metric=score.name,
        scale=score.scale,
    )
