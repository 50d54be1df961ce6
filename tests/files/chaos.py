"""Servers and links that misbehave, on loopback: a small hub, and a TCP proxy before it."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK = 64 * 1024  # bytes that the proxy passes on at once


@dataclass
class Origin:
    """A hub that has files and nothing else; what it does wrong is chosen here."""

    files: dict[str, bytes]  # path after /resolve/<revision>/ -> content
    hashes: dict[str, str] = field(default_factory=dict)  # path -> sha256, for the Hub's own client
    ranges: bool = True  # False: every answer is 200 with the whole file
    surplus: int = 0  # bytes sent beyond the file, without announcing a length
    encoding: str = ""  # claimed in Content-Encoding
    status: int = 0  # answered to every request
    redirect: str = ""  # base URL that every request is sent on to
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # path, headers
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def running(self) -> Iterator[Origin]:
        server = _Server(("127.0.0.1", 0), _handler(self))
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what is tried here."""


def _handler(origin: Origin) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(False)

        def do_GET(self) -> None:
            self._answer(True)

        def _answer(self, body: bool) -> None:
            origin.asked.append((self.path, dict(self.headers)))
            found = re.fullmatch(r"/[^/]+/[^/]+/resolve/([0-9a-f]{40})/([^?]+)", self.path)
            name = found[2] if found else ""
            if origin.redirect:
                return self._empty(302, Location=origin.redirect + self.path)
            if origin.status or name not in origin.files:
                return self._empty(origin.status or 404, **{"X-Error-Code": "EntryNotFound"})
            return self._file(name, found[1] if found else "", body)

        def _empty(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(key, value)
            self.end_headers()

        def _file(self, name: str, revision: str, body: bool) -> None:
            data = origin.files[name]
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            partial = origin.ranges and asked
            start = int(asked[1]) if asked and partial else 0
            self.send_response(206 if partial else 200)
            if partial:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            if origin.encoding:
                self.send_header("Content-Encoding", origin.encoding)
            if not origin.surplus:
                self.send_header("Content-Length", str(len(data) - start))
            else:
                self.close_connection = True
            self.send_header("X-Repo-Commit", revision)
            self.send_header("ETag", f'"{origin.hashes.get(name, name)}"')
            self.end_headers()
            if body:
                self.wfile.write(memoryview(data)[start:])
                with contextlib.suppress(OSError):
                    for _ in range(0, origin.surplus, BLOCK):
                        self.wfile.write(bytes(BLOCK))

    return Handler


@dataclass
class Fault:
    """What goes wrong on the way from the server to the client, on each connection."""

    close_after: int = 0  # bytes, then an orderly end
    reset_after: int = 0  # bytes, then a TCP reset
    grace_s: float = 0.0  # before the reset, so that what is on its way arrives
    stall_after: int = 0  # bytes, then silence
    flip_at: int = 0  # one bit of this byte
    times: int = 1 << 30  # so often, then no more
    connections: int = 1 << 30  # so many, then each is closed at once
    bytes_per_s: float = 0.0  # 0: as fast as it goes


class Proxy:
    """Passes TCP on to a port, with a fault; counts what went to the client."""

    def __init__(self, port: int, fault: Fault) -> None:
        self.target, self.fault = port, fault
        self.sent = 0  # bytes to clients, in all
        self.connections = 0
        self._left = fault.times
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def running(self) -> Iterator[Proxy]:
        self._socket.settimeout(0.05)
        thread = threading.Thread(target=self._accept)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()
            self._socket.close()

    def _accept(self) -> None:
        threads = []
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._socket.accept()
                self.connections += 1
                threads.append(threading.Thread(target=self._serve, args=(client,)))
                threads[-1].start()
        for thread in threads:
            thread.join()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            if self.connections > self.fault.connections:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            client.settimeout(30)
            with server:
                up = threading.Thread(target=self._up, args=(client, server))
                up.start()
                self._down(server, client)
                for one in (server, client):
                    with contextlib.suppress(OSError):
                        one.shutdown(socket.SHUT_RDWR)
                up.join()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):  # the other thread may close it
            while data := self._read(client):
                server.sendall(data)

    def _read(self, reader: socket.socket) -> bytes:
        """What is there; no wait in it is long, since a socket in use cannot be closed."""
        while not self._stop.is_set():
            if select.select([reader], [], [], 0.02)[0]:
                return reader.recv(BLOCK)
        return b""

    def _down(self, server: socket.socket, client: socket.socket) -> None:
        """To the client, up to the fault."""
        fault, passed, began = self.fault, 0, time.monotonic()
        limit = fault.close_after or fault.reset_after or fault.stall_after
        while data := self._read(server):
            if fault.flip_at and passed <= fault.flip_at < passed + len(data) and self._take():
                place = fault.flip_at - passed
                data = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            if limit and passed + len(data) >= limit and self._take():
                self._send(client, data[: limit - passed])
                return self._break(client)
            self._send(client, data)
            passed += len(data)
            if fault.bytes_per_s:
                time.sleep(max(0.0, began + passed / fault.bytes_per_s - time.monotonic()))
        return None

    def _take(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0

    def _send(self, client: socket.socket, data: bytes) -> None:
        client.sendall(data)
        with self._lock:
            self.sent += len(data)

    def _break(self, client: socket.socket) -> None:
        if self.fault.reset_after:
            self._stop.wait(self.fault.grace_s)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        elif self.fault.stall_after:
            self._stop.wait(3600)


def dead_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])
