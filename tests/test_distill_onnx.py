"""ONNX teachers as tools write them: any layout, batch, output, weights beside or within."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx_teachers import CLASSES, WEIGHTS, expected, onnx_file, pictures

from distill.config import Teacher as Settings
from distill.config import TeacherInput
from distill.errors import DistillError
from distill.teachers import Teacher, open_teacher
from distill.teachers.onnx_file import PART

IMAGENET = TeacherInput(preset="imagenet")
NAMES = ("ant", "bee", "cat")


def opened(path: Path, said: TeacherInput | None = IMAGENET, **settings: Any) -> Teacher:
    about = Settings(onnx=str(path), licence="MIT", input=said, **settings)
    return open_teacher(about, CLASSES, 8, names=NAMES, threads=2)


def same(found: np.ndarray, wanted: np.ndarray, tolerance: float = 1e-4) -> None:
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", ["FLOAT", "FLOAT16", "DOUBLE"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("batch", ["n", 1, 5])
def test_floats_of_any_layout_and_batch_are_answered(
    tmp_path: Path, kind: str, layout: str, batch: int | str
) -> None:
    last = layout == "NHWC"
    shape = (batch, "h", "w", 3) if last else (batch, 3, "h", "w")
    teacher = opened(onnx_file(tmp_path / "big.onnx", kind, shape, channels_last=last))
    for n in (1, 4, 5, 2 * PART + 3):
        same(teacher(pictures(n)), expected(pictures(n)), 2e-2 if kind == "FLOAT16" else 1e-4)
    assert layout in teacher.notes[0]


def test_a_fixed_size_is_resized_to(tmp_path: Path) -> None:
    teacher = opened(onnx_file(tmp_path / "big.onnx", shape=(1, 3, 20, 24)))
    flat = np.full((2, 8, 8, 3), (10, 100, 200), np.uint8)
    same(teacher(flat), expected(flat))
    assert "20 x 24 pixels" in teacher.notes[0]


def test_bytes_are_read_as_they_are_in_any_layout(tmp_path: Path) -> None:
    last = onnx_file(tmp_path / "last.onnx", "UINT8", ("n", "h", "w", 3), channels_last=True)
    first = onnx_file(tmp_path / "first.onnx", "UINT8", ("n", 3, 8, 8))
    wanted = expected(pictures(3), 255, 0, 1)
    for path in (last, first):
        same(opened(path, None)(pictures(3)), wanted, 1e-3)
    assert opened(last, None).notes == ()


@pytest.mark.parametrize(
    ("kind", "shape", "said", "message", "hint"),
    [
        ("FLOAT", ("n", 3, "h", "w"), None, "in which range", "preset: imagenet"),
        ("FLOAT", ("n", "c", "h", "w"), IMAGENET, "NCHW or NHWC", "teacher.input.layout"),
        ("FLOAT", ("n", 3, "h", 3), IMAGENET, "NCHW or NHWC", "teacher.input.layout"),
        ("FLOAT", ("n", 1, 28, 28), IMAGENET, "no axis of 3 colours", "colours"),
        ("FLOAT", ("n", 3, 8, 8), TeacherInput(layout="NHWC"), "no NHWC of 3", "colours"),
        ("FLOAT", ("n", 3, 9, 9), TeacherInput(size=8), "9 x 9 pixels", "size"),
        ("INT8", ("n", 3, 8, 8), IMAGENET, "not a picture", "uint8"),
        ("UINT8", ("n", 3, 8, 8), IMAGENET, "normalised", "leave range"),
    ],
)
def test_what_is_not_known_of_a_file_is_one_error_that_names_the_key(
    tmp_path: Path, kind: str, shape: Any, said: TeacherInput | None, message: str, hint: str
) -> None:
    weights = WEIGHTS[:1] if shape[1] == 1 else WEIGHTS
    path = onnx_file(tmp_path / "big.onnx", kind, shape, weights=weights)
    with pytest.raises(DistillError, match=message) as told:
        opened(path, said)
    assert "big.onnx" in str(told.value) and hint in told.value.hint


def test_a_layout_that_the_shape_leaves_open_is_the_recipes(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "big.onnx", shape=("n", "c", "h", "w"))
    said = TeacherInput(preset="imagenet", layout="NCHW")
    same(opened(path, said)(pictures(2)), expected(pictures(2)))


# --- which output --------------------------------------------------------------------------------


def test_the_only_output_as_wide_as_the_classes_answers(tmp_path: Path) -> None:
    wide = np.concatenate([WEIGHTS, WEIGHTS], 1)
    outputs = (("features", 6), ("scores", 3))
    path = onnx_file(tmp_path / "big.onnx", outputs=outputs, weights=wide)
    same(opened(path)(pictures(2)), expected(pictures(2)))


def test_of_several_outputs_one_must_be_named(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "big.onnx", outputs=(("main", 3), ("aux", 3)))
    with pytest.raises(DistillError, match=r"main .*aux .*more than one may be") as told:
        opened(path)
    assert "teacher.output: main" in told.value.hint
    assert opened(path, output="aux").sha256 != opened(path, output="main").sha256
    same(opened(path, output="aux")(pictures(2)), expected(pictures(2)))
    with pytest.raises(DistillError, match="no output 'axu'"):
        opened(path, output="axu")


def test_four_answers_to_three_classes_are_one_error_that_says_how(tmp_path: Path) -> None:
    path = onnx_file(
        tmp_path / "big.onnx", outputs=(("logits", 4),), weights=np.ones((3, 4), np.float32)
    )
    with pytest.raises(DistillError, match=r"'n', 4\]; the data has 3 classes") as told:
        opened(path)
    assert "teacher.classes" in told.value.hint


def test_an_output_with_axes_of_one_behind_it_is_flat(tmp_path: Path) -> None:
    same(opened(onnx_file(tmp_path / "big.onnx", ones=True))(pictures(5)), expected(pictures(5)))


# --- weights beside the file ---------------------------------------------------------------------


def test_weights_beside_the_file_are_read_and_part_of_what_it_is(tmp_path: Path) -> None:
    inside = opened(onnx_file(tmp_path / "one.onnx"))
    path = onnx_file(tmp_path / "big.onnx", beside="big.onnx.data")
    teacher = opened(path)
    same(teacher(pictures(3)), inside(pictures(3)))
    content = (tmp_path / "big.onnx.data").read_bytes()
    (tmp_path / "big.onnx.data").write_bytes(content[:-1] + b"\x01")
    assert opened(path).sha256 != teacher.sha256
    (tmp_path / "elsewhere").mkdir()
    for name in ("big.onnx", "big.onnx.data"):
        shutil.copy(tmp_path / name, tmp_path / "elsewhere" / name)
    assert opened(tmp_path / "elsewhere" / "big.onnx").sha256 == opened(path).sha256


def test_weights_beside_a_link_as_in_a_cache_are_found(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "big.onnx", beside="big.onnx.data")
    for folder in ("blobs", "snapshot"):
        (tmp_path / folder).mkdir()
    for name in ("big.onnx", "big.onnx.data"):
        (tmp_path / name).rename(tmp_path / "blobs" / name[::-1])
        (tmp_path / "snapshot" / name).symlink_to(tmp_path / "blobs" / name[::-1])
    same(opened(tmp_path / "snapshot" / path.name)(pictures(3)), expected(pictures(3)))


def test_a_side_file_that_is_missing_or_cut_is_named(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "big.onnx", beside="weights.bin")
    side = tmp_path / "weights.bin"
    side.write_bytes(side.read_bytes()[:-4])
    with pytest.raises(DistillError, match=r"weights\.bin is cut"):
        opened(path)
    side.unlink()
    with pytest.raises(DistillError, match=r"weights\.bin: no such file") as told:
        opened(path)
    assert "in one folder" in told.value.hint


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "a/../../b", "c:\\x"])
def test_weights_outside_the_files_folder_are_refused(tmp_path: Path, place: str) -> None:
    import onnx

    path = onnx_file(tmp_path / "big.onnx", beside="weights.bin")
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = place
    path.write_bytes(model.SerializeToString())
    with pytest.raises(DistillError, match="outside its own folder"):
        opened(path)


def test_a_pointer_of_git_lfs_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "big.onnx"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    with pytest.raises(DistillError, match="not an ONNX file") as told:
        opened(path)
    assert "LFS" in told.value.hint
