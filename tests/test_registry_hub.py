"""The registries of a hub of this project: its own, and one in a repository there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo.records import entry as records_entry
from zoo.registry import registries
from zoo.stores.store import Add, Store

pytest.importorskip("starlette")


@pytest.fixture
def lab(shelf: Any, hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A hub that has the tiny student as lab/colours; nothing of it is on this machine."""
    monkeypatch.setenv("ZOO_STORE", str(tmp_path / "empty" / "store"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for variable in ("ZOO_REGISTRY", "HF_HUB_OFFLINE", "HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)
    publish(hub, "lab/colours", {name: shelf.file(name).read_bytes() for name in shelf.entry.files})
    return hub


def publish(hub: Any, repo: str, files: dict[str, bytes]) -> str:
    """The commit of a new repository with these files."""
    store = Store(hub.root)
    store.create(repo)
    changes = [Add(name, store.add([data])[0]) for name, data in files.items()]
    return store.commit(repo, "main", changes, title="published").id


def test_what_a_hub_has_is_found_pulled_and_run(shelf: Any, lab: Any) -> None:
    entry = registries.find(shelf.entry.name, lab.url)
    assert (entry.repo, entry.endpoint) == ("lab/colours", lab.url)
    assert entry.files == shelf.entry.files
    assert zoo.load(entry.name, registry=lab.url).labels == ("red", "green", "blue")


def test_a_registry_in_a_repository_is_read_and_its_students_pulled_from_the_same_hub(
    shelf: Any, lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", lab.url)
    revision = Store(lab.root).resolve("lab/colours", "main")
    row = replace(shelf.entry, repo="lab/colours", revision=revision)
    publish(lab, "lab/students", {"registry.yaml": records_entry.render([row]).encode()})
    assert registries.entries("lab/students") == [("lab/students", row)]
    assert (zoo.pull(row.name, registry="lab/students") / "model.int8.onnx").is_file()


def test_a_repository_without_a_registry_is_one_error(
    shelf: Any, lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", lab.url)
    for name in ("lab/colours", "lab/nothing"):
        with pytest.raises(zoo.ZooError, match="not there") as caught:
            registries.load(name)
        assert f"{lab.url}/" in str(caught.value)
