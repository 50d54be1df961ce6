"""zoo list, zoo search, zoo info: in one registry or several, wherever they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

import zoo
from zoo import cli
from zoo.cli import arguments
from zoo.errors import RegistryError
from zoo.records import entry as records_entry
from zoo.records.entry import FileRef
from zoo.registry import local

ROOT = Path(zoo.__file__).parent.parent  # of the code under test: a checkout or a wheel


def invoke(*arguments: object) -> str:
    """stdout of a command that succeeds."""
    result = CliRunner().invoke(cli.app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def names(*arguments: object) -> list[str]:
    return [row["name"] for row in json.loads(invoke(*arguments, "--json"))]


@pytest.fixture
def lab(shelf: Any, site: Any) -> Any:
    """A web server with the registry of another lab: two students of its own."""
    shapes = replace(shelf.entry, name="shapes-tiny.test", summary="Tells Shapes apart.")
    words = replace(shelf.entry, name="words-tiny.test", summary="", task="text-classification")
    site.has("/registry.yaml", records_entry.render([shapes, words]))
    return site


# --- listing -------------------------------------------------------------------------------------


def test_another_registry_is_listed_like_ours(shelf: Any, lab: Any) -> None:
    ours = invoke("list").splitlines()
    theirs = invoke("list", "--registry", lab.url).splitlines()
    assert " ".join(theirs[0].split()) == "NAME ACCURACY DATA SIZE MS SUMMARY"
    assert theirs[0].split() == ours[0].split()
    assert theirs[1].startswith("shapes-tiny.test  100.00 %  made colours  1 kB")
    assert len(theirs) == 3


def test_two_registries_are_listed_together_with_their_origins(shelf: Any, lab: Any) -> None:
    both = ["--registry", shelf.registry, "--registry", lab.url]
    head, first, second, third = invoke("list", *both).splitlines()
    at = head.index("ORIGIN")
    assert first.startswith(shelf.entry.name)
    assert first[at:].startswith(f"{shelf.registry}  Tells colours apart.")
    assert second[at:].split("  ")[0] == third[at:].rstrip() == lab.url
    rows = json.loads(invoke("list", *both, "--json"))
    assert [row["origin"] for row in rows] == [str(shelf.registry), lab.url, lab.url]
    assert [row["endpoint"] for row in rows] == ["", lab.url, lab.url]


def test_several_registries_may_stand_in_the_environment(
    shelf: Any, lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_REGISTRY", f"{shelf.registry}, {lab.url}")
    assert names("list") == [shelf.entry.name, "shapes-tiny.test", "words-tiny.test"]
    assert "ORIGIN" in invoke("list")
    assert names("list", "--registry", lab.url) == ["shapes-tiny.test", "words-tiny.test"]


def test_filters_work_across_registries(shelf: Any, lab: Any) -> None:
    both = ("--registry", f"{shelf.registry},{lab.url}")
    assert names("list", *both, "--task", "text-classification") == ["words-tiny.test"]
    assert names("list", *both, "--max-size", "1") == []
    assert len(names("list", *both, "--max-size", "1MB")) == 3


def test_what_a_stranger_wrote_cannot_command_the_terminal(shelf: Any, site: Any) -> None:
    row = replace(shelf.entry, summary="red \x1b[31m \u202e\nand a line more")
    text = records_entry.render([replace(row, summary="SUMMARY")])
    site.has("/registry.yaml", text.replace('"SUMMARY"', json.dumps(row.summary)))
    for command in (["list"], ["info", row.name]):
        shown = invoke(*command, "--registry", site.url)
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert sum("red" in line for line in shown.splitlines()) == 1
        assert "line more" in shown


# --- searching -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["tiny"], ["colours-tiny.test", "shapes-tiny.test", "words-tiny.test"]),
        (["SHAPES", "apart"], ["shapes-tiny.test"]),
        (["text-class"], ["words-tiny.test"]),
        (["apart", "image"], ["colours-tiny.test", "shapes-tiny.test"]),
        (["shapes", "colours"], []),
        (["made"], []),  # of the data set's name
    ],
)
def test_a_search_finds_what_all_words_fit(
    words: list[str], found: list[str], shelf: Any, lab: Any
) -> None:
    both = ("--registry", shelf.registry, "--registry", lab.url)
    assert names("search", *words, *both) == found


def test_a_search_takes_the_filters_of_the_list(shelf: Any, lab: Any) -> None:
    task = ("--task", "image-classification")
    assert names("search", "tiny", *task, "--registry", lab.url) == ["shapes-tiny.test"]


def test_a_search_without_words_is_wrong_usage_and_one_without_finds_says_so(shelf: Any) -> None:
    assert CliRunner().invoke(cli.app, ["search"]).exit_code == 2
    result = CliRunner().invoke(cli.app, ["search", "zebra"])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no students match\n")


# --- one student ---------------------------------------------------------------------------------


def test_info_says_which_registry_and_which_hub(shelf: Any, lab: Any) -> None:
    lines = invoke("info", "shapes-tiny.test", "--registry", lab.url).splitlines()
    assert f"registry         {lab.url}" in lines
    where = f"{lab.url}/{shelf.entry.repo}@{shelf.entry.revision}"
    assert any(line.split() == ["repository", where] for line in lines)
    row = json.loads(invoke("info", shelf.entry.name, "--json"))
    assert (row["origin"], row["endpoint"]) == (str(shelf.registry), "")


def test_a_name_in_two_registries_is_an_error_until_one_is_named(
    shelf: Any, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.has("/registry.yaml", records_entry.render([shelf.entry]))
    other = {**shelf.entry.files, "card.json": FileRef("0" * 64, 1)}
    local.write([replace(shelf.entry, files=other)], shelf.registry)
    monkeypatch.setenv("ZOO_REGISTRY", f"{shelf.registry},{site.url}")
    name = shelf.entry.name
    for command in ("info", "pull", "verify", "bench", "run"):
        result = CliRunner().invoke(cli.app, [command, name])
        assert isinstance(result.exception, RegistryError)
        assert f"several registries: {shelf.registry}, {site.url}" in str(result.exception)
        assert "--registry" in result.exception.hint
    assert name in invoke("info", name, "--registry", site.url)
    assert Path(invoke("pull", name, "--registry", site.url).strip()).is_dir()


# --- using what was found ------------------------------------------------------------------------


@pytest.fixture
def lab_hub(shelf: Any, site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A hub with the tiny student, its registry, and nothing of it on this machine."""
    entry = replace(shelf.entry, repo="lab/colours")
    site.has("/registry.yaml", records_entry.render([entry]))
    for file in entry.files:
        path = f"/lab/colours/resolve/{entry.revision}/{file}"
        site.has(path, shelf.file(file).read_bytes())
    monkeypatch.setenv("ZOO_STORE", str(tmp_path / "empty" / "store"))
    monkeypatch.delenv("ZOO_REGISTRY")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody
    return site


def test_a_student_of_a_hubs_registry_comes_from_that_hub(shelf: Any, lab_hub: Any) -> None:
    name = shelf.entry.name
    folder = zoo.pull(name, registry=lab_hub.url)
    assert (folder / "card.json").read_bytes() == shelf.file("card.json").read_bytes()
    assert zoo.load(name, registry=[lab_hub.url]).name == name
    asked = len(lab_hub.asked)
    zoo.pull(name, registry=lab_hub.url)
    assert [path for path, _ in lab_hub.asked[asked:]] == ["/registry.yaml"]


def test_the_commands_that_take_a_name_take_a_registry(
    shelf: Any, lab_hub: Any, tmp_path: Path
) -> None:
    name, where = shelf.entry.name, ("--registry", lab_hub.url)
    page = invoke("card", name, *where)
    assert name in page
    assert json.loads(invoke("verify", name, *where, "--json"))["sha256_ok"]
    rounds = ("--rounds", "2", "--json")
    assert json.loads(invoke("bench", name, *where, *rounds))["name"] == name
    Image.new("RGB", (20, 10), (250, 5, 5)).save(tmp_path / "red.png")
    assert "red" in invoke("run", name, tmp_path / "red.png", *where)


def test_rows_are_not_added_to_a_card_elsewhere(shelf: Any, lab_hub: Any, tmp_path: Path) -> None:
    arguments = ["card", shelf.entry.name, "--registry", lab_hub.url, "--add", str(tmp_path / "x")]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 2
    assert "rows are added to the students here" in result.stderr


# --- completion ----------------------------------------------------------------------------------


def complete(line: str) -> list[str]:
    """What a shell is offered at the end of the line."""
    code = "from zoo.cli import app; app(prog_name='zoo')"
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "_ZOO_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_names_are_completed_from_the_registry_named_and_nobody_is_asked(
    shelf: Any, lab: Any, tmp_path: Path
) -> None:
    assert complete("zoo info col") == [shelf.entry.name]
    assert complete(f"zoo info --registry {lab.url} sha") == []
    assert lab.asked == []
    invoke("list", "--registry", lab.url)
    assert complete(f"zoo info --registry {lab.url} sha") == ["shapes-tiny.test"]
    assert len(lab.asked) == 1
    assert complete(f"zoo info --registry {tmp_path / 'none.yaml'} sha") == []
    assert arguments.complete_name("sha") == []
