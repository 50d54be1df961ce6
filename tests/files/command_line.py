"""The command line as tests call it: within this process, or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from PIL import Image
from typer.testing import CliRunner

import zoo
from zoo import cli

ROOT = Path(zoo.__file__).parent.parent  # of the code under test: a checkout or a wheel


def invoke(*arguments: object) -> str:
    """stdout of a command that succeeds."""
    result = CliRunner().invoke(cli.app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def shell(
    *arguments: object, code: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """`zoo` (or Python `code`) in a process of its own."""
    start = ["-c", code] if code else ["-m", "zoo"]
    return subprocess.run(
        [sys.executable, *start, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **environment},
    )


def picture(path: Path, color: tuple[int, int, int]) -> Path:
    Image.new("RGB", (20, 10), color).save(path)
    return path
