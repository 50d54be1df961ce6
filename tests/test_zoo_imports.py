"""What an import costs, and who may import whom."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import zoo

HEAVY = ("numpy", "onnxruntime", "huggingface_hub", "torch", "onnx", "PIL", "yaml", "sklearn")
ROOT = Path(zoo.__file__ or "").parents[1]


def loaded_by(statement: str) -> set[str]:
    """Modules that a fresh interpreter holds after the statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(told.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import zoo",
        "import zoo.cli",
        "import zoo.records.recipe, zoo.records.card, zoo.registry.registries, zoo.stores.folders",
        "import zoo.fetch.fetch, zoo.students.pull, zoo.publish.release, zoo.card.writing",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(statement: str) -> None:
    assert loaded_by(statement) & set(HEAVY) == set()


@pytest.mark.parametrize("package", ["distill", "export", "compress"])
def test_importing_a_stage_loads_neither_torch_nor_the_zoo_nor_another_stage(package: str) -> None:
    others = {"zoo", "distill", "export", "compress"} - {package}
    assert loaded_by(f"import {package}") & (others | {"torch", "onnx", "onnxruntime"}) == set()


def test_reading_a_recipe_needs_no_torch() -> None:
    statement = "from zoo.records import recipe\n[recipe.find(name) for name in recipe.recipes()]"
    assert loaded_by(statement) & {"torch", "numpy", "onnx", "onnxruntime"} == set()


def test_running_a_student_needs_neither_torch_nor_onnx(files: Path) -> None:
    run = f"import zoo\nzoo.load({str(files / 'tiny')!r})"
    assert loaded_by(run) & {"torch", "onnx", "distill", "export", "compress"} == set()


def test_no_public_name_is_hidden_by_a_module_of_its_name() -> None:
    rooms = {path.stem for path in (ROOT / "zoo").iterdir()}
    assert rooms & set(zoo.__all__) == set()


def test_all_public_names_exist() -> None:
    for name in zoo.__all__:
        assert getattr(zoo, name) is not None
    assert dir(zoo) == zoo.__all__
    with pytest.raises(AttributeError, match="no attribute 'pul'"):
        zoo.pul  # type: ignore[attr-defined]  # noqa: B018
