"""Without a home, "~" in a recipe is one line that says what to set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from distill.errors import DistillError
from distill.files import expanded

ROOT = Path(__file__).parent.parent
NOBODY = 31999  # a user without a name and a home, as containers have
_AS_NOBODY = f"""
import os, sys
from distill.config import Data, Teacher
from distill.data.sources import open_source
from distill.errors import DistillError
from distill.teachers.onnx_file import open_onnx
from distill.teachers.teacher import Asked
from zoo.errors import NoHome
from zoo.files import expanded
os.setuid({NOBODY})
ways = [
    lambda: open_source(Data("~/photos", "CC0-1.0"), None),
    lambda: open_onnx(Teacher(onnx="~/teacher.onnx", licence="MIT"), Asked("pictures", 3)),
    lambda: expanded("~"),
]
for way in ways:
    try:
        way()
    except (DistillError, NoHome) as error:
        print(type(error).__name__, error, error.hint, sep="|")
"""


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may be another user"
)
@pytest.mark.parametrize("home", [{}, {"HOME": ""}])
def test_a_path_at_home_is_one_error(home: dict[str, str]) -> None:
    kept = {key: value for key, value in os.environ.items() if key not in ("HOME", "ZOO_DATA")}
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY],
        env=kept | {"PYTHONPATH": str(ROOT)} | home,
        capture_output=True,
        text=True,
        check=True,
    )
    told = [line.split("|") for line in done.stdout.splitlines()]
    assert [(kind, text) for kind, text, _ in told] == [
        ("DistillError", "~/photos: this user has no home directory"),
        ("DistillError", "~/teacher.onnx: this user has no home directory"),
        ("NoHome", "~: this user has no home directory"),
    ]
    assert all("set HOME" in hint for _, _, hint in told)


@pytest.mark.skipif(os.name != "posix", reason="homes by number")
def test_an_empty_home_is_the_users_own_and_not_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    monkeypatch.setenv("HOME", "")
    try:
        own = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        with pytest.raises(DistillError, match="no home"):
            expanded("~/x")
        return
    assert expanded("~/x") == Path(own) / "x"
    assert expanded("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")
    assert expanded("x/~") == Path("x/~")
