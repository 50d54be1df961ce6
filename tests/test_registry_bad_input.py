"""Registries elsewhere that cannot be used: each is one error, and the kept copy stays."""

from __future__ import annotations

import gzip
import http.server
import itertools
import shutil
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import zoo
from zoo import cli
from zoo.errors import RegistryError, ZooWarning
from zoo.records import entry
from zoo.records.entry import Entry, FileRef, Headline
from zoo.registry import endpoints, registries

Site = Any  # of conftest.py


def text(*names: str) -> str:
    """A registry of students of those names."""
    files = {"model.int8.onnx": FileRef("ab" * 32, 12)}
    about: Any = ("tagging", "lab/toy", "0123456789" * 4, "MIT", "A toy.", files)
    return entry.render([Entry(n, *about, Headline(0.9, "Toys", 12, 0.1)) for n in names])


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's user."""
    for variable in ("ZOO_REGISTRY", "ZOO_STORE", "HF_HUB_OFFLINE", "HF_ENDPOINT", "HF_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))


SHORT = text("a").replace("ab" * 32, "ab" * 20)
TWICE = text("a") + text("a").split("students:\n")[1]
HTML = "<!DOCTYPE html><title>Welcome to our hotel</title>"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (SHORT, 200, r"/registry\.yaml:\d+: .*must be 64 lower-case hex digits"),
        (TWICE, 200, r"/registry\.yaml:\d+: the key \"a\" comes twice, first in line"),
        (text("a").replace("task:", "tasks:"), 200, r"registry\.yaml:\d+: .*unknown key"),
        (HTML, 200, "a web page, not a registry"),
        (b"format: 1\nstudents: \xff", 200, r"not UTF-8 text \(byte 20\)"),
        ("", 200, "must be a mapping"),
        (text("a"), 404, "not there"),
        (text("a"), 403, r"not for everybody \(403\)"),
        (text("a"), 206, "the server answers 206"),
        (text("a"), 304, "the server answers 304"),
        (b"#" * 4_000_001, 200, "larger than 4 MB"),
    ],
)
def test_a_bad_registry_is_one_error_and_leaves_the_kept_copy(
    body: str | bytes, status: int, message: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.has("/registry.yaml", text("a"))
    rows = registries.load(site.url)
    site.has("/registry.yaml", body, status=status)
    with pytest.raises(RegistryError, match=message) as caught:
        registries.load(site.url)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.warns(ZooWarning):
        assert registries.load(site.url) == rows


def test_an_answer_without_an_end_is_cut_off(site: Site) -> None:
    def endless(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            for _ in itertools.count():
                request.wfile.write(b"#" * 65536)
        except OSError:
            pass

    site.answers["/registry.yaml"] = endless
    with pytest.raises(RegistryError, match="larger than 4 MB"):
        registries.load(site.url)


def test_an_answer_in_a_coding_is_not_unpacked(site: Site) -> None:
    headers = {"Content-Encoding": "gzip"}
    site.has("/registry.yaml", gzip.compress(text("a").encode()), **headers)
    with pytest.raises(RegistryError, match="sent as gzip, which nobody asked for"):
        registries.load(site.url)


def test_an_error_has_no_character_that_commands_a_terminal(site: Site) -> None:
    site.has("/registry.yaml", text("a").replace("task:", r'"\e[31mtask":'))
    with pytest.raises(RegistryError, match="unknown key") as caught:
        registries.load(site.url)
    assert str(caught.value).isprintable()


def test_a_circle_of_redirects_is_left(site: Site) -> None:
    site.sends_on("/registry.yaml", "/elsewhere")
    site.sends_on("/elsewhere", "/registry.yaml")
    with pytest.raises(RegistryError, match="sent on more than 5 times"):
        registries.load(site.url)


def test_a_redirect_is_followed_but_not_out_of_http(site: Site) -> None:
    site.sends_on("/registry.yaml", "/elsewhere")
    site.has("/elsewhere", text("a"))
    assert list(registries.load(site.url)) == ["a"]
    site.sends_on("/registry.yaml", "file:///etc/passwd")
    with pytest.raises(RegistryError, match=r"registry\.yaml: "):
        registries.load(site.url)


def test_a_redirect_out_of_tls_is_refused(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate")
    key, pem = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lab"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(pem)]
    subprocess.run(["openssl", *made], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    site.has("/registry.yaml", text("a"))

    class Sender(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.reply(self, b"", status=302, Location=site.url + "/registry.yaml")

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Sender) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(RegistryError, match="without TLS"):
            registries.load(f"https://127.0.0.1:{server.server_port}")
        thread.join()


@pytest.mark.parametrize(
    "name", ["ftp://lab.example.org", "https://", "http://me:secret@h", "http://h?x=1", "file:///x"]
)
def test_an_address_of_no_registry_is_one_error(name: str) -> None:
    with pytest.raises(RegistryError, match="not the address of a registry") as caught:
        registries.load(name)
    assert "ORG/NAME" in caught.value.hint


def test_a_path_that_is_not_there_is_one_error(tmp_path: Path) -> None:
    for name in ("no-such-registry", str(tmp_path / "lab.yaml"), "a/b/c"):
        with pytest.raises(RegistryError, match="No such file"):
            registries.load(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALL_PROXY", "nonsense://x"), ("SSL_CERT_FILE", "/none"), ("CURL_CA_BUNDLE", __file__)],
)
def test_an_environment_that_cannot_be_used_is_one_error(
    name: str, value: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in endpoints.CERTIFICATES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(RegistryError, match=r"says of proxies|holds no certificates"):
        registries.load(site.url)


# --- rows of a newer format ----------------------------------------------------------------------

NEWER = text("a") + text("b").partition("students:\n")[2].replace("task:", "format: 2\n    kind:")


def test_a_kept_copy_keeps_what_it_could_not_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.has("/registry.yaml", NEWER, etag='"one"')
    for _ in range(2):  # the second time it is not sent again
        with pytest.warns(ZooWarning, match="'b': passed over"):
            assert list(registries.load(site.url)) == ["a"]
    with pytest.raises(RegistryError, match="would be lost"):
        registries.entries(site.url, whole=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.warns(ZooWarning) as told:
        assert list(registries.load(site.url)) == ["a"]
    assert any("'b': passed over" in str(one.message) for one in told)


def test_a_number_that_json_has_not_does_not_take_the_kept_copy_away(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.has("/registry.yaml", text("a"), etag='"one"')
    assert list(registries.load(site.url)) == ["a"]
    site.has("/registry.yaml", NEWER.replace("kind: ", "share: .nan\n    kind: "), etag='"two"')
    with pytest.warns(ZooWarning) as told:
        assert list(registries.load(site.url)) == ["a"]
    assert any("no copy of" in str(one.message) for one in told)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.warns(ZooWarning, match="the copy of this registry kept here is used"):
        assert list(registries.load(site.url)) == ["a"]


def test_nothing_is_removed_from_a_cache_by_a_registry_that_is_read_in_part(
    shelf: Any, tmp_path: Path
) -> None:
    zoo.pull(shelf.entry.name)
    whole = shelf.registry.read_text()
    shelf.registry.write_text(whole.replace("    task:", "    format: 2\n    task:"))
    with pytest.raises(RegistryError, match="would be lost"):
        CliRunner().invoke(cli.app, ["cache", "prune"], catch_exceptions=False)
    shelf.registry.write_text(whole)
    assert "complete" in CliRunner().invoke(cli.app, ["cache", "list"]).stdout
