"""run.json: read back as it was written, and honest about the code and the versions."""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from zoo.errors import CardError
from zoo.records import reader, run
from zoo.records.labeller import Labeller
from zoo.records.run import KeptLabels, Run, TeacherRun, Training
from zoo.records.text import parse_json

KEPT = KeptLabels("a" * 64, 8, 10, 12345, 40, 1.0, 0.0039)
ROW = {"epoch": 1, "loss": 0.5, "validation_accuracy": 0.9}
TRAINED = Training(
    weights_sha256="b" * 64,
    commit="c" * 40,
    device="cpu: a processor",
    versions={"python": "3.13.1", "torch": "2.13.0"},
    seconds=12.5,
    curves=(ROW, {**ROW, "epoch": 2}),
    labels=KEPT,
)
CALLED = TeacherRun("oracle:answer", "à la main", "0" * 64, "CC0-1.0", None, None, None)
BUILT = replace(CALLED, recipe={"name": "wide"}, recipe_sha256="1" * 64, training=TRAINED)
QUICK = replace(BUILT, labeller=Labeller("int8", "2" * 64, 4096, "minmax", 1.0, 0.6, 0.5, 0.7, ""))


def made(**changes: object) -> Run:
    facts = {
        "name": "colours-tiny.test",
        "recipe": {"name": "colours-tiny.test", "train": {"epochs": 2, "seeds": [0, 1]}},
        "recipe_sha256": "d" * 64,
        "data": {"train": "e" * 64, "test": "f" * 64},
        "teacher": None,
        "versions": run.versions(),
        "parity": {"max_difference": 1e-6, "tolerance": 1e-3},
        "seeds": {"0": TRAINED, "1": replace(TRAINED, labels=None, curves=(ROW,))},
    }
    return Run(format=1, **(facts | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "written", [made(), *(made(teacher=one) for one in (CALLED, BUILT, QUICK)), made(seeds={})]
)
def test_a_run_is_read_back_as_it_was_written(written: Run) -> None:
    text = run.to_json(written)
    document = parse_json(text, run.FILE, CardError)
    assert reader.read(Run, document, CardError) == written
    assert text.endswith("}\n")


def test_a_run_from_before_there_was_a_choice_of_file_is_read() -> None:
    told = json.loads(run.to_json(made(teacher=BUILT)))
    assert told["teacher"].pop("labeller") is None
    document = parse_json(json.dumps(told), run.FILE, CardError)
    assert reader.read(Run, document, CardError) == made(teacher=BUILT)


def test_a_run_with_a_key_of_another_is_refused() -> None:
    text = run.to_json(made()).replace('"parity"', '"party"')
    with pytest.raises(CardError, match="party"):
        reader.read(Run, parse_json(text, run.FILE, CardError), CardError)


def test_every_seed_has_its_curves() -> None:
    told = json.loads(run.to_json(made()))
    assert told["format"] == 1
    curves = {seed: training["curves"] for seed, training in told["seeds"].items()}
    assert curves == {"0": [ROW, {**ROW, "epoch": 2}], "1": [ROW]}


def test_versions_name_the_system_and_what_decides_numbers() -> None:
    found = run.versions()
    assert found["python"] == platform.python_version()
    assert found["system"]
    assert {"numpy", "onnxruntime"} <= found.keys()
    assert all(re.match(r"\d", found[name]) for name in ("numpy", "onnxruntime"))


# --- commit --------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the module takes for its own checkout, not under git yet."""
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "run.py").write_text("1\n")
    monkeypatch.setattr(run, "PACKAGE", tmp_path / "zoo")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def git(root: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    told = subprocess.run(
        ["git", "-C", str(root), *who, *words], capture_output=True, text=True, check=True
    )
    return told.stdout.strip()


def test_outside_git_there_is_no_commit(checkout: Path) -> None:
    assert run.commit() == ""


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_that_of_the_checkout_and_says_when_files_differ(checkout: Path) -> None:
    git(checkout, "init", "-q")
    assert run.commit() == ""  # nothing committed yet
    git(checkout, "add", "zoo")
    git(checkout, "commit", "-q", "-m", "first")
    head = git(checkout, "rev-parse", "HEAD")
    assert run.commit() == head
    (checkout / "runs").mkdir()
    (checkout / "runs" / "new").write_text("not tracked")
    assert run.commit() == head
    (checkout / "zoo" / "run.py").write_text("2\n")
    assert run.commit() == head + "+changes"


def test_without_a_git_program_there_is_no_commit(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / ".git").mkdir()
    monkeypatch.setenv("PATH", str(checkout))
    assert run.commit() == ""
