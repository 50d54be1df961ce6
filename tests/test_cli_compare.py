"""zoo compare: cards of names, folders and files side by side."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import invoke, shell
from compared import RECIPE, ROW, score, scored
from typer.testing import CliRunner, Result

from zoo import cli
from zoo.errors import CardError, NotFound
from zoo.files import sha256
from zoo.records import card as cards


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["compare", *map(str, arguments)])


@pytest.fixture
def builds(files: Path, tmp_path: Path, write_card: Callable[..., None]) -> tuple[Path, Path]:
    """Two builds of one recipe: more epochs, a better score, half the time."""
    made = []
    for name, epochs, value, ms in (("first", 3, 0.8, 2.0), ("second", 9, 0.9, 1.0)):
        folder = Path(shutil.copytree(files / "tiny", tmp_path / name))
        recipe = RECIPE | {"train": {"epochs": epochs}}
        data = {"test": "a" * 64, "train": "b" * 64}
        (folder / cards.RUN).write_text(json.dumps({"recipe": recipe, "data": data}))
        card = scored(cards.read(folder), score(value, value - 0.01, value + 0.01))
        latency = (replace(ROW, p50_ms=ms),)
        digest = sha256(folder / cards.RUN)
        write_card(folder, variants=card.variants, latency=latency, run_sha256=digest)
        made.append(folder)
    return made[0], made[1]


def lines(text: str) -> dict[str, str]:
    """The first line of each fact."""
    return {line.split("  ")[0]: line for line in reversed(text.splitlines())}


def test_two_builds_of_a_recipe_stand_side_by_side(builds: tuple[Path, Path]) -> None:
    found = lines(invoke("compare", *builds))
    assert "80.00 (79.00 to 81.00), n 1,000" in found["int8: accuracy, %"]
    assert "+10.00 (+8.59 to +11.41), more than chance" in found["int8: over the first"]
    assert found["int8, batch 1, threads 1"].split()[-2:] == ["2", "1"]
    assert found["train.epochs"].split() == ["train.epochs", "3", "9"]
    assert "licence" in found
    assert "not comparable" not in found


def test_json_has_all_of_it(builds: tuple[Path, Path]) -> None:
    found = json.loads(invoke("compare", *builds, "--json"))
    first, second = map(str, builds)
    assert found["doubts"] == []
    assert [one["given"] for one in found["students"]] == [first, second]
    assert [gap["larger_than_chance"] for gap in found["accuracy_over_first"]] == [True, True]
    assert found["latency"][0]["p50_ms"] == {first: 2.0, second: 1.0}
    assert found["settings"] == [{"key": "train.epochs", "values": {first: 3, second: 9}}]
    assert {"data", "versions"} <= set(found)


def test_that_they_cannot_be_compared_is_said_first(
    builds: tuple[Path, Path], write_card: Callable[..., None]
) -> None:
    (builds[1] / cards.RUN).unlink()
    write_card(builds[1], data=replace(cards.read(builds[1]).data, sha256="1" * 64))
    done = run(*builds)
    assert done.stdout.startswith(f"not comparable: {builds[1]}: it was made with other data")
    assert "over the first" not in done.stdout
    assert "no run.json: its settings and versions are not known" in done.stderr


def test_the_run_of_another_build_is_not_believed(builds: tuple[Path, Path]) -> None:
    shutil.copy(builds[0] / cards.RUN, builds[1] / cards.RUN)
    done = run(*builds)
    assert "run.json beside its card is of another build" in done.stderr
    assert "train.epochs" not in done.stdout


def test_names_folders_and_cards_are_read(shelf: Any, builds: tuple[Path, Path]) -> None:
    found = run(shelf.entry.name, builds[0], builds[1] / "card.json", "--json")
    given = [one["given"] for one in json.loads(found.stdout)["students"]]
    assert given == [shelf.entry.name, str(builds[0]), str(builds[1] / "card.json")]


def test_one_student_alone_is_wrong_usage(builds: tuple[Path, Path]) -> None:
    assert run(builds[0]).exit_code == 2
    assert run(builds[0], builds[0]).exit_code == 2


def test_what_has_no_card_is_one_error(shelf: Any, builds: tuple[Path, Path]) -> None:
    assert isinstance(run(builds[0], "nobody").exception, NotFound)
    missing = run(builds[0], builds[0] / "missing").exception
    assert isinstance(missing, CardError)
    assert "missing" in str(missing)
    (builds[1] / "card.json").write_text("[]")
    assert isinstance(run(*builds).exception, CardError)


def test_a_folder_that_is_given_like_a_name_is_told_how_to_be_one(
    shelf: Any, builds: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(builds[0].parent)
    problem = run(shelf.entry.name, "second").exception
    assert isinstance(problem, NotFound)
    assert problem.hint == "the folder here is ./second"
    assert run(shelf.entry.name, "./second").exit_code == 0


def test_a_strangers_words_do_nothing_to_a_terminal(
    builds: tuple[Path, Path], write_card: Callable[..., None]
) -> None:
    write_card(builds[1], licence="\x1b[31mred\nMIT")
    assert "\x1b" not in shell("compare", *builds).stdout
    assert r"\u001b[31mred\nMIT" in shell("compare", *builds).stdout
