"""What the documents tell a stranger to type is what the code takes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from zoo import cli
from zoo.card import page as card_page
from zoo.errors import RecipeError
from zoo.records import card, reader
from zoo.records.recipe import bind

ROOT = Path(__file__).parent.parent


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_recipe_in_contributing_is_one() -> None:
    (text,) = blocks((ROOT / "CONTRIBUTING.md").read_text(), "yaml")
    recipe = bind(reader.parse_yaml(text, "CONTRIBUTING.md", RecipeError))
    assert recipe.teacher
    assert recipe.compress


def test_every_command_of_the_readme_exists_and_none_is_left_out() -> None:
    said = set(re.findall(r"^\| `zoo ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    shown = CliRunner().invoke(cli.app, ["--help"]).stdout.partition("Commands:")[2]
    assert said == set(re.findall(r"^  ([a-z]+) ", shown, re.MULTILINE))


def test_every_option_of_the_readme_exists() -> None:
    for line in (ROOT / "README.md").read_text().splitlines():
        command = re.match(r"\| `zoo ([a-z]+)", line)
        for option in re.findall(r"`(--[a-z-]+)", line) if command else []:
            assert command
            assert option in CliRunner().invoke(cli.app, [command[1], "--help"]).stdout, line


@pytest.mark.parametrize("page", ["README.md", "card"])
def test_the_snippet_without_our_code_answers(
    page: str, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rendered = card_page.render(card.read(tiny))
    text = rendered if page == "card" else (ROOT / page).read_text()
    snippet = blocks(text, "python")[1]
    assert "import zoo" not in snippet
    Image.new("RGB", (30, 20), (250, 5, 5)).save(tiny / "photo.jpg")
    monkeypatch.chdir(tiny)
    exec(compile(snippet, page, "exec"), {})
    assert capsys.readouterr().out == "red\n"


def test_the_snippet_with_our_code_answers(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    snippet = blocks(card_page.render(card.read(tiny)), "python")[0]
    Image.new("RGB", (30, 20), (5, 5, 250)).save(tiny / "photo.jpg")
    shutil.copytree(tiny, tiny / "of" / "colours")
    monkeypatch.chdir(tiny)
    exec(snippet.replace("colours-tiny.test", "of/colours"), {})
    assert capsys.readouterr().out.startswith("[('blue', ")
