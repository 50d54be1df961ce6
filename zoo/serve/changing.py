"""What the handlers that change something share."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from zoo.errors import NotFound, require
from zoo.records.names import check_stored_repo
from zoo.said import shown
from zoo.serve.answers import Refused, bad_request
from zoo.serve.bodies import whole
from zoo.serve.hub import Hub
from zoo.serve.ndjson import parse


async def known(request: Request, org: str, name: str) -> tuple[Hub, str]:
    """The hub, and the id of a repository that is there and ours; NotFound, 403 where it is not."""
    hub: Hub = request.state.hub
    repo = f"{org}/{name}"
    require(check_stored_repo, repo, NotFound)
    if origin := await hub.call(hub.store.origin, repo):
        message = f"{repo} mirrors {origin}, and changes there; delete it here to publish your own"
        raise Refused(403, "Forbidden", message)
    return hub, repo


async def fields(request: Request, *known: str) -> dict[str, Any]:
    """The body as a JSON object; an empty body is an empty one, anything else is 400."""
    hub: Hub = request.state.hub
    text = await whole(request, hub.settings.max_json_bytes)
    data = parse(text) if text.strip() else {}
    if not isinstance(data, dict):
        raise bad_request("the body is not a JSON object")
    only(data, *known)
    return data


def only(data: dict[str, Any], *known: str) -> None:
    """400 where there is a key that is not understood; null is as if it were not there."""
    for key, value in data.items():
        if key not in known and value is not None:
            told = ", ".join(known)
            raise bad_request(f'"{shown(key, 60)}" is not understood here; known: {told}')


def text(data: dict[str, Any], key: str, default: str | None = None) -> str:
    """A field that is text; null is as if it were not there. 400 where it is needed and is not."""
    value = data.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise bad_request(f'"{key}" must be text')
    return value
