"""docs/recipe.md: every key of a recipe stands on it, and none can be added without a meaning."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest

import compress.config
import distill.config

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "recipe.md").read_text(encoding="utf-8")
CONFIGS = [
    config
    for module in (distill.config, compress.config)
    for config in vars(module).values()
    if is_dataclass(config)
]


def check(ok: bool, message: str) -> None:
    if not ok:
        raise ValueError(message)


@dataclass(frozen=True)
class Inner:
    """What is below."""

    depth: int = 3  # layers


@dataclass(frozen=True)
class Told:
    """A config as they are written."""

    task: Literal["toy"] = "toy"  # the only one
    size: int = 8  # pixels
    # a side
    inner: Inner = Inner()  # <below>
    share: dict[str, float] = field(
        default_factory=dict,  # name -> fraction
    )  # of all
    name: str = ""  # type: ignore[assignment]  # one | two

    def __post_init__(self) -> None:
        check(self.size >= 8, f"size must be at least {2**3} pixels, not {self.size}")
        for key in ("share", "name"):
            if not getattr(self, key):
                raise ValueError(f"{key} must not be empty")
        if self.size:
            check(bool(self.share), f"size and share belong together: {self.share}")


@dataclass(frozen=True)
class Untold:
    """One field says nothing."""

    told: int = 1  # pixels
    untold: int = 2


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(DOCS))
    return importlib.import_module("recipe_page")


def section(text: str, heading: str) -> str:
    """A section of a page, to the next heading of its rank."""
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_the_page_is_what_the_configs_say(page: ModuleType) -> None:
    assert page.fill(PAGE) == PAGE


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__name__)
def test_every_field_of_every_config_stands_in_its_section(page: ModuleType, config: type) -> None:
    found = section(PAGE, page.headings(page.KINDS)[config])
    for one in fields(config):
        assert f"\n| `{one.name}` | " in found


def test_every_key_of_every_kind_of_recipe_stands_on_the_page(page: ModuleType) -> None:
    for kind in page.KINDS:
        task = next(one.default for one in fields(kind) if one.name == "task")
        found = section(PAGE, "Every recipe") + section(PAGE, task)
        for one in fields(kind):
            assert found.count(f"\n| `{one.name}` | ") == 1


def test_every_option_of_every_architecture_stands_on_the_page(page: ModuleType) -> None:
    found = section(PAGE, "student")
    for name, network in page.NETWORKS.items():
        rows = found.split(f"\n### {name}\n")[1].split("\n### ")[0]
        for key in page.options(network):
            assert f"\n| `{key.name}` | " in rows


def test_a_field_without_a_comment_is_refused(page: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"Untold\.untold has no comment"):
        page.keys(Untold, {})


def test_an_option_without_a_comment_is_refused(page: ModuleType) -> None:
    class Network:
        def __init__(
            self,
            classes: int,
            width: float = 1.0,
        ) -> None: ...

    with pytest.raises(ValueError, match="the option width has no comment"):
        page.options(Network)


def test_a_comment_is_read_over_all_lines_of_its_field(page: ModuleType) -> None:
    said = {key.name: key.comment for key in page.keys(Told, {})}
    assert said == {
        "task": "the only one",
        "size": "pixels a side",
        "inner": "<below>",
        "share": "name -> fraction of all",
        "name": "one | two",
    }


def test_a_range_is_what_the_checks_say_of_one_field(page: ModuleType) -> None:
    asked = {key.name: key.range for key in page.keys(Told, {})}
    assert asked["size"] == "at least 8 pixels"
    assert asked["share"] == asked["name"] == "not empty"
    assert asked["inner"] == ""
    assert page.together(Told) == ["size and share belong together"]


def test_a_kind_of_recipe_becomes_sections_and_tables(page: ModuleType) -> None:
    found = page.document((Told,))
    assert "| `size` | whole number; at least 8 pixels | `8` | pixels a side |" in found
    assert "| `inner` | section [inner](#inner) | its own defaults | &lt;below> |" in found
    assert r"| `name` | text; not empty | `\"\"` | one \| two |".replace('\\"', '"') in found
    assert "\n\n- size and share belong together\n" in found
    assert "## inner\n\nWhat is below.\n\n" in found
    assert "| `depth` | whole number | `3` | layers |" in found
