"""What runs in CI ends as its stages did."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / ".ci" / "run"
JOB = "sleep 0.1 & job=$!"


@pytest.mark.parametrize(
    ("stages", "code"),
    [
        (f"{JOB}; wait $job; true", 0),  # no job is left to be ended
        (f"{JOB}; wait $job; exit 3", 3),
        ("sleep 60 & true", 0),
        ("sleep 60 & false", 1),
    ],
)
def test_the_code_is_that_of_the_stages_and_the_folder_is_gone(
    tmp_path: Path, stages: str, code: int
) -> None:
    (trap,) = (line for line in SCRIPT.read_text().splitlines() if line.startswith("trap "))
    work = tmp_path / "work"
    work.mkdir()
    text = f'set -euo pipefail\nwork="{work}"\n{trap}\n{stages}\n'
    done = subprocess.run(["bash", "-c", text], check=False, timeout=50)
    assert done.returncode == code
    assert not work.exists()
