"""zoo pull and zoo run: stdout is one answer a line, in order, whatever breaks between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import invoke, picture, shell
from typer.testing import CliRunner

from zoo import cli
from zoo.errors import InputError, NotFound


@pytest.fixture
def red(tmp_path: Path) -> Path:
    return picture(tmp_path / "red.png", (250, 5, 5))


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


def test_a_missing_student_is_found_before_pictures_are_read(shelf: Any, red: Path) -> None:
    result = CliRunner().invoke(cli.app, ["run", "nobody", str(red)])
    assert isinstance(result.exception, NotFound)


def test_a_name_of_two_lines_is_told_in_one(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    odd = ["new\nline.png", "tab\t.png", "esc\x1b[31m.png", "return\r.png", "bad\udcff.png"]
    for name in odd:
        picture(folder / name, (250, 5, 5))
    lines = shell("run", tiny, folder, "--top", "1").stdout.splitlines()
    assert len(lines) == len(odd)
    assert all(line.isprintable() for line in "".join(lines).split("\t"))
    assert any(line.startswith(f"{folder}/new\\nline.png\t") for line in lines)
    (folder / "new\nline.png").write_bytes(b"")
    done = shell("run", tiny, folder, "--top", "1", "--json")
    assert len(done.stdout.splitlines()) == len(odd) - 1
    assert sum("is empty" in line for line in done.stderr.splitlines()) == 1
