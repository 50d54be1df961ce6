"""Addresses and paths that are none: one line each, at once, and no secret in it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import picture
from typer.testing import CliRunner

from zoo import cli
from zoo.errors import ZooError

SECRETS = {
    "HF_ENDPOINT": "http://user:S3CRET@127.0.0.1:9",
    "ZOO_MIRRORS": "http://user:S3CRET@127.0.0.1:9, http://127.0.0.1:9/?sig=S3CRET",
    "ZOO_REGISTRY": "http://127.0.0.1:9/registry.yaml?token=S3CRET#S3CRET",
}


def told(*words: object) -> str:
    """The error and the hint of a command that fails."""
    result = CliRunner().invoke(cli.app, [str(word) for word in words], standalone_mode=False)
    error = result.exception
    assert isinstance(error, Exception), result.output
    return f"{error} / {getattr(error, 'hint', '')}"


# --- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--registry", "--from"])
def test_an_empty_place_is_refused_and_not_the_default(option: str, shelf: Any) -> None:
    assert "is empty" in told("pull", shelf.entry.name, option, "")
    assert "is empty" in told("pull", shelf.entry.name, "--registry", " , ")
    assert "is empty" in told("list", "--registry", shelf.registry, "--registry", "")


@pytest.mark.parametrize("port", ["99999", "65536", "0", "-1", "x", "80x", "٣"])
@pytest.mark.parametrize("option", ["--registry", "--from"])
def test_a_port_that_there_is_not_is_named(option: str, port: str, shelf: Any) -> None:
    said = told("pull", shelf.entry.name, option, f"http://127.0.0.1:{port}")
    assert "there is no such port" in said


@pytest.mark.parametrize("command", [["publish", "NAME", "--endpoint"], ["list", "--registry"]])
@pytest.mark.parametrize(
    "address", ["htp://h", "http://", "http://a b", "http:///x", "http://h/?x", "ftp://h"]
)
def test_an_address_that_is_none_is_one_line(
    command: list[str], address: str, shelf: Any, lab: Any
) -> None:
    words = [lab.row.name if word == "NAME" else word for word in command]
    said = told(*words, address)
    assert "address" in said or "must be http(s)://" in said


def test_no_secret_of_an_address_is_told(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    name = shelf.entry.name
    shelf.store.folder(name).rename(shelf.root / "moved")
    for words in (["pull", name], ["pull", name, "--from", "http://u:S3CRET@127.0.0.1:9"]):
        for mirrors in (SECRETS["ZOO_MIRRORS"], "user:S3CRET@127.0.0.1:9"):
            monkeypatch.setenv("ZOO_MIRRORS", mirrors)
            monkeypatch.setenv("HF_ENDPOINT", SECRETS["HF_ENDPOINT"])
            assert "S3CRET" not in told(*words)
    for address in ("http://u:S3CRET@127.0.0.1:9", SECRETS["ZOO_REGISTRY"]):
        assert "S3CRET" not in told("list", "--registry", address)
    assert "S3CRET" not in told("publish", name, "--endpoint", "http://u:S3CRET@127.0.0.1:9")


def test_doctor_tells_no_secret_as_text_or_json(
    shelf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in SECRETS.items():
        monkeypatch.setenv(variable, value)
    text = CliRunner().invoke(cli.app, ["doctor"]).output
    data = json.loads(CliRunner().invoke(cli.app, ["doctor", "--json"]).stdout)
    for said in (text, json.dumps(data)):
        assert "S3CRET" not in said
        assert "http://***@127.0.0.1:9" in said
        assert "token=***" in said


def test_a_listing_tells_no_secret_of_its_origin(shelf: Any, site: Any) -> None:
    site.has("/registry.yaml?token=S3CRET", shelf.registry.read_text())
    address = f"{site.url}/registry.yaml?token=S3CRET"
    both = ["--registry", address, "--registry", str(shelf.registry)]
    for words in (["list", *both], ["info", shelf.entry.name, "--registry", address]):
        for more in ([], ["--json"]):
            result = CliRunner().invoke(cli.app, [*words, *more])
            assert result.exit_code == 0, result.output
            assert "S3CRET" not in result.output
            assert "token=***" in result.output


# --- paths ---------------------------------------------------------------------------------------


@pytest.fixture
def nobody_waits() -> Iterator[None]:
    """What waits for the other end of a pipe is a TimeoutError after some seconds."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs named pipes")

    def late(*_: object) -> None:
        raise TimeoutError("it waits")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("nobody_waits")
@pytest.mark.parametrize(
    "words",
    [
        ["pull", "NAME", "--from", "PIPE"],
        ["list", "--registry", "PIPE"],
        ["pull", "NAME", "--cache", "PIPE"],
        ["bundle", "NAME", "-o", "PIPE"],
        ["build", "PIPE.yaml"],
        ["card", "NAME", "--add", "PIPE"],
        ["store", "gc", "--root", "PIPE"],
        ["verify", "./PIPE"],
        ["bench", "./PIPE"],
        ["run", "./PIPE", "x.png"],
    ],
)
def test_a_named_pipe_is_one_line_and_nobody_waits(
    words: list[str], shelf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIPE", "PIPE.yaml"):
        os.mkfifo(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    words = [shelf.entry.name if word == "NAME" else word for word in words]
    result = CliRunner().invoke(cli.app, words, standalone_mode=False)
    assert isinstance(result.exception, ZooError), result.exception


@pytest.mark.usefixtures("nobody_waits")
@pytest.mark.parametrize("file", ["golden.npz", "model.int8.onnx", "model.fp32.onnx", "card.json"])
def test_a_pipe_among_a_students_files_is_not_waited_for(
    file: str, tiny: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "student"
    shutil.copytree(tiny, folder)
    (folder / file).unlink()
    os.mkfifo(folder / file)
    shown = picture(tmp_path / "red.png", (255, 0, 0))
    for more in (["--precision", "fp32"], []):
        words = ["run", str(folder), str(shown), *more]
        result = CliRunner().invoke(cli.app, words, standalone_mode=False)
        error = result.exception
        assert error is None or isinstance(error, ZooError), error
    if file == "golden.npz":
        assert isinstance(error, ZooError) and "a named pipe, not a plain file" in str(error)
    for command in ("verify", "info", "card"):
        result = CliRunner().invoke(cli.app, [command, str(folder)], standalone_mode=False)
        assert not isinstance(result.exception, TimeoutError), command


def test_a_pipe_that_the_shell_hands_over_is_read(shelf: Any) -> None:
    reading, writing = os.pipe()
    os.write(writing, shelf.registry.read_bytes())
    os.close(writing)
    result = CliRunner().invoke(cli.app, ["list", "--registry", f"/dev/fd/{reading}"])
    os.close(reading)
    assert shelf.entry.name in result.output


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_no_registry_and_no_source(device: str, shelf: Any) -> None:
    if not Path(device).exists():
        pytest.skip("no such device")
    assert "not a plain file" in told("list", "--registry", device)
    assert "neither a folder nor a plain file" in told("pull", shelf.entry.name, "--from", device)


@pytest.mark.parametrize(
    "words",
    [
        ["pull", "x", "--cache", ""],
        ["cache", "list", "--cache", ""],
        ["bundle", "x", "-o", ""],
        ["run", "x", ""],
        ["verify", "x", "--data", ""],
        ["card", "x", "--add", ""],
        ["build", "x", "--work", ""],
        ["store", "gc", "--root", ""],
        ["serve", "--root", ""],
    ],
)
def test_an_empty_path_is_wrong_usage_and_not_the_folder_one_is_in(words: list[str]) -> None:
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 2
    assert "the path is empty" in result.output
