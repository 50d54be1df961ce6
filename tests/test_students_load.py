"""Running a student: what it takes, what it gives, what it refuses."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import zoo
from zoo.errors import InputError, NotFound, ZooWarning
from zoo.inputs.pictures import MAX_BATCH, MAX_BATCH_PIXELS, groups
from zoo.students.classifier import softmax
from zoo.students.load import load
from zoo.students.student import Student

TINY = "colours-tiny.test"
COLOURS = {"red": (220, 20, 30), "green": (20, 210, 40), "blue": (10, 20, 230)}


def plain(label: str, width: int = 20, height: int = 10) -> np.ndarray:
    return np.full((height, width, 3), COLOURS[label], np.uint8)


@pytest.fixture
def student(tiny: Path) -> Student:
    return Student.open(tiny, threads=1)


# --- what it gives -------------------------------------------------------------------------------


def test_the_file_tells_its_name_labels_and_size(student: Student) -> None:
    assert student.name == TINY
    assert student.labels == ("red", "green", "blue")
    assert student.image_size == 8
    assert student.precision == "int8"
    assert repr(student) == "<Student colours-tiny.test int8, 3 labels>"


@pytest.mark.parametrize("label", COLOURS)
def test_one_picture_gives_its_labels_the_likeliest_first(label: str, student: Student) -> None:
    answer = student(plain(label))
    assert answer[0][0] == label
    assert [name for name, _ in answer] != list(student.labels) or label == "red"
    probabilities = [probability for _, probability in answer]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1)


def test_a_path_an_image_and_an_array_give_the_same(student: Student, tmp_path: Path) -> None:
    picture = Image.fromarray(plain("green"))
    picture.save(tmp_path / "a.png")
    answers = [
        student(given)
        for given in (plain("green"), picture, tmp_path / "a.png", str(tmp_path / "a.png"))
    ]
    assert all(answer == answers[0] for answer in answers)


def test_a_list_may_mix_kinds_and_sizes(student: Student, tmp_path: Path) -> None:
    Image.fromarray(plain("blue", 3, 50)).save(tmp_path / "a.png")
    mixed = [plain("red"), Image.fromarray(plain("green", 5, 5)), tmp_path / "a.png", plain("red")]
    answers = student(mixed)
    assert [answer[0][0] for answer in answers] == ["red", "green", "blue", "red"]
    for answer, one in zip(answers, mixed, strict=True):
        assert [label for label, _ in answer] == [label for label, _ in student(one)]


def test_a_batch_gives_a_list_of_lists(student: Student) -> None:
    batch = np.stack([plain("red"), plain("blue")])
    assert [answer[0][0] for answer in student(batch)] == ["red", "blue"]
    assert len(student(batch[:1])) == 1
    assert student(batch[:0]) == student([]) == []


def test_top_limits_the_answers(student: Student) -> None:
    assert len(student(plain("red"), top=2)) == 2
    assert len(student(plain("red"), top=99)) == 3
    with pytest.raises(InputError, match="top must be at least 1, not 0"):
        student(plain("red"), top=0)


@pytest.mark.parametrize("top", [None, 2.5, "3", [1]])
def test_what_is_no_number_of_answers_is_refused(student: Student, top: Any) -> None:
    with pytest.raises(InputError, match="top must be a whole number, not"):
        student(plain("red"), top=top)


def test_any_iterable_of_pictures_is_taken(student: Student, tmp_path: Path) -> None:
    for label in COLOURS:
        Image.fromarray(plain(label)).save(tmp_path / f"{label}.png")
    paths = [tmp_path / f"{label}.png" for label in COLOURS]
    wanted = student(paths)
    names = [str(path) for path in paths]
    for them in ((p for p in paths), iter(names), dict.fromkeys(paths), map(Path, names)):
        assert student(them) == wanted
    assert student(np.array(names)) == wanted
    assert student(path.read_bytes() for path in paths) == wanted


class _Reader:
    """What can be read and no more, as some libraries hand over what they fetch."""

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read


def test_bytes_and_open_files_are_pictures(student: Student, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(plain("blue")).save(path)
    wanted, data = student(path), path.read_bytes()
    for it in (data, bytearray(data), memoryview(data), io.BytesIO(data)):
        assert student(it) == wanted
    with path.open("rb") as file:
        assert student(file) == wanted
        file.seek(9)
        assert student([file, data]) == [wanted, wanted]
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as sink:
        sink.write(data)
    with os.fdopen(reading, "rb") as pipe:
        assert student(pipe) == wanted
    with path.open("rb") as file:
        assert student(_Reader(file)) == wanted
    with (
        path.open("r", encoding="latin-1") as text,
        pytest.raises(InputError, match="open as text"),
    ):
        student(text)
    with pytest.raises(InputError, match="is empty"):
        student(b"")


def test_logits_are_those_of_plain_onnxruntime(student: Student, tiny: Path) -> None:
    import onnxruntime

    batch = np.random.default_rng(0).integers(0, 256, (5, 9, 13, 3), np.uint8)
    session = onnxruntime.InferenceSession(tiny / "model.int8.onnx")
    wanted = session.run(["logits"], {"image": batch})[0]
    given_back = student.logits(batch)
    assert given_back.dtype == np.float32
    assert np.array_equal(given_back, wanted)
    assert np.array_equal(student.logits(batch[:, ::-1]), student.logits(batch[:, ::-1].copy()))


@given(st.lists(st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=3), min_size=1))
def test_softmax_gives_probabilities(rows: list[list[float]]) -> None:
    probabilities = softmax(np.array(rows, np.float32))
    assert np.all(probabilities >= 0)
    assert np.allclose(probabilities.sum(axis=-1), 1, atol=1e-5)


@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 5000), st.just(3)), max_size=40))
def test_groups_hold_each_row_once_and_one_shape(shapes: list[tuple[int, int, int]]) -> None:
    parts = groups(shapes)
    assert sorted(row for part in parts for row in part) == list(range(len(shapes)))
    for part in parts:
        assert len({shapes[row] for row in part}) == 1
        height, width, _ = shapes[part[0]]
        assert len(part) == 1 or len(part) * height * width <= MAX_BATCH_PIXELS
        assert len(part) <= MAX_BATCH


# --- which file ----------------------------------------------------------------------------------


def test_a_name_is_pulled_and_loaded(shelf: object) -> None:
    assert zoo.load(TINY)(plain("blue"))[0][0] == "blue"


def test_a_bare_name_means_the_registry_whatever_lies_about(
    shelf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / TINY).mkdir()
    assert zoo.load(TINY).path.is_relative_to(shelf.cache)
    with pytest.raises(NotFound, match="no student is called"):
        load("tiny")
    assert load("./tiny").path == load(Path("tiny")).path == Path("tiny/model.int8.onnx")


def test_a_folder_and_a_file_are_loaded_without_a_registry(tiny: Path) -> None:
    assert load(tiny).precision == "int8"
    assert load(tiny, precision="fp32").precision == "fp32"
    assert load(tiny / "model.fp32.onnx").precision == "fp32"
    assert load(str(tiny / "model.int8.onnx"), threads=2)(plain("red"))[0][0] == "red"


def spoil_golden(folder: Path, key: str) -> None:
    arrays = dict(np.load(folder / "golden.npz"))
    arrays[key] = arrays[key] + 1
    np.savez(folder / "golden.npz", **arrays)


def test_fp32_is_used_where_int8_answers_differently(tiny: Path) -> None:
    spoil_golden(tiny, "int8")
    with pytest.warns(ZooWarning, match="the 8-bit file answers differently on this processor"):
        assert load(tiny).precision == "fp32"
    assert load(tiny, precision="int8").precision == "int8"


def test_a_student_without_an_8_bit_file_runs_in_fp32(tiny: Path) -> None:
    (tiny / "model.int8.onnx").unlink()
    assert load(tiny).precision == "fp32"
    with pytest.raises(NotFound, match=r"no model\.int8\.onnx") as caught:
        load(tiny, precision="int8")
    assert "fp32" in caught.value.hint


def test_what_cannot_be_loaded_is_named(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="neither"):
        load(tmp_path)
    with pytest.raises(NotFound, match="no such file"):
        load(tmp_path / "none.onnx")
    with pytest.raises(InputError, match='precision is "auto", "int8" or "fp32", not "int4"'):
        load(tiny, precision="int4")  # type: ignore[arg-type]


def test_a_file_is_refused_as_another_precision(tiny: Path) -> None:
    assert load(tiny / "model.int8.onnx", precision="int8").precision == "int8"
    with pytest.raises(InputError, match=r"of precision fp32, not int8"):
        load(tiny / "model.fp32.onnx", precision="int8")


# --- what it refuses -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "message", "hint"),
    [
        (np.zeros((4, 4, 3), np.float32), "must be uint8, not float32", "array * 255"),
        (np.zeros((2, 4, 4, 3), np.float64), "must be uint8, not float64", "array * 255"),
        (np.zeros((4, 4, 3), np.int64), "must be uint8, not int64", "astype"),
        (np.zeros((4, 4, 3), bool), "must be uint8, not bool", "astype"),
        (np.zeros((4, 4), np.uint8), r"shape \(h, w, 3\), RGB last, not \(4, 4\)", "repeat"),
        (np.zeros((3, 4, 4), np.uint8), r"shape \(h, w, 3\)", "transpose"),
        (np.zeros((4, 4, 4), np.uint8), r"shape \(h, w, 3\)", ""),
        (np.zeros((0, 4, 3), np.uint8), r"not \(0, 4, 3\)", ""),
        (np.zeros((1, 2, 4, 4, 3), np.uint8), r"shape \(h, w, 3\)", ""),
        (np.zeros((2, 3, 4, 4), np.uint8), r"shape \(h, w, 3\)", "transpose"),
        (7, "a picture cannot be a int", "uint8 array"),
        (None, "a picture cannot be a NoneType", ""),
        ([[[0, 0, 0]]], "a picture cannot be a list", ""),
    ],
)
def test_a_wrong_array_is_one_error_that_says_what_is_wanted(
    array: object, message: str, hint: str, student: Student
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        student(array)  # type: ignore[arg-type]
    assert hint in caught.value.hint


@pytest.mark.parametrize("array", [np.zeros((4, 4, 3), np.uint8), [1, 2], None])
def test_logits_want_a_batch(array: object, student: Student) -> None:
    with pytest.raises(InputError, match=r"shape \(n, h, w, 3\)"):
        student.logits(array)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"", b"not ONNX", b"\x08\x08" * 50, b"\x89PNG\r\n\x1a\n" * 9])
def test_a_file_that_is_not_onnx_is_one_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.onnx: not an ONNX file that onnxruntime"):
        load(tmp_path / "a.onnx")


def test_a_cut_file_is_one_error(tiny: Path) -> None:
    data = (tiny / "model.fp32.onnx").read_bytes()
    for length in range(0, len(data) - 1, 97):
        (tiny / "cut.onnx").write_bytes(data[:length])
        with pytest.raises(InputError, match=r"cut\.onnx"):
            load(tiny / "cut.onnx")


def test_onnx_files_with_other_inputs_are_refused(tiny: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(tiny / "model.fp32.onnx")
    model.graph.input[0].name = "pixels"
    model.graph.node[0].input[0] = "pixels"
    onnx.save(model, tiny / "other.onnx")
    with pytest.raises(InputError, match=r"not a student: it has pixels tensor\(uint8\)") as caught:
        load(tiny / "other.onnx")
    assert "image tensor(uint8)" in caught.value.hint


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("studentzoo.labels", None, "its metadata has no studentzoo.labels"),
        ("studentzoo.labels", "red", "its metadata has no studentzoo.labels"),
        ("studentzoo.labels", "[1]", "not a list of texts"),
        ("studentzoo.labels", '["red", "green"]', "3 classes, but 2 labels"),
        ("studentzoo.input", "{}", "names no size"),
    ],
)
def test_onnx_files_without_the_metadata_are_refused(
    key: str, value: str | None, message: str, tiny: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(tiny / "model.fp32.onnx")
    about = {prop.key: prop.value for prop in model.metadata_props if prop.key != key}
    onnx.helper.set_model_props(model, about | ({key: value} if value is not None else {}))
    onnx.save(model, tiny / "other.onnx")
    with pytest.raises(InputError, match=message):
        load(tiny / "other.onnx")


# --- the task in the file ------------------------------------------------------------------------


def changed(tiny: Path, change: Callable[[Any], None]) -> Path:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(tiny / "model.fp32.onnx")
    change(model)
    path = tiny / "other.onnx"
    onnx.save(model, path)
    return path


def test_a_file_with_a_second_input_is_refused(tiny: Path) -> None:
    def more(model: Any) -> None:
        model.graph.input.append(model.graph.input[0])
        model.graph.input[1].name = "extra"

    with pytest.raises(InputError, match=r"not a student: it has image .*, extra "):
        load(changed(tiny, more))


def test_a_file_that_names_no_task_is_opened_by_what_it_reads(tiny: Path) -> None:
    def silent(model: Any) -> None:
        kept = [p for p in model.metadata_props if p.key != "studentzoo.task"]
        del model.metadata_props[:]
        model.metadata_props.extend(kept)

    assert type(load(changed(tiny, silent))).__name__ == "PictureStudent"


@pytest.mark.parametrize("task", ["image-segmentation", "\x1b[31mred\nhint: run rm", "x" * 10**6])
def test_a_file_of_an_unknown_task_says_so_in_one_clean_line(task: str, tiny: Path) -> None:
    def rename(model: Any) -> None:
        (prop,) = (p for p in model.metadata_props if p.key == "studentzoo.task")
        prop.value = task

    with pytest.raises(NotFound, match="is not known here") as caught:
        load(changed(tiny, rename))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 200


def test_a_file_of_another_task_than_its_graph_is_refused(tiny: Path) -> None:
    def rename(model: Any) -> None:
        (prop,) = (p for p in model.metadata_props if p.key == "studentzoo.task")
        prop.value = "text-classification"

    with pytest.raises(InputError, match="not a student: it has image") as caught:
        load(changed(tiny, rename))
    assert "codepoints tensor(int32)" in caught.value.hint


def test_metadata_that_onnxruntime_reads_otherwise_are_not_believed(tiny: Path) -> None:
    path = changed(tiny, lambda model: None)
    group = bytes([(99 << 3 | 3) & 127 | 128, (99 << 3) >> 7, (99 << 3 | 4) & 127 | 128, 99 >> 4])
    path.write_bytes(group + path.read_bytes())  # an unknown group, which we do not read past
    with pytest.raises(InputError):
        load(path)


@pytest.mark.parametrize("labels", ["[" * 100_000, '{"a": 1}', "nonsense"])
def test_labels_that_are_none_are_one_error(labels: str, tiny: Path) -> None:
    def rename(model: Any) -> None:
        (prop,) = (p for p in model.metadata_props if p.key == "studentzoo.labels")
        prop.value = labels

    with pytest.raises(InputError, match=r"studentzoo\.labels"):
        load(changed(tiny, rename))


def test_metadata_that_are_no_text_are_one_error(tiny: Path) -> None:
    path = changed(tiny, lambda model: None)
    path.write_bytes(
        path.read_bytes().replace(b"image-classification", b"image\xff\xfeclassification"[:20])
    )
    with pytest.raises(InputError, match=r"metadata"):
        load(path)


@pytest.mark.timeout(20)
def test_a_pipe_is_no_student_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.onnx")
    with pytest.raises(InputError, match="it is a named pipe, not a plain file"):
        load(str(tmp_path / "model.onnx"))
