"""Bodies of requests, with their limits: whole where they are small, else piece by piece."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from urllib.parse import parse_qs

import anyio
from starlette.requests import Request

from zoo.serve.answers import Refused, bad_request
from zoo.serve.settings import Settings

MAX_FIELDS = 50_000  # of a form: an empty one of two bytes would take a hundred times that


async def whole(request: Request, limit_bytes: int) -> bytes:
    """The body; 413 as soon as it is over the limit, announced or not, 408 where it is too slow."""
    rate = request.state.hub.settings.small_rate
    return b"".join([chunk async for chunk in chunks(request, limit_bytes, rate)])


async def form(request: Request, limit_bytes: int) -> dict[str, list[str]]:
    """The body as the fields of a form (application/x-www-form-urlencoded)."""
    body = await whole(request, limit_bytes)
    try:
        text = body.decode("utf-8")
        return parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        message = f"the body is not a form in UTF-8 of at most {MAX_FIELDS} fields"
        raise bad_request(message) from None


async def chunks(
    request: Request, limit_bytes: int, min_rate: float | None = None
) -> AsyncIterator[bytes]:
    """The body, some 64 KiB at a time.

    413 where it is over `limit_bytes`, announced or not; 408 where nothing comes for `idle_s`
    seconds, or all of it slower than `min_rate` allows. Both end the connection, since what is left
    of the body is not read.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit_bytes:
        raise _over(limit_bytes)
    settings: Settings = request.state.hub.settings
    stream = request.stream()
    total, waited_s = 0, 0.0
    while True:
        began, rate = time.monotonic(), min_rate or settings.min_rate
        left_s = max(settings.grace_s + total / rate - waited_s, 0.0)
        if left_s < settings.idle_s:
            reason = f"slower than {rate:g} bytes a second: {total} bytes came"
        else:
            reason = f"nothing came for {settings.idle_s:.3g} seconds, after {total} bytes"
        chunk = await _next(stream, min(left_s, settings.idle_s), reason)
        waited_s += time.monotonic() - began  # our own work in between does not count
        if not chunk:
            return
        total += len(chunk)
        if total > limit_bytes:
            raise _over(limit_bytes)
        yield chunk


async def _next(stream: AsyncIterator[bytes], within_s: float, reason: str) -> bytes:
    try:
        with anyio.fail_after(within_s):
            return await anext(stream, b"")
    except TimeoutError:
        raise Refused(408, "RequestTimeout", reason, Connection="close") from None


def _over(limit_bytes: int) -> Refused:
    message = f"the body is over the {limit_bytes} bytes allowed here"
    return Refused(413, "TooLarge", message, Connection="close")
