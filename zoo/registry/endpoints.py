"""Hubs by address: which one is the user's own, and what may be told to it.

An endpoint is the base URL of anything that speaks the Hub's HTTP interface, without a slash at its
end: "https://huggingface.co", "http://10.0.0.7:8080". The environment is read at each call.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from zoo.errors import NoHome, ZooError
from zoo.files import expanded, open_plain
from zoo.said import one_line

if TYPE_CHECKING:
    import ssl

    import httpx2

PUBLIC = "https://huggingface.co"
CONNECT_S = 4.0  # until a server counts as down
READ_S = 10.0  # without a byte until a link counts as broken
MAX_REDIRECTS = 5
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

Origin = tuple[str, str | None, int | None]  # scheme, host and port


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
    return header_safe(found)


def header_safe(found: str) -> str | None:
    """A token without blanks around it; what no header can carry is no token."""
    found = found.strip()
    return found if re.fullmatch(r"[!-~]+", found) else None


def lab_token(url: str, named: Iterable[str] = ()) -> str | None:
    """`token`, else $ZOO_TOKEN if `url` is of the one hub that the user has named.

    `named` are registries that the user has given, $HF_ENDPOINT and $ZOO_REGISTRY are others. What
    a registry names, or a mirror, is not told the token; and where several hubs are named, it is
    not known whose it is.
    """
    own = token(url)
    if own or is_public(url):
        return own
    found = header_safe(os.environ.get("ZOO_TOKEN", ""))
    return found if found and _hubs(named) == {_origin(url)} else None


def about_token(url: str, sent: bool, named: Iterable[str] = ()) -> str:
    """What to do where a hub does not let us in, or says that nothing is there."""
    if sent:
        return "a token was sent: is it one of that hub, and may it read that repository?"
    return f"no token was sent: {_why_none(url, named)}"


def _why_none(url: str, named: Iterable[str]) -> str:
    hub, theirs = _shown(_origin(url)), _hubs(named)
    ours = next((n for n in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") if os.environ.get(n)), "")
    if ours and _origin(url) != _origin(default()):
        return f"{ours} is for {default()}, and this is {hub}; the two must be written alike"
    if ours:
        return f"{ours} holds what is no token"
    if is_public(url):
        return "a private repository needs one: hf auth login, or HF_TOKEN"
    if not os.environ.get("ZOO_TOKEN"):
        return f"a private repository needs one: ZOO_TOKEN, or HF_TOKEN with HF_ENDPOINT={hub}"
    if len(theirs) > 1:
        several = ", ".join(sorted(map(_shown, theirs)))
        return f"ZOO_TOKEN is for one hub, and several are named: {several}"
    if theirs != {_origin(url)}:
        return f"ZOO_TOKEN goes to a hub that you name as yours: HF_ENDPOINT={hub}"
    return "ZOO_TOKEN holds what is no token"


def _hubs(named: Iterable[str]) -> set[Origin]:
    """The hubs that the user has named and that have no token of their own."""
    texts = [os.environ.get(n, "") for n in ("HF_ENDPOINT", "ZOO_REGISTRY")]
    urls = re.findall(r"https?://[^,\s]+", " ".join([*texts, *named]))
    return {_origin(url) for url in urls if not is_public(url) and not token(url)}


def _shown(origin: Origin) -> str:
    scheme, host, port = origin
    usual = port == {"http": 80, "https": 443}.get(scheme)
    return f"{scheme}://{host}" + ("" if usual else f":{port}")


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
    verify = certificates(url, error)
    try:
        return httpx2.Client(
            headers=headers,
            timeout=timeout,
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            verify=verify,
        )
    except (ValueError, ImportError, OSError) as problem:
        why = "what the environment says of proxies is of no use"
        hint = "see HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY"
        raise error(f"{url}: {why}, {one_line(problem)}", hint) from None


def certificates(url: str, error: type[ZooError]) -> ssl.SSLContext | bool:
    """Whom to believe: the first of CERTIFICATES that is set, else the system's own."""
    import ssl

    variable = next((name for name in CERTIFICATES if os.environ.get(name)), "")
    if not variable:
        return True
    where = os.environ[variable]
    try:
        if Path(where).is_dir():
            return ssl.create_default_context(capath=where)
        open_plain(where).close()
        return ssl.create_default_context(cafile=where)
    except OSError as problem:  # an SSLError is one
        said = f"{variable}={where} holds no certificates, {one_line(problem)}"
        raise error(f"{url}: {said}", f"mend or unset {variable}") from None


def _stored() -> str:
    try:
        path = expanded(os.environ.get("HF_TOKEN_PATH") or hf_home() / "token")
        with open_plain(path) as file:
            return file.read().decode("utf-8")
    except (OSError, UnicodeDecodeError, NoHome):  # nobody logged in here
        return ""


def _origin(url: str) -> Origin:
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
