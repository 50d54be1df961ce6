"""Whose token goes where, and what a hub's address is."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.records.names import check_endpoint
from zoo.registry import endpoints


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in (
        *("HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"),
        *("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN"),
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))


def test_the_default_is_hf_endpoint_and_else_the_public_hub(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert endpoints.default() == "https://huggingface.co"
    monkeypatch.setenv("HF_ENDPOINT", "http://10.0.0.7:8080/")
    assert endpoints.default() == "http://10.0.0.7:8080"


def test_a_token_goes_to_hf_endpoint_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_user")
    assert endpoints.token("https://huggingface.co/a/b") == "hf_of_the_user"
    monkeypatch.setenv("HF_ENDPOINT", "http://10.0.0.7:8080")
    assert endpoints.token("http://10.0.0.7:8080/api/x") == "hf_of_the_user"
    assert endpoints.token(endpoints.PUBLIC) is None
    for other in (
        *("http://10.0.0.7", "https://10.0.0.7:8080", "http://10.0.0.8:8080"),
        *(
            "http://huggingface.co",
            "https://huggingface.co.evil.org",
            "https://huggingface.co:8443",
        ),
        *("https://huggingface.co@evil.org", "http://10.0.0.7:8080@evil.org", "http://h:99999", ""),
    ):
        assert endpoints.token(other) is None


def test_a_stored_token_is_found_where_the_hubs_client_keeps_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert endpoints.token(endpoints.PUBLIC) is None
    (tmp_path / "token").write_text("hf_stored\n")
    assert endpoints.token(endpoints.PUBLIC) == "hf_stored"
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    assert endpoints.token(endpoints.PUBLIC) is None
    monkeypatch.setenv("HF_TOKEN", "hf_chosen")
    assert endpoints.token(endpoints.PUBLIC) == "hf_chosen"


def test_a_stored_token_is_not_told_to_another_hub_than_the_public_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("hf_stored\n")
    monkeypatch.setenv("HF_ENDPOINT", "http://10.0.0.7:8080")
    assert endpoints.token("http://10.0.0.7:8080") is None
    monkeypatch.setenv("HF_TOKEN", "of_the_lab")
    assert endpoints.token(endpoints.PUBLIC) == "hf_stored"


@pytest.mark.parametrize("broken", ["hf_two words", "hf_\u0445", "hf_a\nb", " "])
def test_what_no_header_can_carry_is_no_token(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", broken)
    assert endpoints.token(endpoints.PUBLIC) is None


@pytest.mark.parametrize(("value", "off"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_offline_is_read_as_the_hubs_client_reads_it(
    value: str, off: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert endpoints.offline() is off


@pytest.mark.parametrize(
    "value", ["https://hub.example.org", "http://10.0.0.7:8080", "http://[::1]:80", "https://h/a/b"]
)
def test_the_base_url_of_a_hub_is_an_endpoint(value: str) -> None:
    check_endpoint(value)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "hub.example.org",
            "ftp://h",
            "https://h/",
            "https://h/a/",
            "https://",
            "https://h?x",
        ),
        *("https://user:secret@h", "https://h/a b", "https://h\n", "https://h/a#b", "https://h\\x"),
    ],
)
def test_anything_else_is_no_endpoint(value: str) -> None:
    with pytest.raises(ValueError, match="endpoint must be"):
        check_endpoint(value)
