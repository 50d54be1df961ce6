"""Repositories, tags and branches: made and deleted."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from zoo.errors import Exists, require
from zoo.records.names import check_repo, check_stored_repo
from zoo.serve.answers import bad_request, error, json
from zoo.serve.changing import fields, known, text
from zoo.serve.hub import Hub
from zoo.serve.routing import Route, base_url


async def create(request: Request) -> Response:
    """A new repository, with one commit on `main`; the answer's url names it."""
    hub: Hub = request.state.hub
    data = await fields(request, "name", "organization", "type", "visibility", "private")
    repo = _named(request, data)
    require(check_repo, repo, bad_request)
    private = _private(data)
    answer = {"url": f"{base_url(request)}/{repo}", "name": repo, "private": bool(private)}
    try:
        await hub.call(hub.store.create, repo, private=bool(private))
    except Exists as problem:  # the client reads the url here too
        conflict = error(409, "Conflict", str(problem)).headers
        headers = {key: conflict[key] for key in ("X-Error-Code", "X-Error-Message")}
        return json({"error": str(problem), **answer}, 409, headers)
    return json(answer)


async def delete(request: Request) -> Response:
    """A repository goes, with its history."""
    hub: Hub = request.state.hub
    data = await fields(request, "name", "organization", "type")
    await hub.call(hub.store.delete, _named(request, data))
    return json({})


async def settings(request: Request, org: str, name: str) -> Response:
    """Whether a repository is private."""
    hub, repo = await known(request, org, name)
    data = await fields(request, "visibility", "private", "gated")
    if data.get("gated"):
        raise bad_request("repositories here cannot be gated")
    private = _private(data)
    if private is None:
        raise bad_request('the setting here is "visibility": "public" or "private"')
    await hub.call(hub.store.set_private, repo, private)
    return json({"private": private})


async def tag(request: Request, org: str, name: str, revision: str) -> Response:
    """A tag at `revision`."""
    hub, repo = await known(request, org, name)
    data = await fields(request, "tag", "message")  # nobody asks for the message again
    text(data, "message", "")
    await hub.call(hub.store.tag, repo, text(data, "tag"), revision)
    return json({})


async def untag(request: Request, org: str, name: str, tag: str) -> Response:
    """The tag goes, the commit stays."""
    hub, repo = await known(request, org, name)
    await hub.call(hub.store.untag, repo, tag)
    return json({})


async def branch(request: Request, org: str, name: str, branch: str) -> Response:
    """A branch, from `startingPoint` or the head of `main`."""
    hub, repo = await known(request, org, name)
    start = text(await fields(request, "startingPoint"), "startingPoint", "main")
    await hub.call(hub.store.branch, repo, branch, start)
    return json({})


async def unbranch(request: Request, org: str, name: str, branch: str) -> Response:
    """The branch goes; `main` cannot."""
    hub, repo = await known(request, org, name)
    await hub.call(hub.store.unbranch, repo, branch)
    return json({})


def _named(request: Request, data: dict[str, Any]) -> str:
    """The "org/name" that a body names; without an organisation it is the token's own name."""
    if text(data, "type", "model") != "model":
        raise bad_request("there are only models here, no data sets and no spaces")
    name = text(data, "name")
    org = text(data, "organization", request.state.user.name)
    repo = name if "/" in name else f"{org}/{name}"
    require(check_stored_repo, repo, bad_request)
    return repo


def _private(data: dict[str, Any]) -> bool | None:
    """What a body says of visibility: `visibility`, or `private` as 1.x has it; None is nothing."""
    visibility = text(data, "visibility", "")
    if visibility not in ("", "public", "private"):
        raise bad_request(f'visibility is "public" or "private", not "{visibility[:40]}"')
    private = data.get("private")
    if private is not None and not isinstance(private, bool):
        raise bad_request('"private" must be true or false')
    return visibility == "private" if visibility else private


_REPO = "/api/models/{org}/{name}"
ROUTES = [
    Route("POST", "/api/repos/create", create, "write"),
    Route("DELETE", "/api/repos/delete", delete, "write"),
    Route("PUT", _REPO + "/settings", settings, "write"),
    Route("POST", _REPO + "/tag/{revision}", tag, "write"),
    Route("DELETE", _REPO + "/tag/{tag}", untag, "write"),
    Route("POST", _REPO + "/branch/{branch}", branch, "write"),
    Route("DELETE", _REPO + "/branch/{branch}", unbranch, "write"),
]
