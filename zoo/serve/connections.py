"""Connections with an end: how many, how long they may be silent, and who goes when it is full.

A connection is asking until the head of a request is whole, and is answered until the answer has
gone. Whoever asks for longer than `head_s` seconds is sent away, whatever dribbles in; bodies have
their own limits (`bodies`). Where there are too many, of one client or in all, the one that has
been asking for longest makes room, or else the one that takes nothing of its answer for longest: a
stranger who holds hundreds of them keeps nobody out.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

ACCEPT = 128  # connections taken up in one go, before any of them is counted
BACKLOG = 2048  # that the system keeps waiting
SAID_S = 60.0  # an error of accepting is said once in so many seconds
_SPARE = 64  # files of a process beside its connections
_log = logging.getLogger("zoo.serve")


@dataclass(frozen=True)
class Limits:
    """Of one server's connections."""

    total: int  # in all
    of_client: int  # of one address, or of one /64 of IPv6
    head_s: float = 20.0  # until the head of a request is whole, in seconds
    stall_s: float = 300.0  # until a client takes something of its answer, in seconds
    proxies: frozenset[str] = frozenset()  # addresses that speak for many clients

    def counted_as(self, host: str) -> str:
        """What the limit of one client is counted by; "" for a proxy, which has none."""
        if host in self.proxies:
            return ""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return host
        return host if address.version == 4 else str(ipaddress.ip_network((host, 64), strict=False))


def most_connections() -> int:
    """As many as there are files for: each needs a socket, and a file that is sent or written."""
    try:
        import resource
    except ModuleNotFoundError:  # no POSIX
        return 512
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return 2048
    return max(16, min(2048, (files - ACCEPT - _SPARE) // 2))


class Connection(H11Protocol):
    """One client's connection, which does not outstay its welcome."""

    def __init__(self, limits: Limits, **given: Any) -> None:
        super().__init__(**given)
        self._limits = limits
        self._asking_since = 0.0  # when it began to wait for a head; 0: it is being answered
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._full_since = 0.0  # when there was more than the client takes; 0: it takes all
        self.counted_as = ""

    def connection_made(self, transport: Any) -> None:
        """Take it, and let another go where there is no room."""
        super().connection_made(transport)
        if (taken := transport.get_extra_info("socket")) is not None:
            # a body is sent behind its head at once, not when the client has confirmed the head
            taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.counted_as = self._limits.counted_as(self.client[0] if self.client else "")
        self._watch()
        others = [
            c
            for c in self.connections
            if isinstance(c, Connection) and c is not self and c._is_open()
        ]
        alike = [c for c in others if c.counted_as == self.counted_as and c.counted_as]
        if len(alike) >= self._limits.of_client:
            self._take_place_of(alike)
        elif len(others) >= self._limits.total:
            self._take_place_of(others)

    def _take_place_of(self, others: list[Connection]) -> None:
        """Close the one that has been asking for longest, or taking nothing; else this one."""
        asking = [c for c in others if c._asking_since]
        longest = min(asking, key=lambda c: c._asking_since, default=None)
        if longest is None:
            before = time.monotonic() - self._limits.head_s
            full = [c for c in others if 0 < c._full_since < before]
            longest = min(full, key=lambda c: c._full_since, default=None)
        if longest is None:
            self._refuse(_BUSY)
        elif longest._unsent():
            longest.transport.abort()
        else:
            longest.transport.close()

    def _is_open(self) -> bool:
        """Whether it holds a socket."""
        return not self.transport.is_closing() or bool(self._unsent())

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        super().connection_lost(exc)
        for timer in (self._timer, self._stalled):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """More of a head or of a body; what comes after an end is not looked at."""
        if not self.transport.is_closing():
            super().data_received(data)
            self._watch()

    def on_response_complete(self) -> None:
        """It asks again from now on."""
        super().on_response_complete()
        self._watch()

    def _watch(self) -> None:
        """Let the time run while it asks; a dribble does not start it again."""
        answered = self.cycle is not None and not self.cycle.response_complete
        if answered and self._timer is not None:
            self._timer.cancel()
            self._timer, self._asking_since = None, 0.0
        elif not answered and self._timer is None and not self.transport.is_closing():
            self._asking_since = time.monotonic()
            self._timer = self.loop.call_later(self._limits.head_s, self._expired)

    def _expired(self) -> None:
        waiting = self.conn.our_state is h11.IDLE and bool(self.conn.trailing_data[0])
        self._refuse(_SLOW if waiting else b"")

    def _refuse(self, last_word: bytes) -> None:
        """The end, when the client has taken what there is to be said."""
        if not self.transport.is_closing():
            self.transport.write(last_word)
            self.transport.close()
            self._wait_for_client()

    def pause_writing(self) -> None:
        """The client is slower than we are; it has `stall_s` seconds for the next piece."""
        super().pause_writing()
        self._full_since = time.monotonic()
        self._wait_for_client()

    def resume_writing(self) -> None:
        """It has taken what there was."""
        super().resume_writing()
        self._full_since = 0.0
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _wait_for_client(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
        self._stalled = self.loop.call_later(self._limits.stall_s, self._look, self._unsent())

    def _look(self, before: int) -> None:
        """Go on where it has taken anything since."""
        if self._unsent() < before:
            self._wait_for_client()
        else:
            self.transport.abort()

    def _unsent(self) -> int:
        return int(self.transport.get_write_buffer_size())


def _last_word(status: str, message: str, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: text/plain\r\n{more}"
    return f"{head}Content-Length: {len(message)}\r\n\r\n{message}".encode()


_BUSY = _last_word("503 Service Unavailable", "too many connections\n", "Retry-After: 5\r\n")
_SLOW = _last_word("408 Request Timeout", "the head of the request took too long\n")


class Server(uvicorn.Server):
    """Takes up no more connections in one go than it can count."""

    async def startup(self, sockets: Any = None) -> None:
        """Listen; errors of accepting are one line a minute."""
        asyncio.get_running_loop().set_exception_handler(_said_once())
        await super().startup(sockets)
        for listening in sockets or []:
            listening.listen(BACKLOG)


def _said_once() -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    said_at = -SAID_S

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal said_at
        problem = context.get("exception")
        if not (isinstance(problem, OSError) and "accept" in str(context.get("message"))):
            loop.default_exception_handler(context)
        elif time.monotonic() - said_at >= SAID_S:
            said_at = time.monotonic()
            _log.error("no new connections for now: %s", problem.strerror or problem)

    return handle


def server(app: Any, limits: Limits, stop_s: int) -> Server:
    """A server of `app` whose running requests have `stop_s` seconds at its end."""
    config = uvicorn.Config(
        app,
        http=cast(Any, partial(Connection, limits)),
        backlog=ACCEPT,
        log_config=None,  # its warnings and errors go to stderr as they are
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # see `forwarded`
        ws="none",
        timeout_graceful_shutdown=stop_s,
    )
    return Server(config)
