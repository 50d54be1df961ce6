"""The generated parts of the pages."""

from __future__ import annotations

import importlib
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from zoo.records import baselines

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture
def generate(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(DOCS))
    return importlib.import_module("generate")


def test_without_a_student_with_peers_nothing_stands_between_their_marks(
    generate: ModuleType,
) -> None:
    marks = "<!-- peers: generated -->\n{}<!-- peers: end -->\n"
    assert generate.filled(marks.format("old\n"), []) == marks.format("")


def test_published_models_follow_the_last_student_of_their_test_set_and_are_marked(
    generate: ModuleType,
) -> None:
    lines = generate.students(generate.cards()).splitlines()
    (known,) = baselines.packaged()
    ours = [n for n, line in enumerate(lines) if line.startswith("| [cifar10-")]
    theirs = lines[ours[-1] + 1 :][: len(known.models)]
    assert ours == list(range(2, 2 + len(ours)))
    for line, model in zip(theirs, baselines.on([known], known), strict=True):
        assert line.startswith(f"| {model.name}: published, not measured here ([{model.source}](")
        assert f"read {model.read}) | - ({model.accuracy_percent:.2f}) | 10,000 |" in line
    assert sum("not measured here" in line for line in lines) == len(known.models)


def test_published_models_of_another_test_set_are_not_in_the_table(generate: ModuleType) -> None:
    (known,) = baselines.packaged()
    table = generate.students(generate.cards(), [replace(known, n=known.n - 1)])
    assert "cifar10-" in table and "not measured here" not in table


def test_the_pages_say_what_cards_and_configs_say(generate: ModuleType) -> None:
    for page, (fill, _) in generate.pages().items():
        text = page.read_text(encoding="utf-8")
        assert "generated -->\n<!--" not in text  # something stands between the marks
        assert fill(text) == text


@pytest.mark.parametrize("name", ["README.md", "docs/fast.md", "docs/ngrams.md", "docs/recipe.md"])
def test_a_page_that_has_drifted_is_named_and_mended(
    generate: ModuleType,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pages = {page.name: (page, *made) for page, made in generate.pages().items()}
    page, fill, complaint = pages[Path(name).name]
    drifted = tmp_path / name
    drifted.parent.mkdir(exist_ok=True)
    drifted.write_text(re.sub(r"\d(?= \|)", "?", page.read_text(encoding="utf-8")), "utf-8")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "pages", lambda: {drifted: (fill, complaint)})
    monkeypatch.setattr(generate, "registry_drift", list)
    monkeypatch.setattr(generate, "rewrite", list)
    assert generate.main(check=True) == 1
    assert capsys.readouterr().err.startswith(f"{name}: {complaint}\n")
    assert generate.main(check=False) == 0
    assert generate.main(check=True) == 0
