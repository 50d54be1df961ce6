"""Bodies of requests that are small enough to be read whole, with their limits."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request

from zoo.serve.answers import bad_request
from zoo.serve.streams import chunks


async def whole(request: Request, limit_bytes: int) -> bytes:
    """The body; 413 as soon as it is over the limit, announced or not, 408 where it stalls."""
    idle_s = request.state.hub.settings.idle_s
    return b"".join([chunk async for chunk in chunks(request, limit_bytes, idle_s)])


async def json_object(request: Request, limit_bytes: int) -> dict[str, Any]:
    """The body as a JSON object; anything else is 400."""
    return parsed_object(await whole(request, limit_bytes))


def parsed_object(text: bytes) -> dict[str, Any]:
    """A JSON object of UTF-8 bytes; anything else is 400."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise bad_request("the body is not JSON") from None
    if not isinstance(data, dict):
        raise bad_request("the body is not a JSON object")
    return data


async def form(request: Request, limit_bytes: int) -> dict[str, list[str]]:
    """The body as the fields of a form (application/x-www-form-urlencoded)."""
    body = await whole(request, limit_bytes)
    try:
        return parse_qs(body.decode("utf-8"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise bad_request("the body is not a form in UTF-8") from None
