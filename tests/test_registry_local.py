"""registry.yaml: strict reading, writing in one step, finding by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import zoo
from zoo.errors import NotFound, RegistryError, ZooWarning
from zoo.records import entry as records_entry
from zoo.records.entry import Entry, FileRef, Headline
from zoo.records.measures import Scale
from zoo.registry import local, registries

ROW = f"""\
format: 1
students:
  toy-net.kd:
    task: image-classification
    repo: studentzoo/toy-net.kd
    revision: "{"0123456789" * 4}"
    licence: Apache-2.0
    summary: A toy.
    files:
      model.int8.onnx:
        sha256: "{"0123456789abcdef" * 4}"
        size: 12
    headline:
      accuracy: 0.9
      accuracy_dataset: Toys
      int8_size_bytes: 12
      int8_latency_ms: 0.1
"""


def loaded(text: str, tmp_path: Path) -> dict[str, Entry]:
    path = tmp_path / "registry.yaml"
    path.write_text(text)
    return local.load(path)


def test_the_published_registry_is_read() -> None:
    for name, entry in local.load().items():
        assert entry.name == name


def test_a_row_becomes_an_entry_named_by_its_key(tmp_path: Path) -> None:
    entry = loaded(ROW, tmp_path)["toy-net.kd"]
    assert entry.name == "toy-net.kd"
    assert entry.files["model.int8.onnx"].size == entry.size_bytes == 12


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0123456789abcdef" * 4, "0123456789abcdef" * 3, "must be 64 lower-case hex digits"),
        ("0123456789abcdef" * 4, "0123456789ABCDEF" * 4, "must be 64 lower-case hex digits"),
        ("0123456789" * 4, "main", "revision must be 40 lower-case hex digits"),
        ("format: 1", "format: 2", "format: must be one of 1, not 2"),
        ("format: 1\n", "", '"format" is missing'),
        ("    task:", "    tasks:", "toy-net.kd.tasks: unknown key"),
        ("    task:", "    name: x\n    task:", "toy-net.kd.name: unknown key"),
        ("model.int8.onnx:", "../model.onnx:", "not a plain file name"),
        ("model.int8.onnx:", ".hidden:", "not a plain file name"),
        ("size: 12", "size: -1", "size must be >= 0 bytes"),
        ("size: 12", "size: 12.5", "size: must be a whole number"),
        ("accuracy: 0.9", "accuracy: 90", r"accuracy is a fraction in \[0, 1\], not 90"),
        ("studentzoo/toy-net.kd", "toy-net.kd", 'repo must be "org/name"'),
        ("studentzoo/toy-net.kd", "../toy-net.kd", 'repo must be "org/name"'),
        ("  toy-net.kd:\n", "  toy/net:\n", "name must be letters"),
        ("    task:", "    endpoint: hub.example.org\n    task:", "endpoint must be http"),
    ],
)
def test_a_mistake_is_one_error_with_its_line(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    assert old in ROW
    with pytest.raises(RegistryError, match=message) as caught:
        loaded(ROW.replace(old, new), tmp_path)
    assert "registry.yaml:" in str(caught.value)


def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    again = ROW[ROW.index("  toy-net.kd") :]
    with pytest.raises(RegistryError, match=r'the key "toy-net.kd" comes twice, first in line 3'):
        loaded(ROW + again, tmp_path)


def test_no_students_are_no_error(tmp_path: Path) -> None:
    assert loaded("format: 1\nstudents: {}\n", tmp_path) == {}


def test_near_names_are_offered(tmp_path: Path) -> None:
    loaded(ROW, tmp_path)
    with pytest.raises(NotFound, match=r'no student is called "toy-ne\.kd"') as caught:
        registries.find("toy-ne.kd", tmp_path / "registry.yaml")
    assert caught.value.hint == 'did you mean "toy-net.kd"?'


def test_a_hub_of_its_own_is_written_only_where_there_is_one(tmp_path: Path) -> None:
    entry = loaded(ROW, tmp_path)["toy-net.kd"]
    assert entry.endpoint == ""
    assert "endpoint" not in records_entry.render([entry])
    there = replace(entry, endpoint="http://10.0.0.7:8080")
    assert '    endpoint: "http://10.0.0.7:8080"\n' in records_entry.render([there])
    assert loaded(records_entry.render([there]), tmp_path) == {"toy-net.kd": there}


def test_the_published_registry_keeps_its_bytes() -> None:
    path = local.own_path()
    assert records_entry.render(local.load(path).values()) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("lab.yaml", "lab.yaml"),
        ("lab/students.yaml", "lab/students.yaml"),
        ("./lab/students", "lab/students"),
        ("/lab/students", "/lab/students"),
        ("there/lab", "there/lab"),
        ("there", "there/registry.yaml"),
        ("no-such-thing", "no-such-thing"),
        ("a/b/c", "a/b/c"),
        ("~no-such-user/x", "~no-such-user/x"),
        ("x" * 5000, "x" * 5000),
        ("lab/students", None),
        ("https://lab.example.org/registry.yaml", None),
        ("default", None),
    ],
)
def test_a_path_is_told_from_a_repository_and_a_url(
    name: str, path: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "lab").touch()
    assert local.local_path(name) == (None if path is None else Path(path))


def test_of_several_registries_the_first_on_this_machine_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_STORE", str(tmp_path / "own" / "store"))
    own = tmp_path / "own" / "registry.yaml"
    for chosen, path in (
        ("https://lab.example.org, lab/students", own),
        ("https://lab.example.org, a.yaml, b.yaml", Path("a.yaml")),
        ("lab/students,default,b.yaml", own),
        (" , ", own),
    ):
        monkeypatch.setenv("ZOO_REGISTRY", chosen)
        assert local.default_path() == path


def test_zoo_registry_goes_before_what_stands_beside_the_store_and_that_before_the_packaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("ZOO_REGISTRY", "ZOO_STORE"):
        monkeypatch.delenv(variable, raising=False)
    packaged = local.default_path()
    package = Path(zoo.__file__).parent
    assert packaged.parent in (package, package.parent)
    assert local.default_path(package / "embedded") == packaged
    monkeypatch.setenv("ZOO_STORE", str(tmp_path / "own" / "store"))
    assert local.default_path() == tmp_path / "own" / "registry.yaml"
    assert local.default_path(tmp_path / "other" / "s") == tmp_path / "other" / "registry.yaml"
    monkeypatch.setenv("ZOO_REGISTRY", str(tmp_path / "chosen.yaml"))
    assert local.default_path(tmp_path / "other" / "s") == tmp_path / "chosen.yaml"


words = st.text("aZ09_.-", min_size=1, max_size=20)  # no file of Windows ends in a dot
names = words.map(lambda word: "a" + word.rstrip(".")) | st.sampled_from(
    ["null", "true", "12", "1e3", "0x1f", "README.md"]
)
# Digits and one e look like a number: such a hash must come back as text.
hexes = st.binary(min_size=32, max_size=32).map(bytes.hex) | st.sampled_from(
    ["1" * 31 + "e" + "2" * 32, "0" * 64, "7" * 64]
)
entries = st.builds(
    Entry,
    name=names,
    task=st.just("image-classification"),
    repo=st.just("org/name"),
    revision=hexes.map(lambda text: text[:40]),
    licence=st.sampled_from(["MIT", "no", "1e3", ""]),
    summary=st.text(st.characters(codec="utf-8", exclude_categories=["C"])),
    files=st.dictionaries(names, st.builds(FileRef, hexes, st.integers(0, 2**40)), min_size=1),
    headline=st.builds(
        Headline, st.floats(0, 1), st.just("Toys"), st.integers(0, 9), st.floats(0, 1e300)
    ),
    endpoint=st.sampled_from(["", "https://hub.example.org", "http://10.0.0.7:8080/hub"]),
)


@given(rows=st.lists(entries, max_size=2, unique_by=lambda entry: entry.name))
def test_what_is_rendered_is_read_back(rows: list[Entry], tmp_path: Path) -> None:
    text = records_entry.render(rows)
    assert loaded(text, tmp_path) == {entry.name: entry for entry in rows}
    assert records_entry.render(reversed(rows)) == text


def test_writing_leaves_the_registry_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "registry.yaml"
    for rows in ({}, loaded(ROW, tmp_path)):
        local.write(rows.values(), path)
        assert local.load(path) == rows
        assert list(tmp_path.iterdir()) == [path]


def test_a_registry_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RegistryError, match="Not a directory"):
        local.write([], tmp_path / "file" / "registry.yaml")


def test_what_would_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    entry = loaded(ROW, tmp_path)["toy-net.kd"]
    broken = Entry(**{**vars(entry), "summary": "a control character \x07\x7f"})
    before = (tmp_path / "registry.yaml").read_text()
    with pytest.raises(RegistryError):
        local.write([broken], tmp_path / "registry.yaml")
    assert (tmp_path / "registry.yaml").read_text() == before


# --- newer than this version ---------------------------------------------------------------------

NEWER = ROW + ROW.split("students:\n")[1].replace("toy-net.kd", "video-net.kd").replace(
    "    task: image-classification", "    format: 2\n    task: {of: video}\n    frames: 16"
)


def test_a_row_of_a_newer_format_is_passed_over_and_said(tmp_path: Path) -> None:
    with pytest.warns(ZooWarning, match=r"registry\.yaml: 'video-net\.kd': passed over"):
        assert list(loaded(NEWER, tmp_path)) == ["toy-net.kd"]


def test_who_would_write_the_registry_again_must_read_it_whole(tmp_path: Path) -> None:
    (tmp_path / "registry.yaml").write_text(NEWER)
    with pytest.raises(RegistryError, match="would be lost") as caught:
        local.load(tmp_path / "registry.yaml", whole=True)
    assert "upgrade" in caught.value.hint


@pytest.mark.parametrize("value", ["0", "-1", "true", "two", "1.5"])
def test_a_format_that_is_no_newer_one_is_an_error(value: str, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="format"):
        loaded(NEWER.replace("format: 2", f"format: {value}"), tmp_path)


def test_a_score_that_is_no_fraction_has_its_scale_in_the_row(tmp_path: Path) -> None:
    scale = "{unit: px, best: lowest, high: null}"
    told = f"accuracy: 3.2\n      metric: mean absolute error\n      scale: {scale}"
    entry = loaded(ROW.replace("accuracy: 0.9", told), tmp_path)["toy-net.kd"]
    assert entry.headline.scale == Scale("px", "lowest", 0.0, None)
    path = tmp_path / "again.yaml"
    local.write([entry], path)
    assert local.load(path) == {"toy-net.kd": entry}
    with pytest.raises(RegistryError, match=r"accuracy must lie in \[0\.0, None\], not -3\.2"):
        loaded(ROW.replace("accuracy: 0.9", told.replace("3.2", "-3.2")), tmp_path)
