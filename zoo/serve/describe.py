"""A commit as the Hub describes a model: card data, tags, files."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zoo.serve.metadata import front_matter
from zoo.stores.store import Commit, File, Store, pointer

README_LIMIT = 1 << 20  # bytes; what is longer is no card


def described(
    store: Store, repo: str, commit: Commit, *, blobs: bool = False, siblings: bool = True
) -> dict[str, Any]:
    """What the Hub tells of a repository at one commit; `blobs` adds sizes and hashes."""
    card = card_data(store, commit)
    answer: dict[str, Any] = {
        "_id": commit.id[:24],
        "id": repo,
        "modelId": repo,
        "author": repo.partition("/")[0],
        "sha": commit.id,
        "lastModified": moment(commit.date),
        "createdAt": moment(store.created(repo)),
        "private": store.private(repo),
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": tags(card),
        "cardData": card,
        "usedStorage": sum(file.size for file in commit.files.values()),
    }
    for key in ("pipeline_tag", "library_name"):
        if isinstance(card.get(key), str):
            answer[key] = card[key]
    if siblings:
        answer["siblings"] = [_sibling(commit.files[p], blobs) for p in sorted(commit.files)]
    return answer


def card_data(store: Store, commit: Commit) -> dict[str, Any]:
    """The metadata at the head of README.md; empty where there is none that can be read."""
    readme = commit.files.get("README.md")
    if readme is None or readme.size > README_LIMIT or not store.has(readme.sha256):
        return {}
    found: dict[str, Any] = json.loads(_parsed(store.blob(readme.sha256)))
    return found


@functools.lru_cache(maxsize=1024)
def _parsed(readme: Path) -> str:
    """As JSON, which takes little memory; a blob never changes."""
    said = front_matter(readme.read_bytes().decode("utf-8", "replace")) or {}
    return json.dumps(said, ensure_ascii=False)


def tags(card: dict[str, Any]) -> list[str]:
    """The Hub's tags of a model's metadata, in its order and without repeats."""
    return list(dict.fromkeys(_tags(card)))


def _tags(card: dict[str, Any]) -> Iterator[str]:
    for key in ("library_name", "pipeline_tag", "tags", "language"):
        yield from _words(card.get(key))
    relation = card.get("base_model_relation")
    for base in _words(card.get("base_model")):
        yield f"base_model:{base}"
        if isinstance(relation, str):
            yield f"base_model:{relation}:{base}"
    yield from (f"dataset:{name}" for name in _words(card.get("datasets")))
    yield from (f"license:{name}" for name in _words(card.get("license")))


def _words(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [word for word in values if isinstance(word, str) and word]


def _sibling(file: File, blobs: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {"rfilename": file.path}
    if blobs:
        answer |= {"size": file.size, "blobId": file.oid}
        if file.lfs:
            answer["lfs"] = {"sha256": file.sha256, "size": file.size, **pointed(file)}
    return answer


def pointed(file: File) -> dict[str, int]:
    """The size in bytes of what git keeps in place of a large file."""
    return {"pointerSize": len(pointer(file.sha256, file.size))}


def moment(date: str) -> str:
    """A time as the Hub writes it, "2026-01-31T12:00:00.000Z"."""
    when = datetime.fromisoformat(date)
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return re.sub(r"(\.\d{3})\d*\+00:00$", r"\1Z", when.isoformat(timespec="microseconds"))
