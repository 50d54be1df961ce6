"""The list of repositories: which are wanted, in which order, from where on."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import QueryParams

from zoo.errors import NotFound, StoreError
from zoo.said import shown
from zoo.serve.answers import bad_request
from zoo.serve.describe import described
from zoo.stores.store import Store

MOST = 1000  # repositories a page
_DATES = {"lastModified": "lastModified", "last_modified": "lastModified"}
_DATES |= {"createdAt": "createdAt", "created_at": "createdAt"}
_BY_NAME = ("", "id", "trendingScore", "trending_score", "downloads", "likes")  # all are 0 here
NAMES = (  # of its query
    *("search", "author", "filter*", "pipeline_tag", "gated", "sort", "direction"),
    *("limit", "cursor", "full", "cardData", "expand*"),
)
_ALWAYS = ("_id", "id", "modelId")
_EXPANDED = (
    *("author", "cardData", "createdAt", "disabled", "downloads", "gated", "lastModified"),
    *("library_name", "likes", "pipeline_tag", "private", "sha", "siblings", "tags", "usedStorage"),
)
_FLAGS = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}


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
    expand: tuple[str, ...] = ()  # nothing but these, where there are any
    none: bool = False  # what nobody can be here: gated


def asked(query: QueryParams) -> Asked:
    """The query, read; 400 where it asks for what there is not."""
    sort = query.get("sort", "")
    if sort not in _DATES and sort not in _BY_NAME:
        raise bad_request("sort is one of lastModified, createdAt, id")
    if query.get("direction", "-1") != "-1":
        raise bad_request("the only direction here is -1: the newest first")
    expand = expanded(query)
    return Asked(
        search=tuple(query.get("search", "").lower().split()),
        author=query.get("author", ""),
        tags=tuple(t for value in query.getlist("filter") for t in value.split(",") if t),
        pipeline_tag=query.get("pipeline_tag", ""),
        newest_by=_DATES.get(sort, ""),
        limit=_limit(query.get("limit", "")),
        cursor=_place(query.get("cursor", "")),
        full=flag(query, "full") or "siblings" in expand,
        card=flag(query, "cardData") or "cardData" in expand,
        expand=expand,
        none=query.get("gated") in ("auto", "manual") or flag(query, "gated"),
    )


def flag(query: QueryParams, name: str) -> bool:
    """Whether it is said, and not said to be false; 400 where it is neither yes nor no."""
    return truth(query.get(name, ""), name)


def truth(value: str, name: str) -> bool:
    """That of a value that was sent, "" for none."""
    if value.lower() not in _FLAGS:
        raise bad_request(f"{name} is true or false")
    return _FLAGS[value.lower()]


def expanded(query: QueryParams) -> tuple[str, ...]:
    """What `expand` asks for; 400 where that is not kept here."""
    names = tuple(query.getlist("expand"))
    for name in names:
        if name not in _EXPANDED:
            known = ", ".join(_EXPANDED)
            raise bad_request(f"expand cannot be {shown(name, 60)}; known: {known}")
    return names


def only(row: dict[str, Any], expand: tuple[str, ...]) -> dict[str, Any]:
    """What was asked for of a row: all of it, or what `expand` names."""
    kept = (*_ALWAYS, *expand)
    return {key: row[key] for key in kept if key in row} if expand else row


def page(
    store: Store, wanted: Asked, private: bool, without: Container[str] = ()
) -> tuple[list[dict[str, Any]], str]:
    """One page, and the cursor of the next one, "" where there is none.

    `private`: private repositories are among them; `without`: these are not.
    """
    rows = (
        []
        if wanted.none
        else [row for row in _rows(store, wanted, private) if row["id"] not in without]
    )
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
    row = row if wanted.card else {k: v for k, v in row.items() if k != "cardData"}
    return only(row, wanted.expand)


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
