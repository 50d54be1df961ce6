"""What went wrong on the way to a hub, and the way out: the hint names the fault that was met."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from no_hubs import PAGES

import zoo
from zoo.errors import NotFound, PullError, RegistryError, ZooWarning
from zoo.fetch.fetch import fetch
from zoo.registry import endpoints, faults, local, registries

if TYPE_CHECKING:
    from conftest import Shelf, Site

TINY = "colours-tiny.test"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No token, no proxy and no CA of this machine's user."""
    for variable in (
        *("HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "ZOO_TOKEN", "ZOO_MIRRORS"),
        *("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", *endpoints.CERTIFICATES),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


@pytest.fixture
def away(shelf: Shelf, site: Site) -> Shelf:
    """The student is on the web server alone, and no store here has it."""
    folder, entry = shelf.store.folder(TINY), shelf.entry
    for file in entry.files:
        site.has(f"/{entry.repo}/resolve/{entry.revision}/{file}", (folder / file).read_bytes())
    (shelf.root / "moved").mkdir()
    folder.rename(shelf.root / "moved" / TINY)
    return replace(shelf, entry=replace(entry, endpoint=site.url))


def pulled(shelf: Shelf, **given: Any) -> Path:
    return fetch(shelf.entry, cache=shelf.cache, **given)


def hint_of(shelf: Shelf, **given: Any) -> str:
    with pytest.raises((PullError, NotFound)) as caught:
        pulled(shelf, **given)
    return caught.value.hint


def busy(site: Site, path: str, times: int, status: int = 503, **headers: str) -> None:
    """The first `times` answers at `path` are a refusal."""
    answer, left = site.answers[path], [times]

    def once(request: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            return answer(request)
        return site.reply(request, b"", status=status, **headers)

    site.answers[path] = once


def first_path(shelf: Shelf) -> str:
    return f"/{shelf.entry.repo}/resolve/{shelf.entry.revision}/{next(iter(shelf.entry.files))}"


# --- a hub that asks to wait ---------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
def test_a_hub_that_asks_to_wait_is_waited_for_and_it_is_said(
    status: int, away: Shelf, site: Site
) -> None:
    busy(site, first_path(away), 2, status, **{"Retry-After": "1"})
    began = time.monotonic()
    with pytest.warns(ZooWarning, match=f"{status} .*: asked to wait 1 s, waiting") as told:
        pulled(away)
    assert time.monotonic() - began >= 2
    assert len(told) == 2


def test_a_date_to_come_back_at_is_waited_for(away: Shelf, site: Site) -> None:
    answer, asked = site.answers[first_path(away)], list[str]()

    def once(request: Any) -> None:
        if asked:
            return answer(request)
        asked.append(format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True))
        return site.reply(request, b"", status=503, **{"Retry-After": asked[0]})

    site.answers[first_path(away)] = once
    with pytest.warns(ZooWarning, match="asked to wait"):
        pulled(away)


@pytest.mark.parametrize(
    "value",
    ["1000000000", "9" * 400, "-5", "soon", "", "0", "Thu, 01 Jan 1970 00:00:00 GMT", "1e9", "²"],
)
def test_an_absurd_wait_is_not_kept(value: str, away: Shelf, site: Site) -> None:
    busy(site, first_path(away), 99, **{"Retry-After": value.encode().decode("latin-1")})
    began = time.monotonic()
    assert "try again later" in hint_of(away)
    assert time.monotonic() - began < 5


def test_the_wait_is_read_as_seconds_or_a_date() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert faults.wait_s({"Retry-After": "120"}, now) == 120
    assert faults.wait_s({"Retry-After": "Thu, 01 Jan 2026 00:01:00 GMT"}, now) == 60
    assert faults.wait_s({"Retry-After": "Wed, 31 Dec 2025 23:59:00 GMT"}, now) is None
    for nothing in ("", "-1", "1.5", "tomorrow", "Thu, 99 Foo 2026 00:00:00 GMT"):
        assert faults.wait_s({"Retry-After": nothing}, now) is None
    assert faults.wait_s({}, now) is None


def test_a_registry_is_waited_for_where_no_copy_is_kept(shelf: Shelf, site: Site) -> None:
    site.has("/registry.yaml", shelf.registry.read_text())
    busy(site, "/registry.yaml", 1, **{"Retry-After": "1"})
    with pytest.warns(ZooWarning, match="asked to wait 1 s"):
        assert TINY in registries.load(site.url)
    busy(site, "/registry.yaml", 1, **{"Retry-After": "100"})
    with pytest.warns(ZooWarning, match="the copy of this registry kept here is used"):
        assert TINY in registries.load(site.url)


# --- tokens --------------------------------------------------------------------------------------


def refuse(site: Site, shelf: Shelf, status: int) -> list[str | None]:
    """Answer as a private repository does; the tokens that came."""
    came: list[str | None] = []

    def answer(request: Any) -> None:
        came.append(request.headers.get("Authorization"))
        site.reply(request, b"{}", status=status)

    site.answers[first_path(shelf)] = answer
    return came


@pytest.mark.parametrize("status", [401, 403, 404])
def test_without_a_token_it_is_said_that_none_was_sent(
    status: int, away: Shelf, site: Site
) -> None:
    came = refuse(site, away, status)
    assert "no token was sent" in (hint := hint_of(away))
    assert f"ZOO_TOKEN, or HF_TOKEN with HF_ENDPOINT={site.url}" in hint
    assert came == [None]


def test_the_same_machine_by_another_name_is_another_hub(
    away: Shelf, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = refuse(site, away, 404)
    named = site.url.replace("127.0.0.1", "localhost")
    monkeypatch.setenv("HF_ENDPOINT", named)
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    assert f"HF_TOKEN is for {named}, and this is {site.url}" in hint_of(away)
    assert came == [None]


def test_a_token_that_does_not_open_it_is_said_to_have_been_sent(
    away: Shelf, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = refuse(site, away, 401)
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    assert "a token was sent" in hint_of(away)
    assert came == ["Bearer hf_mine"]


def test_zoo_token_goes_to_the_hub_that_is_named_as_ones_own(
    away: Shelf, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = refuse(site, away, 401)
    monkeypatch.setenv("ZOO_TOKEN", "zoo_mine")
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    hint_of(away)
    monkeypatch.delenv("HF_ENDPOINT")
    hint_of(away, named=[site.url])
    assert came == ["Bearer zoo_mine"] * 2
    local.write([away.entry], away.registry)  # as `zoo publish` leaves it
    with pytest.raises(zoo.ZooError):
        zoo.pull(TINY)
    assert came[2:] == ["Bearer zoo_mine"]


def test_zoo_token_goes_to_no_hub_that_others_have_named(
    away: Shelf, site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    came = refuse(site, away, 401)
    monkeypatch.setenv("ZOO_TOKEN", "zoo_mine")
    assert "a hub that you name as yours" in hint_of(away)
    assert "a hub that you name as yours" in hint_of(away, sources=[site.url])  # bytes alone
    stranger = tmp_path / "registry.yaml"
    local.write([away.entry], stranger)
    with pytest.raises(zoo.ZooError) as caught:
        zoo.pull(TINY, registry=stranger)
    assert "ZOO_TOKEN goes to" in caught.value.hint
    several = hint_of(away, named=[site.url, "http://other.example"])
    assert "ZOO_TOKEN is for one hub, and several are named" in several
    assert set(came) == {None}


def test_a_private_student_is_pulled_with_zoo_token(
    hub: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.stores.git import Add
    from zoo.stores.store import Store

    store, folder = Store(hub.root), shelf.store.folder(TINY)
    store.create("lab/secret", private=True)
    added = [Add(p.name, store.add([p.read_bytes()])[0]) for p in folder.iterdir()]
    commit = store.commit("lab/secret", "main", added, title="all")
    row = replace(shelf.entry, repo="lab/secret", revision=commit.id, endpoint=hub.url)
    local.write([row], shelf.registry)
    folder.rename(shelf.root / "moved")
    with pytest.raises(PullError, match="there is no repository") as caught:
        zoo.pull(TINY)
    assert "no token was sent" in caught.value.hint
    monkeypatch.setenv("ZOO_TOKEN", hub.read_token)
    assert zoo.pull(TINY).is_dir()


# --- what is no hub ------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_what_is_no_hub_is_asked_whether_it_is_one(
    page: str, away: Shelf, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, kind = PAGES[page]
    head = {"Content-Type": kind}
    site.has("/api/models/lab/zoo/revision/main", body, **head)
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    with pytest.raises(RegistryError) as caught:
        registries.load("lab/zoo")
    assert faults.HUB in caught.value.hint
    site.has("/registry.yaml", body, **head)
    with pytest.raises(RegistryError) as caught:
        registries.load(site.url)
    assert faults.HUB in caught.value.hint or page == "half"  # which is broken YAML, and told so
    if page == "a page":
        site.has(first_path(away), body, **head)
        assert faults.HUB in hint_of(away)


def test_nobody_there_is_told_as_that(away: Shelf) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nobody = replace(away, entry=replace(away.entry, endpoint=f"http://127.0.0.1:{port}"))
    assert "is a hub running at that address" in hint_of(nobody)
    unknown = replace(away, entry=replace(away.entry, endpoint="http://no-such-host.invalid"))
    assert "is the name of the host right" in hint_of(unknown)


def test_a_proxy_that_is_away_is_not_taken_for_the_hub(
    away: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = replace(away.entry, endpoint="http://hub.invalid")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://user:pw@127.0.0.1:1")
    hint = hint_of(replace(away, entry=entry))
    assert "is the proxy there? HTTP_PROXY is set; NO_PROXY=HOST" in hint and "pw" not in hint
    monkeypatch.setenv("NO_PROXY", "hub.invalid")
    assert "is the name of the host right" in hint_of(replace(away, entry=entry))


def test_no_hint_is_masked_as_if_a_secret_were_in_it() -> None:
    import httpx2

    kinds = (httpx2.ProxyError, httpx2.UnsupportedProtocol, httpx2.InvalidURL, httpx2.ReadError)
    for kind in (*kinds, httpx2.TooManyRedirects, httpx2.ConnectTimeout):
        hint = faults.hint(kind("no"))
        assert PullError("no", hint).hint == hint


def test_an_endpoint_without_a_scheme_is_told_as_that(
    away: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "localhost:8080")
    assert "HF_ENDPOINT" in hint_of(replace(away, entry=replace(away.entry, endpoint="")))


# --- certificates --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of one's own, ca.pem, and its key, key.pem."""
    folder = tmp_path_factory.mktemp("ca")
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "ca.pem")]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run([*words, *files, *names], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no openssl to make a certificate with")
    return folder


@pytest.fixture
def secure(authority: Path, away: Shelf, site: Site) -> Iterator[Shelf]:
    """The student on a server with TLS."""
    import http.server

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "ca.pem", authority / "key.pem")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.answers[self.path](self)

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:  # a client that does not know us hangs up
            pass

    server = Quiet(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"https://127.0.0.1:{server.server_port}"
    yield replace(away, entry=replace(away.entry, endpoint=url))
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_unknown_ca_is_told_with_what_names_ones_own(secure: Shelf) -> None:
    assert "SSL_CERT_FILE" in hint_of(secure)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_ca_of_ones_own_is_believed(
    variable: str, secure: Shelf, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(authority / "ca.pem"))
    assert pulled(secure).is_dir()


def test_http_where_tls_is_spoken_and_the_other_way_round(secure: Shelf, away: Shelf) -> None:
    plain = secure.entry.endpoint.replace("https:", "http:")
    assert "https://" in hint_of(replace(secure, entry=replace(secure.entry, endpoint=plain)))
    tls = away.entry.endpoint.replace("http:", "https:")
    assert "http:// in place" in hint_of(replace(away, entry=replace(away.entry, endpoint=tls)))
