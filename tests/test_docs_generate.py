"""The README's generated tables."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

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


def test_the_readme_says_what_the_cards_say(generate: ModuleType) -> None:
    text = generate.README.read_text(encoding="utf-8")
    assert generate.filled(text, generate.cards()) == text
