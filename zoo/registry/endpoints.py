"""Hubs by address: which one is the user's own, and what may be told to it.

An endpoint is the base URL of anything that speaks the Hub's HTTP interface, without a slash at its
end: "https://huggingface.co", "http://10.0.0.7:8080". The environment is read at each call.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from zoo.errors import ZooError
from zoo.said import one_line

if TYPE_CHECKING:
    import httpx2

PUBLIC = "https://huggingface.co"
CONNECT_S = 4.0  # until a server counts as down
READ_S = 10.0  # without a byte until a link counts as broken
MAX_REDIRECTS = 5


def default() -> str:
    """$HF_ENDPOINT, else the public Hub."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or PUBLIC


def offline() -> bool:
    """Whether $HF_HUB_OFFLINE forbids every request."""
    return _is_true("HF_HUB_OFFLINE") or _is_true("TRANSFORMERS_OFFLINE")


def hf_home() -> Path:
    """Where the Hub's own client keeps its cache and the user's token; may begin with "~"."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("HF_HOME") or f"{cache}/huggingface")


def is_public(url: str) -> bool:
    """Whether `url` is of the public Hub."""
    return _origin(url) == _origin(PUBLIC)


def token(url: str) -> str | None:
    """The user's Hugging Face token if `url` is of the hub that it belongs to, else None.

    $HF_TOKEN belongs to $HF_ENDPOINT, or to the public Hub where that is not set; what
    `hf auth login` stored belongs to the public Hub.
    """
    found = ""
    if _origin(url) == _origin(default()):
        found = os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN") or ""
    if not found and is_public(url) and not _is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN"):
        found = _stored()
    found = found.strip()
    return found if re.fullmatch(r"[!-~]+", found) else None  # what no header can carry is no token


def client(
    url: str,
    error: type[ZooError],
    *,
    headers: Mapping[str, str] | None = None,
    connect_s: float = CONNECT_S,
    read_s: float = READ_S,
) -> httpx2.Client:
    """A client for `url`; an `error` where proxies or certificates of the environment forbid it."""
    import httpx2

    timeout = httpx2.Timeout(read_s, connect=connect_s)
    try:
        return httpx2.Client(
            headers=headers, timeout=timeout, follow_redirects=True, max_redirects=MAX_REDIRECTS
        )
    except (ValueError, ImportError, OSError) as problem:  # a proxy, a file of certificates
        why = "what the environment says of proxies or certificates is of no use"
        raise error(f"{url}: {why}, {one_line(problem)}") from None


def _stored() -> str:
    path = Path(os.environ.get("HF_TOKEN_PATH") or hf_home() / "token").expanduser()
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # nobody logged in here
        return ""


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port; two URLs with the same are of one server."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:  # no port that there is
        return (url, None, None)
    return parts.scheme, parts.hostname, port


def _is_true(variable: str) -> bool:
    """As the Hub's own client reads it."""
    return os.environ.get(variable, "").upper() in ("1", "ON", "YES", "TRUE")
