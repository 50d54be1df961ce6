"""Pictures that nobody has labelled: any folder or archive, flat or deep."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from packed import packed as pack
from packed import png

from distill.config import Data, Teacher
from distill.data import Dataset, doubles, load
from distill.errors import DistillError

SIZE = 8  # pixels


def packed(names: list[str], place: Path, kind: str = "folder") -> Path:
    files = {name: png(seed) for seed, name in enumerate(names)}
    return pack(files, place / f"photos.{kind}")


def read(path: Path, split: str = "train", **settings: object) -> Dataset:
    settings = {"image_size": SIZE, "validation": 0.25, "labelled": False, **settings}
    return load(Data(str(path), "CC0-1.0", **settings), split)  # type: ignore[arg-type]


SPLITS = ("train", "validation", "test")
FLAT = [f"{i:02d}.png" for i in range(30)]
DEEP = [f"2024/{i % 3}/{i % 2}/{i:02d}.png" for i in range(20)] + FLAT[:10]
KINDS = pytest.mark.parametrize("kind", ["folder", "zip", "tar"])


@KINDS
@pytest.mark.parametrize("names", [FLAT, DEEP, [f"all/{name}" for name in DEEP]])
def test_every_picture_is_in_one_split_by_its_whole_name(
    tmp_path: Path, kind: str, names: list[str]
) -> None:
    path = packed(names, tmp_path, kind)
    parts = [read(path, split) for split in SPLITS]
    assert sorted(name for part in parts for name in part.names) == sorted(names)
    assert [len(part) for part in parts] == [18, 6, 6]
    for part in parts:
        assert part.classes == () and not part.labels.any()
    assert "a fifth of them by the sha256 of the name" in parts[0].doubts[0]


def test_every_container_has_the_same_hash(tmp_path: Path) -> None:
    assert len({read(packed(DEEP, tmp_path, k)).sha256 for k in ("folder", "zip", "tar")}) == 1


@KINDS
def test_folders_that_are_named_train_and_test_are_the_splits(tmp_path: Path, kind: str) -> None:
    names = [f"train/{name}" for name in DEEP] + [f"test/{i}.png" for i in range(4)]
    path = packed(names, tmp_path, kind)
    assert read(path, "test").names == tuple(f"{i}.png" for i in range(4))
    assert len(read(path)) + len(read(path, "validation")) == len(DEEP)
    assert read(path).doubts == ()


@pytest.mark.parametrize("other", ["train/1/a.png", "test/b.png", "more/c.png", "d.png"])
def test_folders_that_only_look_like_splits_are_folders(tmp_path: Path, other: str) -> None:
    """Trains and tests of an album, beside pictures that are in neither."""
    names = [f"album/{name}" for name in FLAT] + [other]
    assert sum(len(read(packed(names, tmp_path), split)) for split in SPLITS) == 31


def test_labels_that_are_there_are_not_looked_at(tmp_path: Path) -> None:
    names = [f"{label}/{i}.png" for label in ("cat", "dog") for i in range(10)]
    data = read(packed(names, tmp_path))
    assert data.classes == () and set(data.names) < set(names)


def test_of_a_source_that_knows_labels_only_they_are_dropped() -> None:
    data = load(Data("digits", "CC-BY-4.0", image_size=8, labelled=False), "test")
    assert data.classes == () and not data.labels.any() and len(data) == 359


def test_what_is_no_picture_is_passed_over_and_said(tmp_path: Path) -> None:
    path = packed(FLAT, tmp_path)
    for name in ("notes.txt", "film.mp4", ".DS_Store"):
        (path / name).write_bytes(b"?")
    told = read(path).doubts[0]
    assert told == "2 files are not named like pictures and passed over, as film.mp4"


@KINDS
def test_a_place_without_a_picture_is_one_error(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DistillError, match="holds no picture"):
        read(packed(["notes.txt"], tmp_path, kind))


def test_who_forgets_to_say_that_there_are_no_labels_is_told(tmp_path: Path) -> None:
    with pytest.raises(DistillError) as caught:
        read(packed(FLAT, tmp_path), labelled=True)
    assert "30 pictures are in no class folder" in str(caught.value)
    assert "data.labelled: false" in caught.value.hint


def test_broken_and_double_pictures_are_found_as_ever(tmp_path: Path) -> None:
    path = packed(FLAT, tmp_path)
    train, test = (read(path, split).names[0] for split in ("train", "test"))
    (path / "copy.png").write_bytes((path / train).read_bytes())
    (path / test).write_bytes((path / train).read_bytes())
    found = doubles.find(*(read(path, split) for split in SPLITS))
    assert found.test >= 1
    (path / train).write_bytes(b"cut")
    with pytest.raises(DistillError, match=f"{train}: not a picture"):
        read(path)


def test_a_teachers_answers_become_labels_and_change_no_hash(tmp_path: Path) -> None:
    data = read(packed(FLAT, tmp_path))
    answers = np.arange(len(data)) % 2
    found = data.answered(answers, ("cat", "dog"))
    assert found.classes == ("cat", "dog") and found.labels.tolist() == answers.tolist()
    assert found.sha256 == data.sha256 and found.labels.dtype == np.int64


# --- what the teacher calls its classes ----------------------------------------------------------


def test_a_file_names_its_classes(files: Path) -> None:
    pytest.importorskip("onnx")
    from distill.teachers.class_names import class_names

    path = files / "tiny" / "model.fp32.onnx"
    expected = ("red", "green", "blue")
    assert class_names(Teacher(onnx=str(path), licence="MIT")) == expected
    assert class_names(Teacher(recipe="another"), path) == expected


@pytest.mark.parametrize(
    "labels", [None, "no JSON", '{"a": 1}', "[1, 2]", '["a"]', '["a", "a"]', "[]"]
)
def test_a_file_that_names_none_or_nonsense_is_one_error(
    tmp_path: Path, files: Path, labels: str | None
) -> None:
    onnx = pytest.importorskip("onnx")
    from distill.teachers.class_names import class_names

    model = onnx.load(files / "tiny" / "model.fp32.onnx")
    del model.metadata_props[:]
    if labels is not None:
        onnx.helper.set_model_props(model, {"studentzoo.labels": labels})
    onnx.save(model, tmp_path / "t.onnx")
    with pytest.raises(DistillError, match=r"t\.onnx") as caught:
        class_names(Teacher(onnx=str(tmp_path / "t.onnx"), licence="MIT"))
    assert "teacher.classes" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"<html>", json.dumps({}).encode()])
def test_a_file_that_is_no_onnx_is_one_error(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("onnx")
    from distill.teachers.class_names import class_names

    (tmp_path / "t.onnx").write_bytes(content)
    with pytest.raises(DistillError, match=r"t\.onnx"):
        class_names(Teacher(onnx=str(tmp_path / "t.onnx"), licence="MIT"))


@pytest.mark.parametrize("kind", ["callable", "module"])
def test_code_names_none_and_the_recipe_is_asked_to(kind: str) -> None:
    from distill.teachers.class_names import class_names

    with pytest.raises(DistillError, match="my:answer does not name") as caught:
        class_names(Teacher(**{kind: "my:answer"}, licence="MIT"))
    assert "teacher.classes" in caught.value.hint


@pytest.mark.parametrize("classes", [("a", "b", "a"), ("a",)])
def test_classes_that_cannot_be_are_refused(classes: tuple[str, ...]) -> None:
    from distill.teachers.class_names import class_names

    with pytest.raises(DistillError, match=r"teacher\.classes are fewer than two, or one is"):
        class_names(Teacher(callable="my:answer", licence="MIT", classes=classes))
