"""Questions about repositories: what there is, what is in it, what happened to it."""

from __future__ import annotations

import html
import itertools
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from zoo.errors import NotFound
from zoo.said import shown
from zoo.serve import listing
from zoo.serve.answers import bad_request, json
from zoo.serve.describe import described, moment
from zoo.serve.hub import Hub
from zoo.serve.routing import Route, base_url, raw_path

COMMITS_A_PAGE = 50  # as the Hub has it; at most 1000 are given where asked for


async def health(request: Request) -> Response:
    """Whether the server lives."""
    import zoo

    return json({"status": "ok", "version": zoo.__version__})


async def harnesses(request: Request) -> Response:
    """The `hf` command asks this once a day."""
    return json({"standardEnvVars": [], "harnesses": {}})


async def whoami(request: Request) -> Response:
    """Whose token this is."""
    user = request.state.user
    access = {"displayName": user.name, "role": user.scope}
    return json(
        {
            "type": "user",
            "id": user.id,
            "name": user.name,
            "fullname": user.name,
            "isPro": False,
            "orgs": [],
            "auth": {"type": "access_token", "accessToken": access},
        }
    )


async def info(request: Request, org: str, name: str, revision: str = "main") -> Response:
    """A repository at one revision; `?blobs=true` adds sizes and hashes."""
    hub: Hub = request.state.hub
    commit = await hub.read(org, name, revision, request.state.user)
    blobs, expand = truth(request, "blobs"), listing.expanded(request.query_params)
    told = await hub.ask(described, hub.store, f"{org}/{name}", commit, blobs=blobs)
    if truth(request, "securityStatus"):
        told["securityRepoStatus"] = {"scansDone": False, "filesWithIssues": []}
    return json(listing.only(told, expand))


async def models(request: Request) -> Response:
    """The list of repositories, filtered, sorted and in pages."""
    hub: Hub = request.state.hub
    wanted = listing.asked(request.query_params)
    unknown = await hub.refresh_all()
    private = request.state.user is not None
    rows, more = await hub.ask(listing.page, hub.store, wanted, private, unknown)
    return json(rows, headers=next_page(request, cursor=more) if more else None)


async def refs(request: Request, org: str, name: str) -> Response:
    """Branches and tags."""
    hub: Hub = request.state.hub
    repo = f"{org}/{name}"
    if hub.mirror is not None:
        await hub.mirror.refresh_refs(repo)
    await hub.ask(hub.check_visible, repo, request.state.user)
    found = await hub.ask(hub.store.refs, repo)
    answer: dict[str, Any] = {
        "branches": _refs(found.heads, "refs/heads/"),
        "converts": [],
        "tags": _refs(found.tags, "refs/tags/"),
    }
    if truth(request, "include_prs"):
        answer["pullRequests"] = []
    return json(answer)


async def commits(request: Request, org: str, name: str, revision: str) -> Response:
    """The history of a revision, newest first; `?limit=` (1 to 1000) a page, `?p=` from 0."""
    hub: Hub = request.state.hub
    head = await hub.read(org, name, revision, request.state.user)
    formatted = _formatted(request.query_params.get("expand[]"))
    limit, page = number(request, "limit", COMMITS_A_PAGE, 1, 1000), number(request, "p", 0, 0)

    def rows() -> list[dict[str, Any]]:
        log = hub.store.log(f"{org}/{name}", head.id)
        return [
            _commit(c, formatted)
            for c in itertools.islice(log, page * limit, page * limit + limit + 1)
        ]

    found = await hub.ask(rows)
    path = f"/api/models/{org}/{name}/commits/{head.id}"  # the branch may move before it is asked
    more = next_page(request, path, p=str(page + 1)) if len(found) > limit else None
    return json(found[:limit], headers=more)


async def absent(request: Request, **segments: str) -> Response:
    """Names without an owner, data sets, spaces: there are none here."""
    raise NotFound("there is no such repository", "models here are ORG/NAME; nothing else is kept")


def truth(request: Request, name: str) -> bool:
    """A flag of the query; 400 where it is neither yes nor no."""
    return listing.flag(request.query_params, name)


def number(request: Request, name: str, default: int, least: int, most: int = 10**9) -> int:
    """A whole number of the query, least to most; 400 where it is none."""
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 11):
        raise bad_request(f"{name} must be a whole number")
    value = int(text)
    if value < least:
        raise bad_request(f"{name} must be {least} or more")
    return min(value, most)


def next_page(request: Request, path: str = "", **changed: str) -> dict[str, str]:
    """The header that tells where the next page is: this address with another query (and path)."""
    query = {key: request.query_params.getlist(key) for key in request.query_params}
    asked = urlencode({**query, **changed}, doseq=True)
    return {"Link": f'<{base_url(request)}{path or raw_path(request)}?{asked}>; rel="next"'}


def _refs(found: Any, prefix: str) -> list[dict[str, str]]:
    return [
        {"name": name, "ref": prefix + name, "targetCommit": target}
        for name, target in sorted(found.items())
    ]


def _formatted(expand: str | None) -> bool:
    if expand not in (None, "formatted"):
        raise bad_request(f"expand[] cannot be {shown(expand, 60)}; known: formatted")
    return expand is not None


def _commit(commit: Any, formatted: bool) -> dict[str, Any]:
    told = {
        "id": commit.id,
        "title": commit.title,
        "message": commit.description,
        "date": moment(commit.date),
        "authors": [{"user": commit.author}],
        "parents": list(commit.parents),
    }
    if formatted:
        title, message = html.escape(commit.title), html.escape(commit.description)
        told["formatted"] = {"title": title, "message": message}
    return told


_LOG = ("limit", "p", "expand[]")
_INFO = ("blobs", "securityStatus", "expand*")
ROUTES = [
    Route("GET", "/health", health, query=None),
    Route("GET", "/api/agent-harnesses", harnesses, query=None),
    Route("GET", "/api/whoami-v2", whoami, "read"),
    Route("GET", "/api/models", models, "", listing.NAMES),
    Route("GET", "/api/models/{org}/{name}", info, "", _INFO),
    Route("GET", "/api/models/{org}/{name}/revision/{revision}", info, "", _INFO),
    Route("GET", "/api/models/{org}/{name}/refs", refs, "", ("include_prs",)),
    Route("GET", "/api/models/{org}/{name}/commits/{revision}", commits, "", _LOG),
    Route("GET", "/api/models/{name}", absent, query=None),
    Route("GET", "/api/datasets/{rest...}", absent, query=None),
    Route("GET", "/api/spaces/{rest...}", absent, query=None),
]
