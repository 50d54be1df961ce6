"""The list of repositories: which are wanted, in which order, from where on."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import QueryParams

from zoo.errors import NotFound, StoreError
from zoo.serve.answers import bad_request
from zoo.serve.describe import described
from zoo.stores.store import Store

MOST = 1000  # repositories a page
_DATES = {"lastModified": "lastModified", "last_modified": "lastModified"}
_DATES |= {"createdAt": "createdAt", "created_at": "createdAt"}
_BY_NAME = ("", "id", "trendingScore", "trending_score", "downloads", "likes")  # all are 0 here


@dataclass(frozen=True)
class Asked:
    """What the query asks for."""

    search: tuple[str, ...] = ()  # each of these words is in the id, whatever its case
    author: str = ""
    tags: tuple[str, ...] = ()  # each of them is a tag
    pipeline_tag: str = ""
    newest_by: str = ""  # "lastModified" or "createdAt", newest first; "" by name
    limit: int = MOST  # 1 to 1000
    cursor: str = ""  # the place after which to go on, as `page` tells it
    full: bool = False  # with files
    card: bool = False  # with cardData


def asked(query: QueryParams) -> Asked:
    """The query, read; 400 where it asks for what there is not."""
    sort = query.get("sort", "")
    if sort not in _DATES and sort not in _BY_NAME:
        raise bad_request("sort is one of lastModified, createdAt, id")
    expand = query.getlist("expand")
    return Asked(
        search=tuple(query.get("search", "").lower().split()),
        author=query.get("author", ""),
        tags=tuple(t for value in query.getlist("filter") for t in value.split(",") if t),
        pipeline_tag=query.get("pipeline_tag", ""),
        newest_by=_DATES.get(sort, ""),
        limit=_limit(query.get("limit", "")),
        cursor=_place(query.get("cursor", "")),
        full=query.get("full", "").lower() in ("1", "true") or "siblings" in expand,
        card=query.get("cardData", "").lower() in ("1", "true") or "cardData" in expand,
    )


def page(store: Store, wanted: Asked, private: bool) -> tuple[list[dict[str, Any]], str]:
    """One page, and the cursor of the next one, "" where there is none.

    `private`: private repositories are among them.
    """
    rows = list(_rows(store, wanted, private))
    rows.sort(key=lambda row: _key(row, wanted), reverse=bool(wanted.newest_by))
    rows = [row for row in rows if _after(_key(row, wanted), wanted)]
    chosen = rows[: wanted.limit]
    more = len(rows) > len(chosen)
    cursor = base64.urlsafe_b64encode(_key(chosen[-1], wanted).encode()).decode() if more else ""
    return [_shown(row, wanted) for row in chosen], cursor


def _rows(store: Store, wanted: Asked, private: bool) -> Iterator[dict[str, Any]]:
    for repo in store.repos():
        author = repo.partition("/")[0]
        if wanted.author and author.lower() != wanted.author.lower():
            continue
        if not all(word in repo.lower() for word in wanted.search):
            continue
        try:
            if not store.shows(repo, private):
                continue
            row = described(store, repo, store.read(repo, "main"), siblings=wanted.full)
        except (NotFound, StoreError):  # deleted since, damaged, or a mirror's without "main"
            continue
        if _fits(row, wanted):
            yield row


def _fits(row: dict[str, Any], wanted: Asked) -> bool:
    if wanted.pipeline_tag and row.get("pipeline_tag") != wanted.pipeline_tag:
        return False
    return set(wanted.tags) <= {*row["tags"], row["author"]}


def _shown(row: dict[str, Any], wanted: Asked) -> dict[str, Any]:
    return row if wanted.card else {k: v for k, v in row.items() if k != "cardData"}


def _key(row: dict[str, Any], wanted: Asked) -> str:
    return f"{row[wanted.newest_by] if wanted.newest_by else ''} {row['id']}"


def _after(key: str, wanted: Asked) -> bool:
    if not wanted.cursor:
        return True
    return key < wanted.cursor if wanted.newest_by else key > wanted.cursor


def _limit(text: str) -> int:
    if not text:
        return MOST
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
        raise bad_request("limit must be a whole number of 1 or more")
    return min(int(text[:9]), MOST)


def _place(cursor: str) -> str:
    try:
        return base64.b64decode(cursor.encode(), b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise bad_request("this cursor was not given by this server") from None
