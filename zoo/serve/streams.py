"""Bodies of requests that are too large to be held: pieces of them, with their limits."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
from starlette.requests import Request

from zoo.serve.answers import Refused


async def chunks(request: Request, limit_bytes: int, idle_s: float) -> AsyncIterator[bytes]:
    """The body, some 64 KiB at a time.

    413 where it is over `limit_bytes`, announced or not; 408 where nothing comes for `idle_s`
    seconds. Both end the connection, since what is left of the body is not read.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit_bytes:
        raise _over(limit_bytes)
    stream = request.stream()
    total = 0
    while chunk := await _next(stream, idle_s):
        total += len(chunk)
        if total > limit_bytes:
            raise _over(limit_bytes)
        yield chunk


async def _next(stream: AsyncIterator[bytes], idle_s: float) -> bytes:
    try:
        with anyio.fail_after(idle_s):
            return await anext(stream, b"")
    except TimeoutError:
        message = f"nothing came for {idle_s:g} seconds"
        raise Refused(408, "RequestTimeout", message, Connection="close") from None


def _over(limit_bytes: int) -> Refused:
    message = f"the body is over the {limit_bytes} bytes allowed here"
    return Refused(413, "TooLarge", message, Connection="close")
