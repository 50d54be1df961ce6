"""Bodies of requests that are small enough to be read whole, with their limits."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.requests import Request

from zoo.serve.answers import bad_request
from zoo.serve.streams import chunks

MAX_FIELDS = 50_000  # of a form: an empty one of two bytes would take a hundred times that


async def whole(request: Request, limit_bytes: int) -> bytes:
    """The body; 413 as soon as it is over the limit, announced or not, 408 where it stalls."""
    idle_s = request.state.hub.settings.idle_s
    return b"".join([chunk async for chunk in chunks(request, limit_bytes, idle_s)])


async def form(request: Request, limit_bytes: int) -> dict[str, list[str]]:
    """The body as the fields of a form (application/x-www-form-urlencoded)."""
    body = await whole(request, limit_bytes)
    try:
        text = body.decode("utf-8")
        return parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        message = f"the body is not a form in UTF-8 of at most {MAX_FIELDS} fields"
        raise bad_request(message) from None
