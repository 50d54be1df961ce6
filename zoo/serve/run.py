"""The process: its checks before it starts, its socket, its access log, its end."""

from __future__ import annotations

import errno
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import StoreError, ZooError, disk
from zoo.files import make_private, sync
from zoo.records.names import quoted
from zoo.serve import connections, create_app
from zoo.serve.connections import most_connections
from zoo.serve.forwarded import Forwarded, checked
from zoo.serve.settings import OURS, Settings

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

Say = Callable[[str], None]

STOP_S = 30  # running requests have so long to end when the server is told to stop


def serve(
    root: Path, *, host: str, port: int, upstream: str, proxies: Sequence[str] = (), say: Say
) -> None:
    """Serve a root until SIGTERM or Ctrl-C; requests that run then are finished first.

    `port` 0 takes a free one; of `proxies`, addresses, it is believed for whom they ask. Errors
    before the start: the root cannot be written, the address is taken or is none, the extra is not
    installed.
    """
    from zoo.serve.local import adopt_students
    from zoo.serve.tokens import Tokens
    from zoo.stores.store import Store

    check_root(root)
    store = Store(root)
    settings = _settings(root, upstream, proxies)
    app = create_app(store, settings)
    listening = bind(host, port)
    students = adopt_students(store)
    limits = limits_of(settings, most_connections())
    logged = AccessLog(app, _log_line)
    server = connections.server(Forwarded(logged, settings.proxies), limits, STOP_S)
    url = address(listening)
    say(f"serving {root} at {url}; Ctrl-C stops it")
    if students:
        say(f"students of this machine that it offers: {len(students)}")
    say(f"clients find it by: export HF_ENDPOINT={url}")
    if not Tokens(root).all():
        say(f"nobody may write yet; a token: zoo token add NAME --scope write --root {root}")
    with listening:
        _until_stopped(server, listening)
    say("stopped")


def check_root(root: Path) -> None:
    """Make the root where it is not there; a StoreError where it cannot be written.

    A folder of other things is refused too: what they are is not what a hub would offer.
    """
    probe = root / f".writable-{os.getpid()}"
    with disk(root, hint="name a folder that you may write: --root DIR"):
        make_private(root)
        names = {path.name for path in root.iterdir() if not path.name.startswith(".")}
        if names - {"lost+found"} and not names & OURS:
            message = f"{root} is a folder of other things, no hub's"
            raise StoreError(message, "name a new or an empty folder: --root DIR")
        probe.touch()
        probe.unlink(missing_ok=True)  # two containers have the same number of a process


def _settings(root: Path, upstream: str, proxies: Sequence[str]) -> Settings:
    try:
        return Settings(secret(root), upstream=upstream, proxies=checked(proxies))
    except ValueError as problem:
        raise ZooError(str(problem)) from None


def secret(root: Path) -> bytes:
    """The secret of a root, 32 bytes; made once, read by all servers on the root."""
    from filelock import FileLock

    path = root / "secret"
    with disk(path, hint=""), FileLock(root / ".secret.lock"):
        if not path.exists():
            part = root / "secret.part"
            part.unlink(missing_ok=True)
            handle = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
                sync(file)
            part.replace(path)
        found = path.read_bytes()
    if len(found) != 32:
        raise StoreError(f"{path}: damaged", "delete it; uploads under way then start again")
    return found


# --- the socket ----------------------------------------------------------------------------------


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens; a ZooError where the address is taken, forbidden or none."""
    try:
        kind, _, _, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(place[:2], family=kind, backlog=2048)
    except OSError as problem:
        raise ZooError(*_refused(host, port, problem)) from None
    except UnicodeError:  # no name of a host has such characters, or so many
        raise ZooError(f"cannot listen on {quoted(host)}: no name of a host") from None


def _refused(host: str, port: int, problem: OSError) -> tuple[str, str]:
    if problem.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use", "another --port, or --port 0 for a free one"
    if problem.errno == errno.EACCES:
        return f"port {port} needs rights that you do not have", "ports from 1024 on need none"
    return (
        f"cannot listen on {quoted(host)}: {problem.strerror}",
        "--host is an address of this machine",
    )


def address(listening: socket.socket) -> str:
    """The URL at which it is reached from this machine, or from others where it listens to all."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


# --- the server ----------------------------------------------------------------------------------


def limits_of(settings: Settings, total: int) -> connections.Limits:
    """So many connections in all; one client has half of them at most."""
    return connections.Limits(
        total, total // 2, settings.head_s, settings.stall_s, settings.proxies
    )


def _until_stopped(server: uvicorn.Server, listening: socket.socket) -> None:
    """Run; the signals that stop it are an ordinary end, not a death by signal."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in kept:
        signal.signal(number, lambda *_: None)  # the server raises them again after its own end
    try:
        server.run(sockets=[listening])
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


class AccessLog:
    """Calls `write` once a request: time, client, method, path, status, bytes, milliseconds.

    The path is as it was sent, without the query, where signatures are; no header is in it.
    """

    def __init__(self, app: ASGIApp, write: Callable[[str], None]) -> None:
        self._app = app
        self._write = write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, sent = time.perf_counter(), 0, 0

        async def counted(message: Message) -> None:
            nonlocal status, sent
            status = message.get("status", status)
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            took_ms = 1000 * (time.perf_counter() - began)
            self._write(f"{_asked(scope)} {status or '-'} {sent} {took_ms:.1f}")


def _asked(scope: Scope) -> str:
    client = (scope.get("client") or ["-"])[0]
    path = bytes(scope.get("raw_path") or b"-").partition(b"?")[0]
    printable = "".join(chr(c) if 32 < c < 127 else f"%{c:02X}" for c in path[:2000])
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return f"{now} {client} {scope['method']} {printable}"


def _log_line(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
