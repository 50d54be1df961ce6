"""What a server of a hub is told at its start."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from zoo.errors import NoHome, StoreError
from zoo.files import expanded
from zoo.records.names import check_endpoint

MIB = 1 << 20
OURS = {"blobs", "repos", "secret", "tokens.json"}  # one of them is in every root in use


def root_of(chosen: Path | None = None) -> Path:
    """What is chosen, else $ZOO_ROOT, else studentzoo in the user's data folder."""
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    try:
        return expanded(chosen or os.environ.get("ZOO_ROOT") or f"{data}/studentzoo")
    except NoHome as problem:
        raise StoreError(f"no folder to serve: {problem}", "name one: --root DIR") from None


@dataclass(frozen=True)
class Settings:
    """Limits and the secret of one server; processes on one root share the secret."""

    secret: bytes = field(repr=False)  # signs upload addresses; at least 16 bytes
    proxies: frozenset[str] = frozenset()  # addresses that are believed for whom they ask
    upstream: str = ""  # base URL of the hub that missing repositories are pulled from; "" is none
    max_file_bytes: int = 5 << 30  # one file, in bytes
    max_body_bytes: int = 256 * MIB  # one commit's NDJSON, in bytes
    max_json_bytes: int = 4 * MIB  # any other body that is read whole, in bytes
    regular_below: int = 32 * MIB  # files below this size may come inside the commit, in bytes
    head_s: float = 20.0  # until the head of a request is whole, in seconds
    stall_s: float = 300.0  # until a client takes something of its answer, in seconds
    idle_s: float = 60.0  # a body of which nothing comes for so long is given up, in seconds
    grace_s: float = 20.0  # so long a body may take, in seconds, and then
    min_rate: float = 1024.0  # a second more for each so many bytes,
    small_rate: float = 16384.0  # or so many of JSON, which anybody may send

    def __post_init__(self) -> None:
        if len(self.secret) < 16:
            raise ValueError("secret must have at least 16 bytes")
        if self.upstream:
            _check_upstream(self.upstream.rstrip("/"))


def _check_upstream(url: str) -> None:
    """Refuse what is no hub's address, and a password in it: everybody is told where we mirror."""
    try:
        check_endpoint(url)
    except ValueError:
        shape = "an http(s) URL without a user, a query or a fragment"
        raise ValueError(
            f"upstream must be {shape}; $ZOO_UPSTREAM_TOKEN is for its token"
        ) from None
