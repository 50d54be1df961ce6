"""Addresses as they are shown: no user, password or token is left in them."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import zoo
from zoo import said
from zoo.errors import PullError, ZooWarning


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://user:pw@host", "http://***@host"),
        ("http://ghp_secret@host:8080/a/b@rev", "http://***@host:8080/a/b@rev"),
        ("http://user:p/w@host/x", "http://***@host/x"),  # not encoded, as people paste it
        ("http://user:p#w@host", "http://***@host"),
        ("http://user:p@w@host", "http://***@host"),
        ("http://user:p w@host/x", "http://***@host/x"),
        ("http://user:p<w>@host/x", "http://***@host/x"),
        ("http://user:pw", "http://user:***"),
        ("https://h/a;token=S;b=S/c?limit=3", "https://h/a;token=***;b=***/c?limit=3"),
        ("user:pw@host:8080", "***@host:8080"),  # the scheme forgotten
        (
            "https://h/registry.yaml?token=S&branch=main",
            "https://h/registry.yaml?token=***&branch=main",
        ),
        ("https://h/?access_token=S", "https://h/?access_token=***"),
        (
            "https://h/?X-Amz-Signature=S&X-Amz-Credential=S",
            "https://h/?X-Amz-Signature=***&X-Amz-Credential=***",
        ),
        ("https://h/?sig=a%2Fb&key=S;password=S", "https://h/?sig=***&key=***;password=***"),
        ("https://h/?S3CRET", "https://h/?***"),
        ("https://h/#access_token=S", "https://h/#***"),
        ("ftp://u:p@h", "ftp://***@h"),
        ("hf_" + "a" * 34, "hf_***"),
        ("zoo_" + "a-b_" * 10, "zoo_***"),
        ("Authorization: Bearer " + "a1" * 12, "Authorization: Bearer ***"),
    ],
)
def test_what_may_be_a_secret_is_masked(address: str, shown: str) -> None:
    assert said.masked(address) == shown
    assert said.masked(f"x, {address}") == f"x, {shown}"
    assert said.masked(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://10.0.0.7:8080/lab/x@" + "a" * 40,
        "http://[::1]:8080/lab/x@abc: 404 Not Found",
        "http://127.0.0.1:8080: asked for lab/x@abc, it has nothing",
        "http://127.0.0.1:8080 is away, ask me@example.org",
        "http://lab is away, ask me@example.org: http://lab.example.org: ask me@example.org",
        "https://h/api/models?limit=5&cursor=abc&author=lab",
        "give PATH, http(s)://HOST/.../registry.yaml, http(s)://HOST of a hub, or ORG/NAME",
        "mail me@example.org: it is 12:30",
        "basic operations, Basic Classification, hf_hub_download",
    ],
)
def test_what_is_no_secret_is_left(text: str) -> None:
    assert said.masked(text) == text


def test_an_address_within_a_sentence_keeps_the_sentence() -> None:
    text = "http://a:b@c/x?token=S: sent on to https://d:e@f, without TLS"
    assert said.masked(text) == "http://***@c/x?token=***: sent on to https://***@f, without TLS"


WORD = st.text("abcdefghijklmnopqrstuvwxyzABCDEF0123456789-_.~%!$&'()*+,;=", min_size=1)


@given(WORD, WORD, st.sampled_from(["token", "key", "sig", "p", "X-Goog-Signature", "code", "s"]))
def test_no_secret_is_left_whatever_it_is(user: str, password: str, key: str) -> None:
    secret = "S3CRET"
    for address in (
        f"http://{user}:{secret}{password}@host/a",
        f"https://{secret}@host/{user}",
        f"https://host:8080/a?{key}={secret}",
        f"https://host/a?x=1&{key}={secret}&limit=3",
        f"https://host/{key}#{secret}",
    ):
        shown = said.masked(address)
        assert secret not in shown
        assert urlsplit(shown).hostname == "host"


def test_errors_and_warnings_hold_no_secret() -> None:
    error = PullError("http://u:pw@h: no", "ask http://h/?token=pw")
    assert "pw" not in f"{error!r}{error.hint}"
    assert "pw" not in repr(ZooWarning("http://u:pw@h is away"))
    assert isinstance(error, zoo.ZooError)
