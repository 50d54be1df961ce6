"""A folder with a card -> the store and its row of the registry."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from zoo import card as cards
from zoo import registry
from zoo.card import Card
from zoo.card_page import single_latency
from zoo.errors import CardError
from zoo.files import sha256
from zoo.registry import Entry, FileRef, Headline
from zoo.store import Store, default, plain_files

ORGANISATION = "studentzoo"  # of the repo ids, where nothing else is asked for


def publish(
    folder: Path, store: Store | None = None, registry_path: Path | None = None, repo: str = ""
) -> Entry:
    """Put the student in `folder` (card.json and all that it names) into the store and registry.

    A folder whose page, figures or files are not those of its card is refused.
    """
    drifted = cards.drift(folder)
    if drifted:
        raise CardError("; ".join(drifted), hint="write the card again: zoo.card.write")
    card = cards.read(folder)
    path = registry_path or _registry_of(store)
    store = store or default()
    revision = store.put(card.name, folder)
    row = entry(card, folder, revision, repo or f"{ORGANISATION}/{card.name}")
    known = registry.load(path) if path.is_file() else {}
    registry.write((known | {card.name: row}).values(), path)
    return row


def _registry_of(store: Store | None) -> Path:
    """The registry that lists what is in `store`: beside a store of one's own, else the default."""
    if store is None or "ZOO_REGISTRY" in os.environ or store.root == default().root:
        return registry.default_path()
    return store.root.parent / "registry.yaml"


def add_rows(name: str, rows: Path, store: Store | None = None) -> Entry:
    """Merge what `zoo bench NAME --json` printed into `rows` into a published student's card."""
    bench = cards.read_bench(rows)
    store = store or default()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for path in plain_files(store.folder(name)):
            shutil.copyfile(path, folder / path.name)
        cards.write(cards.merge(cards.read(folder), bench), folder)
        return publish(folder, store, repo=registry.find(name).repo)


def entry(card: Card, folder: Path, revision: str, repo: str) -> Entry:
    """The registry's row of `card`, whose files are in `folder`."""
    files = {p.name: FileRef(sha256(p), p.stat().st_size) for p in plain_files(folder)}
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


def headline(card: Card) -> Headline:
    """What `zoo list` shows of `card`."""
    score, int8 = card.variants[card.best].accuracy, card.variants.get("int8")
    row = single_latency(card.latency, "int8")
    return Headline(
        accuracy=score.value,
        accuracy_dataset=score.dataset,
        int8_size_bytes=int8.size_bytes if int8 else 0,
        int8_latency_ms=row.p50_ms if row else 0.0,
    )
