"""Tables of paths and labels: CSV, TSV and JSON lines."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from distill.config import Data
from distill.data import Dataset, load
from distill.data.tables import Table
from distill.errors import DistillError

SIZE = 8  # pixels
FORMS = pytest.mark.parametrize("form", ["csv", "tsv", "jsonl"])
Rows = list[dict[str, object]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty pictures, of which no folder tells the class."""
    chance = np.random.default_rng(0)
    (tmp_path / "img").mkdir()
    for i in range(40):
        pixels = chance.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"img/{i:02d}.png")
    return tmp_path


def rows(**more: object) -> Rows:
    found: Rows = [{"path": f"img/{i:02d}.png", "label": ["cat", "dog"][i % 2]} for i in range(40)]
    return [row | more for row in found]


def write(folder: Path, form: str, given: Rows) -> Path:
    path = folder / f"pictures.{form}"
    if form == "jsonl":
        path.write_text("\n".join(map(json.dumps, given)) + "\n")
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, given[0], delimiter="," if form == "csv" else "\t")
            writer.writeheader()
            writer.writerows(given)
    return path


def read(path: Path, split: str = "train", **settings: object) -> Dataset:
    data = Data(str(path), "CC0-1.0", image_size=SIZE, validation=0.25, **settings)  # type: ignore[arg-type]
    return load(data, split)  # type: ignore[arg-type]


def error_of(path: Path, **settings: object) -> DistillError:
    with pytest.raises(DistillError) as caught:
        read(path, **settings)
    return caught.value


SPLITS = ("train", "validation", "test")


@FORMS
def test_a_table_without_splits_is_divided_by_the_names(folder: Path, form: str) -> None:
    path = write(folder, form, rows())
    parts = [read(path, split) for split in SPLITS]
    assert [len(part) for part in parts] == [24, 8, 8]
    assert "no column split: 8 of 40" in parts[0].doubts[0]
    for part in parts:
        assert part.classes == ("cat", "dog")
        for name, label, pixels in zip(part.names, part.labels, part.images, strict=True):
            kind, _, picture = name.partition("/")
            assert kind == part.classes[label] == ("cat", "dog")[int(Path(picture).stem) % 2]
            assert np.array_equal(pixels, np.asarray(Image.open(folder / picture)))


@FORMS
def test_a_column_of_splits_is_taken_at_its_word(folder: Path, form: str) -> None:
    given = [row | {"Split": "Training" if i < 30 else "test"} for i, row in enumerate(rows())]
    path = write(folder, form, given)
    assert len(read(path, "test")) == 10
    assert [int(Path(n).stem) >= 30 for n in read(path, "test").names] == [True] * 10
    assert read(path).doubts == ()


def test_val_without_test_is_the_test_split(folder: Path) -> None:
    given = [row | {"split": "train" if i < 30 else "val"} for i, row in enumerate(rows())]
    path = write(folder, "csv", given)
    assert len(read(path, "test")) == 10 and "no test/: the 10" in read(path).doubts[0]


def test_every_form_has_the_same_hash(folder: Path) -> None:
    assert len({read(write(folder, f, rows())).sha256 for f in ("csv", "tsv", "jsonl")}) == 1


@pytest.mark.parametrize(
    "names", [("File_Name", "Category"), ("image", " CLASS "), ("filename", "label")]
)
def test_columns_have_their_usual_names_and_others_are_not_looked_at(
    folder: Path, names: tuple[str, str]
) -> None:
    given: Rows = [dict(zip((*names, "width"), (*row.values(), 8), strict=True)) for row in rows()]
    assert len(read(write(folder, "csv", given))) == 24


def test_a_table_of_a_spreadsheet_is_read(folder: Path) -> None:
    """A mark of byte order, line ends of two signs, quotes, an empty line."""
    lines = ["path,label", *(f'"img/{i:02d}.png","a, ""{"bc"[i % 2]}"""' for i in range(40)), ""]
    (folder / "s.csv").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    assert read(folder / "s.csv").classes == ('a, "b"', 'a, "c"')


def test_whole_numbers_of_json_are_names_of_classes(folder: Path) -> None:
    given = [row | {"label": i % 12} for i, row in enumerate(rows())]
    data = read(write(folder, "jsonl", given), order="natural")
    assert data.classes == tuple(map(str, range(12)))


def test_blanks_around_a_label_are_no_part_of_it(folder: Path) -> None:
    lines = ["path,label", *(f"img/{i:02d}.png, {'ab'[i % 2]} " for i in range(40))]
    (folder / "s.csv").write_text("\n".join(lines))
    assert read(folder / "s.csv").classes == ("a", "b")


@FORMS
def test_without_labels_the_column_may_be_missing(folder: Path, form: str) -> None:
    given: Rows = [{"path": row["path"]} for row in rows()]
    path = write(folder, form, given)
    assert "which column is the label? Columns: path" in str(error_of(path))
    data = read(path, labelled=False)
    assert data.classes == () and len(data) == 24
    assert read(write(folder, form, rows()), labelled=False).sha256 == data.sha256


OUTSIDE = [
    "../out.png",
    "/etc/passwd",
    "img/../../out.png",
    "C:/x.png",
    "img\\..\\x.png",
    "a\0b.png",
]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("name", OUTSIDE)
def test_a_path_that_leads_out_is_an_error_with_its_line(
    folder: Path, form: str, name: str
) -> None:
    given = rows()
    given[4]["path"] = name
    path = write(folder, form, given)
    line = 5 if form == "jsonl" else 6
    assert str(error_of(path)).startswith(f"{path}:{line}: ")


def test_a_link_that_leads_out_is_not_followed(folder: Path) -> None:
    inside = folder / "in"
    inside.mkdir()
    (folder / "img").rename(inside / "img")
    (inside / "img/03.png").rename(folder / "out.png")
    (inside / "img/03.png").symlink_to(folder / "out.png")
    (inside / "img/05.png").unlink()
    (inside / "img/05.png").symlink_to("05.png")
    told = str(error_of(write(inside, "csv", rows())))
    assert "pictures.csv:5: img/03.png: it is a link that leads out" in told
    assert "pictures.csv:7: img/05.png: cannot be read" in told


def test_pictures_that_are_missing_or_broken_are_one_list_with_their_lines(folder: Path) -> None:
    (folder / "img/07.png").unlink()
    (folder / "img/20.png").write_bytes(b"cut")
    path = write(folder, "csv", rows())
    told = str(error_of(path))
    assert f"{path}:9: img/07.png: cannot be read: No such file" in told
    assert f"{path}:22: img/20.png: not a picture" in told
    assert sum(read(path, s, on_broken="skip").skipped for s in SPLITS) == 2


@pytest.mark.parametrize(
    ("form", "text", "message"),
    [
        ("csv", "", "has no rows"),
        ("csv", "path,label\n", "has no rows"),
        ("csv", "path,label\na.png\n", ":2: 1 cells under a head of 2"),
        ("csv", "path,label\na.png,cat,dog\n", ":2: 3 cells under a head of 2"),
        ("csv", "path,label,label\na.png,cat,dog\n", ":1: the column 'label' is there twice"),
        ("csv", "path,image,label\na.png,b.png,cat\n", "which column is the path"),
        ("csv", "path,label\na.png,cat\n\nb.png, \n", ":4: label is ' '"),
        ("csv", "path,label\n,cat\n", ":2: path is empty"),
        ("csv", 'path,label\na.png,"cat\n', ":2: unexpected end of data"),
        ("csv", "path,label\na.png,cat\nb.png,dog\na.png,dog\n", ":4: a.png stands in line 2"),
        ("csv", "path,label,split\na.png,cat,holdout\n", ":2: no split is called 'holdout'"),
        ("csv", "path,label,split\na.png,cat,\n", ":2: split is empty"),
        ("tsv", "path,label\na.png,cat\n", "which column is the path"),
        ("jsonl", "\n", "has no rows"),
        ("jsonl", '{"path": "a.png", "label": "cat"}\n{', ":2: it is not JSON"),
        ("jsonl", '["a.png", "cat"]', ":1: it is not a JSON object"),
        ("jsonl", '{"path": "a.png", "label": null}', ":1: label is empty"),
        ("jsonl", '{"path": "a.png", "label": true}', ":1: label is True"),
        ("jsonl", '{"path": ["a.png"], "label": "cat"}', ":1: path is ['a.png']"),
        ("jsonl", '{"path": "\\ud800.png", "label": "cat"}', ":1: path '\\ud800.png' is no text"),
        ("jsonl", '{"path": "a.png", "label": "cat"}\n{"path": "b.png"}', ":2: label is empty"),
        ("jsonl", "[" * 100_000, ":1: it is not JSON"),
    ],
)
def test_a_table_that_is_wrong_is_one_error(
    tmp_path: Path, form: str, text: str, message: str
) -> None:
    path = tmp_path / f"pictures.{form}"
    path.write_text(text)
    assert message in str(error_of(path))


def test_text_of_another_encoding_is_an_error_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("path,label\na.png,cat\né.png,dog\n".encode("latin-1"))
    assert "t.csv:3: it is not UTF-8" in str(error_of(tmp_path / "t.csv"))


@given(st.sampled_from(["csv", "tsv", "jsonl"]), st.binary(max_size=200))
def test_any_bytes_are_rows_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, form: str, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / f"x.{form}"
    path.write_bytes(content)
    try:
        Table(path).listing()
    except DistillError as error:
        assert "x." in str(error)
