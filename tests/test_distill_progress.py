"""What a watcher sees: plain lines in a file, a bar on a terminal, nothing on stdout."""

from __future__ import annotations

import io
import re

import pytest

from distill import progress as module
from distill.progress import Progress, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """time.monotonic under our hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def test_a_line_tells_what_is_done_how_fast_and_what_is_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress("train", 2000) as bar:
        clock.now += 10
        bar.update(500, "loss 1.2")
    told = capsys.readouterr()
    assert told.err == "train: 500/2,000 loss 1.2 50 a second, 0:30 left\n"
    assert told.out == ""


def test_lines_pause_in_between_and_the_last_one_always_comes(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress("label", 100) as bar:
        for _ in range(100):
            clock.now += 1
            bar.update(1)
    counts = [int(n) for n in re.findall(r"^label: (\d+)/100", capsys.readouterr().err, re.M)]
    assert counts == [1, 21, 41, 61, 81, 100]


def test_work_that_goes_on_is_not_counted_as_pace(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress("train", 1000, done=900) as bar:
        clock.now += 10
        bar.update(50)
    assert capsys.readouterr().err == "train: 950/1,000  5 a second, 0:10 left\n"


@pytest.mark.parametrize(
    ("left", "shown"), [(59.7, "1:00"), (0.2, "0:00"), (61, "1:01"), (3599.6, "60:00")]
)
def test_seconds_never_reach_sixty(
    clock: Clock, capsys: pytest.CaptureFixture[str], left: float, shown: str
) -> None:
    bar = Progress("train", 2)
    clock.now += left
    bar.update(1)
    assert capsys.readouterr().err.endswith(f", {shown} left\n")


def test_a_terminal_gets_a_bar_that_is_closed_when_the_work_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with pytest.raises(KeyError), progress("train", 10) as bar:
        bar.update(4, "loss 0.5")
        raise KeyError
    shown = terminal.getvalue()
    assert "train" in shown and "loss 0.5" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")  # the cursor is back
    assert capsys.readouterr().out == ""
