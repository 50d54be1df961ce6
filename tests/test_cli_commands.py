"""The command line: stdout is data, stderr is talk, and an error is one line and a hint."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import zoo
from zoo import cli
from zoo.card import writing
from zoo.cli import arguments, tables
from zoo.errors import InputError, IntegrityError, NotFound
from zoo.records import card as cards
from zoo.registry import local

HEAVY = ("numpy", "onnxruntime", "huggingface_hub", "torch")
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


@pytest.fixture
def red(tmp_path: Path) -> Path:
    return picture(tmp_path / "red.png", (250, 5, 5))


def picture(path: Path, color: tuple[int, int, int]) -> Path:
    Image.new("RGB", (20, 10), color).save(path)
    return path


# --- starting ------------------------------------------------------------------------------------


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
    for command in ("list", "info", "pull", "run", "bench", "verify", "build", "card", "doctor"):
        assert "Usage" in invoke(command, "--help")


def test_without_arguments_the_help_is_shown() -> None:
    done = shell()
    assert "Usage" in done.stdout + done.stderr


def test_click_itself_is_not_used() -> None:
    assert "import click" not in Path(cli.__file__).read_text()


# --- listing -------------------------------------------------------------------------------------


def test_list_shows_a_line_a_student(shelf: Any) -> None:
    head, line = invoke("list").splitlines()
    assert head.split()[:2] == ["NAME", "ACCURACY"]
    assert line.startswith(f"{shelf.entry.name}  100.00 %  made colours  1 kB")


def test_list_as_json_is_the_registry(shelf: Any) -> None:
    (row,) = json.loads(invoke("list", "--json"))
    assert row["name"] == shelf.entry.name
    assert row["files"]["model.int8.onnx"]["sha256"] == shelf.entry.files["model.int8.onnx"].sha256


def test_list_selects_by_task_and_size(shelf: Any) -> None:
    def names(*arguments: str) -> list[str]:
        return [row["name"] for row in json.loads(invoke("list", "--json", *arguments))]

    assert names("--task", "image-classification", "--max-size", "2k") == [shelf.entry.name]
    assert names("--max-size", "1134") == []
    assert names("--task", "tagging") == []


def test_list_says_on_stderr_that_nothing_matches(shelf: Any) -> None:
    result = CliRunner().invoke(cli.app, ["list", "--task", "tagging"])
    assert (result.stdout, result.stderr) == ("", "no students match\n")


@pytest.mark.parametrize(
    ("text", "size"),
    [("480", 480), ("480k", 480_000), ("1.5MB", 1_500_000), ("1MiB", 2**20), ("2 kb", 2000)],
)
def test_sizes_are_read_with_their_units(text: str, size: int) -> None:
    assert arguments.size(text) == size


def test_a_size_that_is_none_is_wrong_usage(shelf: Any) -> None:
    done = shell("list", "--max-size", "small")
    assert done.returncode == 2
    assert "is not a size" in done.stderr
    assert done.stdout == ""


def test_info_shows_revision_and_hashes(shelf: Any) -> None:
    text = invoke("info", shelf.entry.name)
    assert f"studentzoo/{shelf.entry.name}@{shelf.entry.revision}" in text
    assert all(ref.sha256 in text for ref in shelf.entry.files.values())
    assert (
        json.loads(invoke("info", shelf.entry.name, "--json"))["revision"] == shelf.entry.revision
    )


def test_names_are_completed_from_the_registry(shelf: Any) -> None:
    assert arguments.complete_name("col") == [shelf.entry.name]
    assert arguments.complete_name("zzz") == []


def test_completion_is_silent_about_a_broken_registry(shelf: Any) -> None:
    shelf.registry.write_text("nonsense")
    assert arguments.complete_name("col") == []


# --- pulling and running -------------------------------------------------------------------------


def test_pull_prints_the_folder_and_nothing_else(shelf: Any, tmp_path: Path) -> None:
    folder = Path(invoke("pull", shelf.entry.name, "--cache", tmp_path / "other").strip())
    assert folder.is_relative_to(tmp_path / "other")
    assert (folder / "model.int8.onnx").is_file()


def test_run_prints_file_probability_and_label(shelf: Any, red: Path) -> None:
    lines = [line.split("\t") for line in invoke("run", shelf.entry.name, red).splitlines()]
    assert lines[0][2] == "red"
    assert {file for file, _, _ in lines} == {str(red)}
    assert sum(float(p) for _, p, _ in lines) == pytest.approx(1, abs=1e-3)


def test_run_answers_a_folder_in_batches_and_in_order(shelf: Any, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    colors = {"a.png": (250, 0, 0), "b.png": (0, 250, 0), "below/c.jpg": (0, 0, 250)}
    for name, color in colors.items():
        picture(folder / name, color)
    (folder / "notes.txt").write_text("not a picture, and not asked")
    out = invoke("run", shelf.entry.name, folder, "--top", "1", "--batch", "2", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [Path(row["file"]).name for row in rows] == ["a.png", "b.png", "c.jpg"]
    assert [row["answers"][0]["label"] for row in rows] == ["red", "green", "blue"]


def test_run_takes_a_folder_or_a_file_in_place_of_a_name(tiny: Path, red: Path) -> None:
    for student in (tiny, tiny / "model.fp32.onnx"):
        assert invoke("run", student, red, "--top", "1").endswith("\tred\n")


def test_run_goes_on_after_a_broken_picture(shelf: Any, red: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(red.read_bytes()[:40])
    done = shell("run", shelf.entry.name, red, broken, red, "--top", "1")
    assert done.returncode == 1
    assert [line.split("\t")[2] for line in done.stdout.splitlines()] == ["red", "red"]
    assert "broken.png" in done.stderr
    assert "1 of 3 pictures could not be read" in done.stderr
    assert done.stderr.count("hint:") <= 1


def test_a_batch_gives_its_hint_once_at_the_end(shelf: Any, red: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no picture")
    result = CliRunner().invoke(
        cli.app, ["run", shelf.entry.name, *map(str, (red, tmp_path / "a.png", tmp_path / "b.png"))]
    )
    assert isinstance(result.exception, InputError)
    assert result.exception.hint.count("read are:") == 1
    assert "hint:" not in result.stderr


def test_one_broken_picture_is_one_error(shelf: Any, tmp_path: Path) -> None:
    done = shell("run", shelf.entry.name, tmp_path / "nothing.png")
    assert done.returncode == 1
    assert done.stderr.count("error:") == 1


def test_an_empty_folder_is_an_error(shelf: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = shell("run", shelf.entry.name, tmp_path / "empty")
    assert done.returncode == 1
    assert "no pictures in it" in done.stderr


# --- measuring -----------------------------------------------------------------------------------


def test_bench_json_is_what_a_card_takes(shelf: Any, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(invoke("bench", shelf.entry.name, "--json", "--rounds", "2"))
    bench = cards.read_bench(path)
    assert bench.name == shelf.entry.name
    assert {row.precision for row in bench.rows} == {"fp32", "int8"}
    merged = cards.merge(cards.read(shelf.store.folder(shelf.entry.name)), bench)
    assert set(bench.rows) <= set(merged.latency)


def test_bench_prints_a_line_a_file_with_ratio_and_control(shelf: Any) -> None:
    head, *lines = invoke("bench", shelf.entry.name, "--rounds", "2").splitlines()
    assert "OVER FP32" in head
    assert "CONTROL" in head
    assert {line.split()[0] for line in lines} == {"fp32", "int8"}


def test_bench_compare_says_what_the_card_has_not(shelf: Any) -> None:
    text = invoke("bench", shelf.entry.name, "--compare", "--rounds", "2", "--batch", "3")
    assert "not on the card" in text


def test_verify_checks_golden_outputs(shelf: Any) -> None:
    text = invoke("verify", shelf.entry.name)
    assert "golden outputs, int8" in text
    assert "DIFFERENT" not in text
    found = json.loads(invoke("verify", shelf.entry.name, "--json"))
    assert set(found) == {"name", "sha256_ok", "golden"}
    assert found["sha256_ok"] is found["golden"]["fp32"]["ok"] is True


def test_verify_fails_where_the_answers_differ(shelf: Any, tmp_path: Path, tiny: Path) -> None:
    with np.load(tiny / "golden.npz") as arrays:
        np.savez(tiny / "golden.npz", **{**arrays, "int8": arrays["int8"] + 100})
    publish(shelf, tiny)
    runner = CliRunner().invoke(cli.app, ["verify", shelf.entry.name])
    assert isinstance(runner.exception, IntegrityError)
    assert "DIFFERENT" in runner.stdout


def test_verify_on_other_pictures_says_so(shelf: Any, tiny: Path, tmp_path: Path) -> None:
    for label, color in {"red": (250, 5, 5), "green": (5, 250, 5), "blue": (5, 5, 250)}.items():
        for split in ("train", "test"):
            folder = tmp_path / "data/colours" / split / label
            folder.mkdir(parents=True)
            picture(folder / "0.png", color)
    recipe = {
        "name": shelf.entry.name,
        "summary": "Tells colours apart.",
        "licence": "CC0-1.0",
        "data": {"source": "colours", "licence": "CC0-1.0", "image_size": 8},
        "student": {"architecture": "separable"},
        "train": {"epochs": 1},
        "loss": {"name": "ce"},
    }
    run = {"recipe": recipe, "data": {"test": "0" * 64}}
    (tiny / "run.json").write_text(json.dumps(run))
    publish(shelf, tiny)
    arguments = ["verify", shelf.entry.name, "--data", str(tmp_path / "data")]
    text = CliRunner().invoke(cli.app, arguments)
    assert isinstance(text.exception, IntegrityError)
    assert "holds other test data" in str(text.exception)
    (line,) = (line for line in text.stdout.splitlines() if line.startswith("test data"))
    assert line.endswith("DIFFERENT")
    as_json = CliRunner().invoke(cli.app, [*arguments, "--json"])
    assert json.loads(as_json.stdout)["same_data"] is False


def publish(shelf: Any, folder: Path) -> None:
    """Put `folder` in the place of the shelf's student, with its row."""
    from zoo.publish.shelf import entry

    revision = shelf.store.put(shelf.entry.name, folder)
    row = entry(cards.read(folder), folder, revision, shelf.entry.repo)
    local.write([row], shelf.registry)


def test_a_picture_set_decides_whether_accuracy_holds() -> None:
    from zoo.measure.remeasure import Again
    from zoo.records.measures import Score
    from zoo.students.golden import Verdict

    card = Score("top-1 accuracy", "Digits", "test", 100, 0.9, 0.85, 0.95)
    near, far = (Score("top-1 accuracy", "Digits", "test", 100, v, 0, 1) for v in (0.86, 0.8))
    rows = list(
        tables.verdicts(
            {"int8": Verdict(True, 0.01, 1.0, 0.1)},
            {"int8": Again(card, near, True), "fp32": Again(card, far, True)},
        )
    )
    assert [row[-1] for row in rows] == ["ok", "ok", "ok", "ok", "DIFFERENT"]


# --- cards ---------------------------------------------------------------------------------------


def test_card_prints_the_page_as_markdown_to_a_pipe(shelf: Any) -> None:
    page = invoke("card", shelf.entry.name)
    assert page.startswith("---\nlicense:")
    assert f"# {shelf.entry.name}" in page


def test_card_of_the_second_distribution_is_read_where_it_is(shelf: Any, students: Path) -> None:
    assert f"# {shelf.entry.name}" in invoke("card", shelf.entry.name)
    assert not shelf.cache.exists()


def test_card_add_publishes_the_card_with_the_rows(shelf: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = tmp_path / "rows.json"
    rows.write_text(invoke("bench", shelf.entry.name, "--json", "--rounds", "2", "--batch", "4"))
    (tmp_path / "run.json").write_text("{}")
    said = invoke("card", shelf.entry.name, "--add", rows).strip()
    entry = local.find(shelf.entry.name)
    assert said == f"{entry.name}@{entry.revision}"
    assert entry.revision != shelf.entry.revision
    folder = shelf.store.folder(entry.name)
    assert writing.drift(folder) == []
    assert any(row.batch == 4 for row in cards.read(folder).latency)
    assert invoke("pull", shelf.entry.name).strip().endswith(entry.revision)


def test_card_add_refuses_what_is_no_bench_document(shelf: Any, tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text("[]")
    done = shell("card", shelf.entry.name, "--add", rows)
    assert done.returncode == 1
    assert "rows.json" in done.stderr
    assert shelf.store.revision(shelf.entry.name) == shelf.entry.revision


# --- errors --------------------------------------------------------------------------------------


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


def test_a_missing_student_is_found_before_pictures_are_read(shelf: Any, red: Path) -> None:
    result = CliRunner().invoke(cli.app, ["run", "nobody", str(red)])
    assert isinstance(result.exception, NotFound)


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
