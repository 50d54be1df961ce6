"""zoo list and zoo info of one registry, sizes, and the names that a shell completes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from command_line import invoke, shell
from typer.testing import CliRunner

from zoo import cli
from zoo.cli import arguments


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
