"""Publishing: nobody's rows are lost, whether two publish at once or a student is built again."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from zoo.card import writing
from zoo.errors import RegistryError
from zoo.files import sha256
from zoo.publish import shelf
from zoo.records import card as cards
from zoo.records import plain
from zoo.records.card import Bench, Card
from zoo.records.measures import Measurement
from zoo.registry import local, registries
from zoo.stores.folders import Folders

pytest.importorskip("matplotlib")


@pytest.fixture
def made(tiny: Path) -> Path:
    """The tiny student with page and figures, as a build leaves it."""
    writing.write(cards.read(tiny), tiny)
    return tiny


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    """A store of one's own, its registry beside it."""
    for variable in ("ZOO_REGISTRY", "ZOO_STORE"):
        monkeypatch.delenv(variable, raising=False)
    return Folders(tmp_path / "own" / "embedded")


def renamed(folder: Path, name: str) -> Path:
    """A copy of the student in `folder` under another name."""
    copy = folder.with_name(name)
    shutil.copytree(folder, copy)
    writing.write(dataclasses.replace(cards.read(copy), name=name), copy)
    return copy


def bench_row(**values: Any) -> Measurement:
    """A row of another machine."""
    sample = Path(__file__).parent / "files" / "sample-card.json"
    return dataclasses.replace(cards.read(sample).latency[0], device_name="Other CPU", **values)


def add(store: Folders, card: Card, *rows: Measurement) -> None:
    """`zoo card NAME --add`, timed on the files of `card`."""
    path = store.root.parent / "rows.json"
    hashes = {precision: variant.sha256 for precision, variant in card.variants.items()}
    path.write_text(json.dumps(plain.to_dict(Bench(1, card.name, hashes, rows))))
    shelf.add_rows(card.name, path, store)


def test_two_processes_that_publish_at_once_keep_both_rows(made: Path, own: Folders) -> None:
    names = [f"colours-tiny.{i}" for i in range(3)]
    code = (
        "import sys; from pathlib import Path; from zoo.publish import shelf\n"
        "from zoo.stores.folders import Folders\n"
        "for _ in range(4): shelf.publish(Path(sys.argv[1]), Folders(sys.argv[2]))"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(renamed(made, name)), str(own.root)],
            cwd=Path(local.__file__).parent.parent,
        )
        for name in names
    ]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    entries = local.load(own.root.parent / "registry.yaml")
    assert {name: entry.revision for name, entry in entries.items()} == {
        name: own.revision(name) for name in names
    }


def test_a_second_build_keeps_the_rows_that_others_have_added(made: Path, own: Folders) -> None:
    shelf.publish(made, own)
    card = cards.read(made)
    others = [bench_row(precision=precision) for precision in ("fp32", "int8", "plain-fp32")]
    add(own, card, *others)
    entry = shelf.publish(made, own)
    folder = own.folder(card.name)
    assert cards.read(folder).latency == (*card.latency, *others)
    assert writing.drift(folder) == writing.drift(made) == []
    assert entry.revision == own.revision(card.name)


def test_a_row_of_other_bytes_does_not_stay(made: Path, own: Folders) -> None:
    shelf.publish(made, own)
    card = cards.read(made)
    fp32, int8 = (bench_row(precision=precision) for precision in ("fp32", "int8"))
    add(own, card, fp32, int8)
    path = made / card.variants["int8"].file
    path.write_bytes(path.read_bytes() + b" ")
    changed = dataclasses.replace(
        card.variants["int8"], sha256=sha256(path), size_bytes=path.stat().st_size
    )
    writing.write(dataclasses.replace(card, variants=card.variants | {"int8": changed}), made)
    shelf.publish(made, own)
    assert cards.read(own.folder(card.name)).latency == (*card.latency, fp32)


def test_a_row_that_was_measured_again_takes_the_old_ones_place(made: Path, own: Folders) -> None:
    card = cards.add_measurements(cards.read(made), [bench_row(precision="fp32")])
    writing.write(card, made)
    shelf.publish(made, own)
    faster = dataclasses.replace(card.latency[-1], p50_ms=0.001)
    writing.write(cards.add_measurements(card, [faster]), made)
    shelf.publish(made, own)
    assert cards.read(own.folder(card.name)).latency[-1] == faster


def test_a_published_card_that_cannot_be_read_is_replaced(made: Path, own: Folders) -> None:
    shelf.publish(made, own)
    name = cards.read(made).name
    (own.folder(name) / "card.json").write_text("{}")
    shelf.publish(made, own)
    assert writing.drift(own.folder(name)) == []


def test_a_row_that_cannot_be_written_leaves_the_store_as_it_was(made: Path, own: Folders) -> None:
    before = shelf.publish(made, own)
    card = cards.read(made)
    writing.write(dataclasses.replace(card, summary="Other words."), made)
    path = own.root.parent / "registry.yaml"
    path.write_text("format: 2\n")
    with pytest.raises(RegistryError, match="students"):
        shelf.publish(made, own)
    (own.root.parent / "file").touch()
    with pytest.raises(RegistryError, match=r"file.*[Dd]irectory|exists"):
        shelf.publish(made, own, own.root.parent / "file" / "registry.yaml")
    path.unlink()
    with pytest.raises(RegistryError, match="repo must be"):
        shelf.publish(made, own, repo="no repo")
    assert own.revision(card.name) == before.revision
    assert not path.exists()


def test_nothing_but_the_registry_lands_beside_the_store(made: Path, own: Folders) -> None:
    shelf.publish(made, own)
    assert {path.name for path in own.root.parent.iterdir()} == {"embedded", "registry.yaml"}
    assert own.names() == [cards.read(made).name]


def test_a_store_named_by_the_environment_never_writes_the_packaged_registry(
    made: Path, own: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = local.default_path()
    before = packaged.read_bytes() if packaged.is_file() else None
    monkeypatch.setenv("ZOO_STORE", str(own.root))
    assert local.default_path() == own.root.parent / "registry.yaml" != packaged
    row = shelf.publish(made)
    assert registries.find(row.name) == row
    assert (packaged.read_bytes() if packaged.is_file() else None) == before
