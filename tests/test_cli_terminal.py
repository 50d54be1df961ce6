"""On a terminal of any width: bars are on stderr, and stdout stays data."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import zoo

fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")
TINY = "colours-tiny.test"


@dataclass(frozen=True)
class Ended:
    """A command that was watched."""

    code: int
    stdout: str
    screen: str  # what stderr, the terminal, got


def watched(*words: str, columns: int = 80) -> Ended:
    """Run `zoo` with a terminal of that many columns as stderr."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    seen: list[bytes] = []
    reader = threading.Thread(target=_read, args=(ours, seen))
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    environment |= {"PYTHONPATH": str(Path(zoo.__file__).parent.parent), "TERM": "xterm"}
    command = [sys.executable, "-m", "zoo", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    reader.start()
    stdout, _ = process.communicate(timeout=120)
    reader.join()
    os.close(ours)
    return Ended(process.returncode, stdout.decode(), b"".join(seen).decode())


def _read(terminal: int, seen: list[bytes]) -> None:
    try:
        while part := os.read(terminal, 65536):
            seen.append(part)
    except OSError:  # the other end is closed
        pass


@pytest.mark.hub
@pytest.mark.parametrize("columns", [80, 20])
def test_all_are_published_with_a_bar(
    lab: Any, hub: Any, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("ZOO_TOKEN", hub.token)
    ended = watched("publish", "--all", "--endpoint", hub.url, columns=columns)
    assert (ended.code, "Traceback" in ended.screen) == (0, False), ended.screen
    assert "students" in ended.screen
    assert [line.split()[0] for line in ended.stdout.splitlines()] == ["NAME", TINY]


@pytest.mark.parametrize("columns", [80, 20])
def test_a_student_is_pulled_with_a_bar(
    lab: Any, tmp_path: Path, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    ended = watched("pull", TINY, columns=columns)
    assert (ended.code, "Traceback" in ended.screen) == (0, False), ended.screen
    assert TINY[:8] in ended.screen
    assert Path(ended.stdout.removesuffix("\n")).is_dir()
