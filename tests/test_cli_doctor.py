"""The doctor: what a bug report needs, also where something is broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import zoo
from zoo import cli
from zoo.cli import doctor
from zoo.registry import local, registries


def test_the_report_names_versions_machine_cache_and_source(
    shelf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_MIRRORS", "http://10.0.0.7:8080, /mnt/students")
    monkeypatch.setenv("HF_ENDPOINT", "http://10.0.0.8:8080/")
    facts = doctor.examine()
    assert facts["versions"]["onnxruntime"]
    assert facts["machine"]["processor"]
    assert facts["cache"]["folder"] == str(shelf.cache)
    assert facts["source"] == {
        "registry": str(shelf.registry),
        "store": str(shelf.store.root),
        "mirrors": ["http://10.0.0.7:8080", "/mnt/students"],
        "hub": "http://10.0.0.8:8080",
        "problems": [],
        "students": 1,
    }
    assert facts["int8"]["self_test"] == [f"{shelf.entry.name} ok"]


def test_the_cache_is_measured_but_not_made(shelf: Any) -> None:
    empty = doctor.cache_facts()
    assert (empty["students"], empty["size_bytes"], empty["writable"]) == (0, 0, True)
    assert not shelf.cache.exists()
    zoo.pull(shelf.entry.name)
    full = doctor.cache_facts()
    assert (full["students"], full["size_bytes"]) == (1, shelf.entry.size_bytes)


def test_a_broken_registry_is_told_not_raised(shelf: Any) -> None:
    shelf.registry.write_text("format: 2\n")
    (problem,) = doctor.examine()["source"]["problems"]
    assert "registry.yaml" in problem


def test_a_student_without_files_is_told(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_STORE", str(shelf.root / "elsewhere"))
    (problem,) = doctor.examine()["source"]["problems"]
    assert problem == f"{shelf.entry.name} is in the registry but not in the store"


def test_a_student_that_only_the_registry_of_the_wheel_has_is_no_problem(
    shelf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_STORE", str(shelf.root / "elsewhere"))
    monkeypatch.setattr(local, "WHEEL", shelf.registry)
    assert doctor.examine()["source"]["problems"] == []


def test_students_of_the_second_distribution_are_examined_too(shelf: Any, students: Path) -> None:
    facts = doctor.examine()
    assert facts["source"]["store"] == f"{shelf.store.root}, {students}"
    assert facts["source"]["problems"] == []
    assert facts["int8"]["self_test"] == [f"{shelf.entry.name} ok"]
    (students / shelf.entry.name / "card.json").write_text("{}")
    (problem,) = doctor.examine()["source"]["problems"]
    assert problem.endswith("in the store is not the revision of the registry")


def test_a_broken_student_is_told_and_the_doctor_goes_on(shelf: Any) -> None:
    shelf.file("golden.npz").write_bytes(b"cut")
    facts = doctor.examine()
    assert facts["source"]["problems"] == [
        f"{shelf.entry.name} in the store is not the revision of the registry"
    ]
    (line,) = facts["int8"]["self_test"]
    assert line.startswith(f"{shelf.entry.name} broken: ") and "golden.npz" in line


def test_a_folder_within_a_student_is_told(shelf: Any) -> None:
    (shelf.store.folder(shelf.entry.name) / "folder").mkdir()
    (problem,) = doctor.examine()["source"]["problems"]
    assert problem.startswith(f"{shelf.entry.name} in the store is broken: ")


def test_registries_elsewhere_are_named_and_not_asked(
    shelf: Any, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.has("/registry.yaml", shelf.registry.read_text())
    monkeypatch.setenv("ZOO_REGISTRY", f"{shelf.registry},{site.url}")
    source = doctor.examine()["source"]
    assert (source["registry"], source["students"]) == (f"{shelf.registry}, {site.url}", 1)
    assert source["problems"] == [f"{site.url} is not here yet: no copy of it is kept"]
    assert site.asked == []
    registries.load(site.url)
    source = doctor.examine()["source"]
    assert (source["problems"], source["students"], len(site.asked)) == ([], 2, 1)


def test_one_broken_registry_does_not_hide_the_problems_of_another(
    shelf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shelf.root / "broken.yaml").write_text("nonsense")
    (shelf.store.folder(shelf.entry.name) / "extra").touch()
    monkeypatch.setenv("ZOO_REGISTRY", f"{shelf.registry},{shelf.root / 'broken.yaml'}")
    source = doctor.examine()["source"]
    assert source["students"] == 1
    first, second = source["problems"]
    assert first.startswith(f"{shelf.entry.name} in the store is not the revision")
    assert second.startswith(str(shelf.root / "broken.yaml"))


def test_a_package_that_is_not_installed_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("numpy", "no-such-package"))
    found = doctor.versions()
    assert found["numpy"]
    assert found["no-such-package"] is None


@pytest.mark.parametrize(
    ("isa", "word"),
    [
        ("ssse3 avx2 avx512f avx512_vnni", "8-bit dot products"),
        ("asimd asimddp", "8-bit dot products"),
        ("ssse3 avx2", "with care"),
        ("riscv64", "not known"),
    ],
)
def test_advice_follows_the_instruction_set(isa: str, word: str) -> None:
    assert word in doctor.int8_advice(isa)


def test_the_command_prints_lines_or_json(shelf: Any) -> None:
    lines = CliRunner().invoke(cli.app, ["doctor"]).stdout.splitlines()
    assert any(line.startswith("machine.instruction_set") for line in lines)
    assert json.loads(CliRunner().invoke(cli.app, ["doctor", "--json"]).stdout)["versions"]


def test_nothing_is_written(shelf: Any, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    doctor.examine()
    assert sorted(tmp_path.rglob("*")) == before
