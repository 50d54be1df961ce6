"""What the documents tell a stranger to type is what the code takes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from zoo import cli
from zoo.card import page as card_page
from zoo.errors import RecipeError
from zoo.inputs.pictures import as_array
from zoo.records import card
from zoo.records.recipe import bind
from zoo.records.text import parse_yaml
from zoo.students.student import Student

ROOT = Path(__file__).parent.parent
USE = ROOT / "docs" / "use.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("page", ["README.md", "docs/make.md"])
def test_the_recipe_on_a_page_is_one(page: str) -> None:
    text, *_ = blocks((ROOT / page).read_text(), "yaml")  # what follows are pieces of one
    recipe = bind(parse_yaml(text, page, RecipeError))
    assert recipe.teacher
    assert recipe.compress


def test_every_command_of_the_page_exists_and_none_is_left_out() -> None:
    said = set(re.findall(r"^\| `zoo ([a-z]+)", USE.read_text(), re.MULTILINE))
    shown = CliRunner().invoke(cli.app, ["--help"]).stdout.partition("\nUse:\n")[2]
    assert said == set(re.findall(r"^  ([a-z]+) ", shown, re.MULTILINE))


def test_every_option_of_the_page_exists() -> None:
    for line in USE.read_text().splitlines():
        command = re.match(r"\| `zoo ([a-z]+)", line)
        for option in re.findall(r"`(--[a-z-]+)", line) if command else []:
            assert command
            assert option in CliRunner().invoke(cli.app, [command[1], "--help"]).stdout, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_a_block_exists(page: Path) -> None:
    known = set(re.findall(r"^\| `zoo ([a-z]+)", USE.read_text(), re.MULTILINE))
    for block in blocks(page.read_text(encoding="utf-8"), "sh"):
        assert set(re.findall(r"(?:^|[|&] )zoo ([a-z]+)", block, re.MULTILINE)) <= known
        for script in re.findall(r"^(?:python|node) (\S+)", block, re.MULTILINE):
            assert (ROOT / script).is_file(), script


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings]
            assert anchor in slugs, target


def test_the_first_page_is_one_screen_and_names_every_other() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    for page in ROOT.glob("docs/*.md"):
        assert f"(docs/{page.name}" in text


@pytest.mark.parametrize("page", ["docs/use.md", "card"])
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


def _odd_pictures() -> dict[str, tuple[Image.Image, dict[str, object]]]:
    """What a careless reader gets wrong: a red picture that looks otherwise as its bytes stand."""
    half = Image.new("RGB", (30, 20), (250, 5, 5))
    half.paste((5, 5, 250), (0, 0, 10, 20))
    clear = Image.merge("RGBA", [*half.split(), Image.linear_gradient("L").resize(half.size)])
    palette = half.quantize(4)
    deep = np.arange(600, dtype=np.uint16).reshape(20, 30) * 109
    turned = {f"turned {n}": (half, {"exif": _turned(n)}) for n in range(2, 9)}
    return turned | {
        "transparent": (clear, {}),
        "grey and transparent": (clear.convert("LA"), {}),
        "a transparent colour": (palette, {"transparency": 0}),
        "cmyk": (half.convert("CMYK"), {"format": "TIFF"}),
        "bits": (half.convert("1"), {}),
        "grey of 16 bits": (Image.fromarray(deep), {}),
        "grey of 16 bits, turned": (Image.fromarray(deep), {"exif": _turned(6)}),
        "grey of 32 bits": (Image.fromarray(3 * deep.astype(np.int32) - 9000), {"format": "TIFF"}),
    }


def _turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("page", ["docs/use.md", "card"])
@pytest.mark.parametrize("kind", _odd_pictures())
def test_the_snippet_gives_what_zoo_run_gives(
    page: str, kind: str, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = card_page.render(card.read(tiny)) if page == "card" else (ROOT / page).read_text()
    picture, options = _odd_pictures()[kind]
    monkeypatch.chdir(tiny)
    picture.save("photo.jpg", **{"format": "PNG", **options})
    found: dict[str, Any] = {}
    exec(compile(blocks(text, "python")[1], page, "exec"), found)
    student = Student.open(tiny, precision="int8", threads=1)
    wanted = student.logits(as_array("photo.jpg", student.image_size)[None])  # type: ignore[attr-defined]
    assert (found["logits"] == wanted).all()


def test_the_snippet_with_our_code_answers(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    snippet = blocks(card_page.render(card.read(tiny)), "python")[0]
    Image.new("RGB", (30, 20), (5, 5, 250)).save(tiny / "photo.jpg")
    shutil.copytree(tiny, tiny / "of" / "colours")
    monkeypatch.chdir(tiny)
    exec(snippet.replace("colours-tiny.test", "of/colours"), {})
    assert capsys.readouterr().out.startswith("[('blue', ")
