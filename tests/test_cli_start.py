"""The command line starts quickly, loads nothing heavy and explains itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command_line import invoke, shell

from zoo import cli

HEAVY = ("numpy", "onnxruntime", "huggingface_hub", "torch")


@pytest.mark.parametrize("module", ["zoo", "zoo.cli"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    done = shell(code=f"import sys, {module}; print(*[m for m in {HEAVY} if m in sys.modules])")
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("", "", 0)


def test_help_starts_quickly_and_loads_nothing_heavy() -> None:
    code = f"""
import atexit, sys
from zoo.cli import main
atexit.register(lambda: print("LOADED", *[m for m in {HEAVY} if m in sys.modules]))
main()
"""
    done = shell("--help", code=code)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "LOADED"
    assert "doctor" in done.stdout
    assert min(cpu_seconds("--help") for _ in range(3)) < 0.3


def cpu_seconds(*arguments: str) -> float:
    """Processor time of a `zoo` process: other load on the machine does not count."""
    before = os.times()
    shell(*arguments)
    after = os.times()
    spent = after.children_user - before.children_user
    return spent + after.children_system - before.children_system


def test_every_command_explains_itself() -> None:
    made = ("build", "teacher", "card")
    for command in ("list", "info", "pull", "run", "bench", "verify", *made, "doctor"):
        assert "Usage" in invoke(command, "--help")


def test_without_arguments_the_help_is_shown() -> None:
    done = shell()
    assert "Usage" in done.stdout + done.stderr


def test_click_itself_is_not_used() -> None:
    assert "import click" not in Path(cli.__file__).read_text()
