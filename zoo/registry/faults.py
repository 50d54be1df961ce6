"""What was met on the way to a hub, and the way out."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from zoo.errors import ZooWarning

MAX_WAIT_S = 300.0  # in all, for one file; a hub that asks for more is not waited for
HUB = "is that the address of a hub?"

_Ways = tuple[tuple[tuple[str, ...], str], ...]  # words of OpenSSL or of the system -> way out

_TLS: _Ways = (
    (
        ("hostname mismatch", "ip address mismatch", "doesn't match"),
        "the certificate there is of another name: use the name that stands in it",
    ),
    (
        ("certificate has expired", "not yet valid"),
        "the certificate there is not valid today: is the clock here right?",
    ),
    (
        ("certificate_verify_failed", "unknown_ca", "self-signed", "self signed"),
        "a CA that is not known here has signed the certificate: SSL_CERT_FILE=FILE.pem names your "
        "own (or SSL_CERT_DIR, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE)",
    ),
    (
        ("wrong_version_number", "record layer failure", "unknown protocol", "http request"),
        "there is no TLS at that port: http:// in place of https://?",
    ),
)
_NETWORK: _Ways = (
    (
        ("name or service", "nodename nor servname", "name resolution", "no address associated"),
        "is the name of the host right, and is there a network?",
    ),
    (("refused",), "is a hub running at that address, and at that port?"),
)


def hint(problem: BaseException) -> str:
    """What to do about a connection that did not come about, or broke."""
    said, kind = _said(problem).casefold(), type(problem).__name__
    if way := _way(_TLS, said):
        return way
    if kind == "ProxyError" or (kind.startswith("Connect") and _is_sent_by_proxy(problem)):
        names = [n for n in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY") if _variable(n)]
        goes_by = f"{' or '.join(names) or 'a proxy'} is set; NO_PROXY=HOST goes around it"
        return goes_by if kind == "ProxyError" else f"is the proxy there? {goes_by}"
    if way := _way(_NETWORK, said):
        return way
    if kind in ("UnsupportedProtocol", "InvalidURL"):
        return "the address of a hub is http://HOST or https://HOST; see HF_ENDPOINT"
    if kind == "TooManyRedirects" or "location header" in said:
        return HUB
    if kind in ("RemoteProtocolError", "LocalProtocolError", "ReadError"):
        return f"the other end hung up: {HUB} https:// in place of http://?"
    return "can it be reached from here?"


def _way(ways: _Ways, said: str) -> str:
    return next((way for words, way in ways if any(word in said for word in words)), "")


def _is_sent_by_proxy(problem: BaseException) -> bool:
    """Whether it was a proxy that could not be reached, not the host itself."""
    from urllib.request import proxy_bypass  # late: it is slow to import

    try:
        url = problem.request.url  # type: ignore[attr-defined]
    except (AttributeError, RuntimeError):  # of no request
        return False
    by_proxy = _variable(f"{url.scheme.upper()}_PROXY") or _variable("ALL_PROXY")
    return bool(by_proxy) and not proxy_bypass(url.host)


def _said(problem: BaseException | None) -> str:
    """Kind and words of a problem and of what it came from: of several attempts the first tells."""
    if problem is None:
        return ""
    return f"{type(problem).__name__} {problem} {_said(problem.__cause__ or problem.__context__)}"


def _variable(name: str) -> str:
    return os.environ.get(name) or os.environ.get(name.lower()) or ""


def wait_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """How long a server asks to wait before the next request, in seconds; None: it says nothing.

    Of `Retry-After`, seconds or a date (RFC 9110, 10.2.3); what is no such thing, or is over, is
    nothing said.
    """
    said = headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:12])
    try:
        then = parsedate_to_datetime(said)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    left = (then - (now or datetime.now(UTC))).total_seconds()
    return left if left > 0 else None


class Patience:
    """The waiting for hubs that ask to be asked later: MAX_WAIT_S in all, each said."""

    def __init__(self) -> None:
        self._left_s = MAX_WAIT_S

    def waited(self, problem: Exception) -> bool:
        """Wait as long as its `wait_s` says; False at once where there is none, or too little left.

        True: it is worth another try.
        """
        asked_s: float | None = getattr(problem, "wait_s", None)
        if not asked_s or asked_s > self._left_s:
            return False
        self._left_s -= asked_s
        said = f"{problem}: asked to wait {asked_s:.0f} s, waiting"
        warnings.warn(ZooWarning(said), stacklevel=2)
        time.sleep(asked_s)
        return True


def later(asked_s: float | None) -> str:
    """The way out where it is not waited any more."""
    return f"try again later: the hub asks for {asked_s:.0f} s" if asked_s else "try again later"
