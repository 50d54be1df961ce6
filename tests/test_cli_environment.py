"""The environment's edges: no home, no name, closed streams, a narrow screen, an odd encoding."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT, picture, shell

LANGID, PICTURES = "langid75-ngram-small.lingua", "cifar10-separable-small.kd"
NOBODY = 31999  # a user without a name and a home, as containers have
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may be another user"
)
with_server = pytest.mark.skipif(not find_spec("starlette"), reason="needs the extra: serve")
OURS = ("HOME", "ZOO_", "HF_", "XDG_", "TRANSFORMERS_")


def environment(**values: str) -> dict[str, str]:
    """This process's, without what tells where our things are."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
    return kept | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "HF_HUB_OFFLINE": "1"} | values


def run(*words: object, env: dict[str, str] | None = None, **given: Any) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "zoo", *map(str, words)],
        **{"capture_output": True, "text": True, "timeout": 60, **given},
        env=environment(**(env or {})),
        check=False,
    )


# All that a command imports is imported before: the interpreter may be out of reach afterwards.
_AS_NOBODY = f"""
import contextlib, os, sys, tempfile
from typer.testing import CliRunner
import zoo.cli
with contextlib.suppress(ImportError):
    import zoo.serve.run
with tempfile.TemporaryDirectory() as place:
    for words in ("run {LANGID} --text x", "cache prune", "token list", "doctor"):
        CliRunner().invoke(zoo.cli.app, words.split(), env=dict(ZOO_CACHE=place, ZOO_ROOT=place))
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
if not os.access(zoo.__file__, os.R_OK):
    sys.exit(77)
zoo.cli.main()
"""


def run_as_nobody(*words: object, env: dict[str, str] | None = None) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(**(env or {})),
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("the package is out of reach for other users")
    return done


def without_library(stderr: str) -> list[str]:
    """What we have said: onnxruntime has lines of its own where there is no home."""
    return [line for line in stderr.splitlines() if "onnxruntime" not in line]


# --- no home -------------------------------------------------------------------------------------

HOMES = {
    "none": {},
    "empty": {"HOME": ""},
    "not there": {"HOME": "/nonexistent"},
}


@as_root
@pytest.mark.parametrize("home", HOMES)
def test_without_a_home_a_student_of_the_package_runs(home: str, tmp_path: Path) -> None:
    done = run_as_nobody("run", LANGID, "--text", "guten Morgen", env=HOMES[home])
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\tguten Morgen\n")
    (line,) = without_library(done.stderr)
    assert line.startswith("warning: ")
    assert line.endswith(f"{LANGID} is used")


@as_root
@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["cache", "list"], "ZOO_CACHE"),
        (["cache", "prune"], "ZOO_CACHE"),
        (["pull", PICTURES, "--from", "~/x"], "HOME"),
        (["token", "list"], "--root"),
        pytest.param(["serve", "--port", "0"], "--root", marks=with_server),
    ],
)
def test_without_a_home_one_line_names_what_to_set(words: list[str], names: str) -> None:
    done = run_as_nobody(*words)
    assert (done.returncode, done.stdout) == (1, "")
    error, hint = done.stderr.splitlines()
    assert "no home directory" in error
    assert names in hint


@as_root
def test_without_a_home_doctor_says_so_and_all_else() -> None:
    done = run_as_nobody("doctor", "--json")
    assert done.returncode == 0, done.stderr
    assert "no home directory" in json.loads(done.stdout)["cache"]["folder"]


@as_root
def test_a_cache_that_is_named_is_enough() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        done = run_as_nobody("pull", PICTURES, env={"ZOO_CACHE": f"{folder}/cache"})
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{folder}/cache/models--")


def test_empty_variables_are_as_if_not_set(tmp_path: Path) -> None:
    names = "ZOO_CACHE ZOO_REGISTRY ZOO_STORE ZOO_MIRRORS ZOO_ROOT ZOO_TOKEN HF_ENDPOINT HF_HOME"
    more = "HF_HUB_CACHE HF_TOKEN HF_TOKEN_PATH XDG_CACHE_HOME XDG_DATA_HOME SSL_CERT_FILE"
    empty = dict.fromkeys([*names.split(), *more.split()], "")
    done = run("pull", PICTURES, env={"HOME": str(tmp_path), **empty}, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{tmp_path}/.cache/huggingface/hub/models--")
    assert [path.name for path in tmp_path.iterdir()] == [".cache"]


# --- streams -------------------------------------------------------------------------------------

ENCODINGS = ["ascii:strict", "cp1252", "utf-16"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_any_encoding_of_the_terminal_is_written_to(encoding: str, tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "LC_ALL": "C", "PYTHONIOENCODING": encoding}
    text = "où Žižek 日本 😀"
    done = run("info", f"é日{text}", env=env, text=False)
    assert done.returncode == 1, done.stderr
    assert b"Traceback" not in done.stderr
    done = run("run", LANGID, "--text", text, "--json", env=env, text=False)
    name = encoding.partition(":")[0]
    said = done.stdout.decode("utf-8" if name == "ascii" else name)
    assert json.loads(said)["text"] == text


@pytest.fixture(params=[">&-", "<&- >&- 2>&-"])
def closed(request: Any) -> str:
    return str(request.param)


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
def test_closed_streams_are_no_error_and_nothing_else_is_written_to(
    closed: str, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    env = environment(HOME=str(tmp_path), ZOO_CACHE=str(cache))
    for words in (f"pull {PICTURES}", f"run {LANGID} --text hallo"):
        command = f'"{sys.executable}" -m zoo {words} {closed}'
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=env)
        assert done.returncode == 0, (words, done.stderr)
        assert "Traceback" not in done.stderr
    assert run("cache", "verify", env={"HOME": str(tmp_path), "ZOO_CACHE": str(cache)}).stdout == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("word", ["list", "--version", "-h"])
def test_a_full_disk_under_the_output_is_one_line(word: str, unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        env = environment(PYTHONUNBUFFERED=unbuffered)
        command = [sys.executable, "-m", "zoo", word]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=env, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: the output (or a file) cannot be written: No space left on device"
    ]


@pytest.fixture
def screen() -> Iterator[tuple[int, int]]:
    pytest.importorskip("termios")
    ours, theirs = os.openpty()
    yield ours, theirs
    for end in (ours, theirs):
        os.close(end)


@pytest.mark.parametrize("columns", ["0", "1", "nonsense"])
def test_a_terminal_of_any_width_is_written_to(
    columns: str, screen: tuple[int, int], tmp_path: Path
) -> None:
    import fcntl
    import termios

    width = int(columns) if columns in ("0", "1") else 80
    fcntl.ioctl(screen[1], termios.TIOCSWINSZ, struct.pack("HHHH", 0, width, 0, 0))
    env = {"HOME": str(tmp_path), "TERM": "xterm", "COLUMNS": columns}
    ends = {"capture_output": False, "stdout": subprocess.PIPE, "stderr": screen[1]}
    for words in (["pull", PICTURES], ["list"] if columns == "1" else ["--help"]):
        done = run(*words, env=env, **ends)
        assert done.returncode == 0, words
        assert done.stdout


def test_a_name_in_bytes_that_are_no_text_is_told(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9\x1b[31m.png"
    picture(tmp_path / "x.png", (255, 0, 0)).rename(os.fsdecode(path))
    env = {"HOME": str(tmp_path)}
    done = run("run", PICTURES, os.fsdecode(path), env=env)
    assert done.returncode == 0, done.stderr
    assert r"caf\udce9\u001b[31m.png" in done.stdout
    done = run("run", PICTURES, os.fsdecode(path) + "x", env=env)
    assert (done.returncode, "\x1b" in done.stderr) == (1, False)
    assert "Traceback" not in shell("info", os.fsdecode(b"\xff\x1b")).stderr
