"""An error is one line and a hint, wrong usage exits 2, and a bug keeps its traceback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT, shell


def test_an_error_is_one_line_and_a_hint(shelf: Any) -> None:
    done = shell("pull", "colours-tini.test")
    assert done.returncode == 1
    assert done.stdout == ""
    error, hint = done.stderr.splitlines()
    assert error == 'error: no student is called "colours-tini.test"'
    assert hint == f'hint: did you mean "{shelf.entry.name}"?'


def test_wrong_usage_exits_2(shelf: Any) -> None:
    assert shell("pull").returncode == 2
    assert shell("run", shelf.entry.name).returncode == 2
    assert shell("bench", shelf.entry.name, "--rounds", "0").returncode == 2
    assert shell("nonsense").returncode == 2


def test_a_stage_error_is_explained_alike() -> None:
    code = """
from distill.errors import DistillError
from zoo import cli
@cli.app.command()
def break_it():
    raise DistillError("the loss is nan", "lower train.learning_rate")
cli.main()
"""
    done = shell("break-it", code=code)
    assert done.returncode == 1
    assert done.stderr == "error: the loss is nan\nhint: lower train.learning_rate\n"


def test_a_bug_keeps_its_traceback() -> None:
    code = """
from zoo import cli
@cli.app.command()
def break_it():
    raise IndexError("a bug")
cli.main()
"""
    done = shell("break-it", code=code)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "IndexError: a bug" in done.stderr


def test_our_warnings_are_a_line_for_people() -> None:
    code = """
import warnings
from zoo import cli
from zoo.errors import ZooWarning
@cli.app.command()
def warn():
    warnings.warn("fp32 is used", ZooWarning)
cli.main()
"""
    assert shell("warn", code=code).stderr == "warning: fp32 is used\n"


def test_interrupting_exits_130_without_a_traceback() -> None:
    # a terminal's child hears Ctrl-C; a child of a background job is started deaf to it
    code = """
import signal, time
from zoo import cli
signal.signal(signal.SIGINT, signal.default_int_handler)
@cli.app.command()
def wait():
    print("ready", flush=True)
    time.sleep(30)
cli.main()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, "wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in said


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
def test_a_reader_that_goes_away_is_no_error(shelf: Any) -> None:
    command = f'"{sys.executable}" -m zoo list --json | true'
    done = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stderr == ""


def test_building_without_the_extra_says_which_one(tmp_path: Path) -> None:
    code = """
import sys
for name in ("torch", "onnx", "matplotlib", "sklearn", "onnxscript"):
    sys.modules[name] = None
from zoo.cli import main
main()
"""
    recipe = tmp_path / "x.yaml"
    recipe.write_text(
        "name: x\nsummary: x\nlicence: MIT\ndata: {source: digits, licence: CC-BY-4.0}\n"
        "student: {architecture: shufflenet-v2}\ntrain: {epochs: 1}\nloss: {name: ce}\n"
    )
    done = shell("build", recipe, "--work", tmp_path / "runs", code=code)
    assert done.returncode == 1
    assert "pip install 'studentzoo[train]'" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
