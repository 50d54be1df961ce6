"""zoo bench and zoo verify; zoo card, to which what was measured is added."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import invoke, picture, shell
from typer.testing import CliRunner

from zoo import cli
from zoo.card import writing
from zoo.cli import tables
from zoo.errors import IntegrityError
from zoo.records import card as cards
from zoo.registry import local, registries

# --- bench ---------------------------------------------------------------------------------------


def test_bench_json_is_what_a_card_takes(shelf: Any, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(invoke("bench", shelf.entry.name, "--json", "--rounds", "2"))
    bench = cards.read_bench(path)
    assert bench.name == shelf.entry.name
    assert {row.precision for row in bench.rows} == {"fp32", "int8"}
    merged = cards.merge(cards.read(shelf.store.folder(shelf.entry.name)), bench)
    assert set(bench.rows) <= set(merged.latency)


def test_bench_prints_a_line_a_file_with_ratio_and_control(shelf: Any) -> None:
    head, *lines = invoke("bench", shelf.entry.name, "--rounds", "2").splitlines()
    assert "OVER FP32" in head
    assert "CONTROL" in head
    assert {line.split()[0] for line in lines} == {"fp32", "int8"}


def test_bench_compare_says_what_the_card_has_not(shelf: Any) -> None:
    text = invoke("bench", shelf.entry.name, "--compare", "--rounds", "2", "--batch", "3")
    assert "not on the card" in text


# --- verify --------------------------------------------------------------------------------------


def test_verify_checks_golden_outputs(shelf: Any) -> None:
    text = invoke("verify", shelf.entry.name)
    assert "golden outputs, int8" in text
    assert "DIFFERENT" not in text
    found = json.loads(invoke("verify", shelf.entry.name, "--json"))
    assert set(found) == {"name", "sha256_ok", "golden"}
    assert found["sha256_ok"] is found["golden"]["fp32"]["ok"] is True


def test_verify_fails_where_the_answers_differ(shelf: Any, tmp_path: Path, tiny: Path) -> None:
    with np.load(tiny / "golden.npz") as arrays:
        np.savez(tiny / "golden.npz", **{**arrays, "int8": arrays["int8"] + 100})
    publish(shelf, tiny)
    runner = CliRunner().invoke(cli.app, ["verify", shelf.entry.name])
    assert isinstance(runner.exception, IntegrityError)
    assert "DIFFERENT" in runner.stdout


def test_verify_on_other_pictures_says_so(shelf: Any, tiny: Path, tmp_path: Path) -> None:
    for label, color in {"red": (250, 5, 5), "green": (5, 250, 5), "blue": (5, 5, 250)}.items():
        for split in ("train", "test"):
            folder = tmp_path / "data/colours" / split / label
            folder.mkdir(parents=True)
            picture(folder / "0.png", color)
    recipe = {
        "name": shelf.entry.name,
        "summary": "Tells colours apart.",
        "licence": "CC0-1.0",
        "data": {"source": "colours", "licence": "CC0-1.0", "image_size": 8},
        "student": {"architecture": "separable"},
        "train": {"epochs": 1},
        "loss": {"name": "ce"},
    }
    run = {"recipe": recipe, "data": {"test": "0" * 64}}
    (tiny / "run.json").write_text(json.dumps(run))
    publish(shelf, tiny)
    arguments = ["verify", shelf.entry.name, "--data", str(tmp_path / "data")]
    text = CliRunner().invoke(cli.app, arguments)
    assert isinstance(text.exception, IntegrityError)
    assert "holds other test data" in str(text.exception)
    assert "or resized data: the card was made by an earlier reader" in str(text.exception)
    (line,) = (line for line in text.stdout.splitlines() if line.startswith("test data"))
    assert line.endswith("DIFFERENT")
    as_json = CliRunner().invoke(cli.app, [*arguments, "--json"])
    assert json.loads(as_json.stdout)["same_data"] is False


def publish(shelf: Any, folder: Path) -> None:
    """Put `folder` in the place of the shelf's student, with its row."""
    from zoo.publish.shelf import entry

    revision = shelf.store.put(shelf.entry.name, folder)
    row = entry(cards.read(folder), folder, revision, shelf.entry.repo)
    local.write([row], shelf.registry)


def test_a_picture_set_decides_whether_accuracy_holds() -> None:
    from zoo.measure.remeasure import Again
    from zoo.records.measures import Score
    from zoo.students.golden import Verdict

    card = Score("top-1 accuracy", "Digits", "test", 100, 0.9, 0.85, 0.95)
    near, far = (Score("top-1 accuracy", "Digits", "test", 100, v, 0, 1) for v in (0.86, 0.8))
    rows = list(
        tables.verdicts(
            {"int8": Verdict(True, 0.01, 1.0, 0.1)},
            {"int8": Again(card, near, True), "fp32": Again(card, far, True)},
        )
    )
    assert [row[-1] for row in rows] == ["ok", "ok", "ok", "ok", "DIFFERENT"]


# --- card ----------------------------------------------------------------------------------------


def test_card_prints_the_page_as_markdown_to_a_pipe(shelf: Any) -> None:
    page = invoke("card", shelf.entry.name)
    assert page.startswith("---\nlicense:")
    assert f"# {shelf.entry.name}" in page


def test_card_of_the_second_distribution_is_read_where_it_is(shelf: Any, students: Path) -> None:
    assert f"# {shelf.entry.name}" in invoke("card", shelf.entry.name)


def test_card_add_publishes_the_card_with_the_rows(shelf: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = tmp_path / "rows.json"
    rows.write_text(invoke("bench", shelf.entry.name, "--json", "--rounds", "2", "--batch", "4"))
    (tmp_path / "run.json").write_text("{}")
    said = invoke("card", shelf.entry.name, "--add", rows).strip()
    entry = registries.find(shelf.entry.name)
    assert said == f"{entry.name}@{entry.revision}"
    assert entry.revision != shelf.entry.revision
    folder = shelf.store.folder(entry.name)
    assert writing.drift(folder) == []
    assert any(row.batch == 4 for row in cards.read(folder).latency)
    assert invoke("pull", shelf.entry.name).strip().endswith(entry.revision)


def test_card_add_refuses_what_is_no_bench_document(shelf: Any, tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text("[]")
    done = shell("card", shelf.entry.name, "--add", rows)
    assert done.returncode == 1
    assert "rows.json" in done.stderr
    assert shelf.store.revision(shelf.entry.name) == shelf.entry.revision
