"""Long work that ends before its time: one line that says what, and how to go on."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from colours_lab import RECIPE, ROOT, enter, make, make_lab

from distill.errors import DistillError
from zoo.chain.ends import Told, full_disk
from zoo.errors import Stopped, StoreError


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    enter(monkeypatch, make_lab(tmp_path / "lab"))
    return tmp_path / "lab"


def broken(body: str) -> DistillError:
    """What a build says whose teacher has that body."""
    Path("oracle.py").write_text(body)
    with pytest.raises(DistillError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.usefixtures("lab")
def test_what_a_teacher_raises_is_told_with_its_own_line() -> None:
    error = broken(
        "def answer(images):\n    return helper(images)\n\ndef helper(images):\n"
        "    raise KeyError('colour\\nof')\n"
    )
    assert "the teacher oracle:answer fails: KeyError: " in str(error)
    assert str(error).endswith("oracle.py, line 5)")
    assert "goes on" in error.hint


@pytest.mark.usefixtures("lab")
def test_what_a_library_raises_is_told_with_the_line_that_called_it() -> None:
    error = broken("import json\ndef answer(images):\n    return json.loads('{')\n")
    assert "JSONDecodeError" in str(error) and "oracle.py, line 3" in str(error)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def answer(images)\n    pass\n", "SyntaxError"),
        ("x = 1 / 0\n", "ZeroDivisionError: division by zero"),
        ("raise ValueError\n", "ValueError"),
        ("import nothing_of_that_name\n", "cannot be imported"),
        ("open('w.pt')\n", "FileNotFoundError"),
    ],
)
@pytest.mark.usefixtures("lab")
def test_a_module_that_cannot_be_loaded_is_one_error(body: str, said: str) -> None:
    error = broken(body)
    assert said in str(error) and str(error).startswith("student.yaml:5: teacher.callable: ")
    if "nothing" not in body:
        assert "oracle.py, line 1" in str(error)


# --- no room -------------------------------------------------------------------------------------


def test_a_full_disk_is_found_under_what_it_became() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "labels.npz")
    for raised in (full, _caused(full), _while(full)):
        assert full_disk(raised) is full
    assert full_disk(OSError(errno.EACCES, "no")) is None and full_disk(None) is None


def _caused(full: OSError) -> Exception:
    try:
        raise DistillError("cannot be written") from full
    except DistillError as error:
        return error


def _while(full: OSError) -> Exception:
    try:
        try:
            raise full
        finally:
            raise ValueError("Can't close the ZIP file")
    except ValueError as error:
        return error


def test_no_room_is_one_error_that_says_that_it_goes_on() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "student.pt")
    said = r"toy: training, seed 0: student\.pt cannot be"
    with pytest.raises(StoreError, match=said) as caught, Told("toy", "training, seed 0"):
        raise _caused(full)
    assert "make room" in caught.value.hint and "goes on" in caught.value.hint
    with pytest.raises(KeyError), Told("toy", "training"):
        raise KeyError


SMALL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.argv = ["zoo", "build", "student.yaml", "--work", "runs", "--store", "store", *sys.argv[2:]]
from zoo.cli import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
@pytest.mark.usefixtures("lab")
def test_a_build_that_may_write_no_more_ends_in_one_line() -> None:
    """What the first stage found is larger."""
    done = subprocess.run(
        [sys.executable, "-c", SMALL, "100", "--until", "label"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "oracle:answer is tried on" in errors[0]
    assert "hint: make room" in done.stderr


# --- Ctrl-C --------------------------------------------------------------------------------------


def test_ctrl_c_says_what_was_being_done() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, Told("toy", "training, seed 0"):
        raise KeyboardInterrupt
    assert isinstance(caught.value, Stopped) and str(caught.value) == "toy: training, seed 0"


SLOW = """\
import time
import numpy as np

def answer(images):
    if len(images) == 36 and (seen.append(1) or len(seen) > 1):
        print("asked", flush=True)
        time.sleep(600)
    return images.astype(np.float64).mean((1, 2))[:, ::-1] / 20

seen = []
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of a terminal")
@pytest.mark.usefixtures("lab")
def test_ctrl_c_at_a_build_says_how_to_go_on() -> None:
    Path("oracle.py").write_text(SLOW)
    Path("student.yaml").write_text(RECIPE)
    command = ["build", "student.yaml", "--work", "runs", "--until", "label"]
    code = (  # a terminal's: what runs in the background ignores it
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"sys.argv = ['zoo', *{command}]; from zoo.cli import main; main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as build:
        assert build.stdout is not None and build.stdout.readline() == "asked\n"
        build.send_signal(signal.SIGINT)
        _, told = build.communicate()
    assert build.returncode == 130 and "Traceback" not in told
    assert "stopped: colours-separable-small.kd: oracle:answer labels 2 views" in told
    assert "go on with: zoo build student.yaml --work runs --until label" in told
