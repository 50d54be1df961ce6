"""How pictures are prepared for a teacher: by preset, recipe, and what lies beside its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnx")

from onnx_teachers import CLASSES, MEAN, STD, expected, onnx_file, pictures

from distill.config import Teacher as Settings
from distill.config import TeacherInput
from distill.errors import DistillError
from distill.teachers import Teacher, open_teacher
from distill.teachers.preparation import PRESETS, Reads, others, resolve

HALF = (0.5, 0.5, 0.5)
CAFFE = (103.939, 116.779, 123.68)  # blue, green, red


def opened(path: Path, **said: Any) -> Teacher:
    told = TeacherInput(**said) if said else None
    return open_teacher(Settings(onnx=str(path), licence="MIT", input=told), CLASSES, 8)


def prepared(images: np.ndarray, shape: Any = ("n", "h", "w", 3), **said: Any) -> np.ndarray:
    return resolve(TeacherInput(**said), Reads("big.onnx", "tensor(float)", list(shape)))(images)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"preset": "imagenet"}, (1, MEAN, STD)),
        ({"preset": "inception"}, (1, HALF, HALF)),
        ({"preset": "none"}, (255, 0, 1)),
        ({"preset": "raw"}, (255, 0, 1)),
        ({"range": 1}, (1, 0, 1)),
        ({"mean": MEAN, "std": STD}, (1, MEAN, STD)),
        ({"preset": "imagenet", "mean": HALF, "std": HALF, "range": 1}, (1, HALF, HALF)),
        ({"range": 255, "mean": CAFFE}, (255, CAFFE, 1)),
    ],
)
def test_what_is_said_is_what_the_network_reads(
    tmp_path: Path, said: dict[str, Any], wanted: tuple[Any, ...]
) -> None:
    found = opened(onnx_file(tmp_path / "big.onnx"), **said)(pictures(3))
    np.testing.assert_allclose(found, expected(pictures(3), *wanted), rtol=1e-3, atol=1e-3)


def test_clip_and_openai_are_one() -> None:
    assert PRESETS["clip"] == PRESETS["openai"] and PRESETS["clip"].resize == "bicubic"


def test_the_numbers_of_a_preset_belong_to_colours_and_those_of_a_recipe_to_channels() -> None:
    images = pictures(2)
    straight = prepared(images, preset="imagenet")
    np.testing.assert_array_equal(
        prepared(images, preset="imagenet", color="bgr"), straight[..., ::-1]
    )
    caffe = prepared(images, range=255, mean=CAFFE, color="bgr")
    np.testing.assert_allclose(caffe, images[..., ::-1].astype(float) - CAFFE, atol=1e-4)


def test_the_middle_is_cut_out_of_a_picture_resized_as_pillow_does_it() -> None:
    images = pictures(2, 40)
    found = prepared(images, ("n", 28, 28, 3), preset="none", crop=0.875, resize="bicubic")
    large = Image.fromarray(images[1]).resize((32, 32), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(found[1], np.asarray(large)[2:30, 2:30].astype(np.float32))


def test_a_recipes_size_is_that_of_a_file_that_leaves_it_free() -> None:
    assert prepared(pictures(2), preset="none", size=12).shape == (2, 12, 12, 3)
    assert prepared(pictures(2), preset="none").shape == (2, 8, 8, 3)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"mean": (0.5,)}, "mean must have 3 numbers, not 1"),
        ({"std": (0.2, 0.0, 0.2)}, "std must be > 0"),
        ({"mean": (123.7, 116.3, 103.5)}, "say range: 255"),
        ({"preset": "none", "mean": HALF}, "contradict preset none"),
        ({"crop": 1.5}, "crop must lie in"),
        ({"size": -1}, "size must be"),
    ],
)
def test_what_cannot_be_meant_is_refused(said: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TeacherInput(**said)


def test_input_and_output_are_of_an_onnx_teacher() -> None:
    with pytest.raises(ValueError, match="those of an onnx teacher"):
        Settings(callable="a:b", licence="MIT", output="logits")


def test_what_is_done_to_pictures_is_part_of_what_a_teacher_is(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "big.onnx", "FLOAT", ("n", 3, "h", "w"))
    said: list[dict[str, Any]] = [
        {"preset": "imagenet"},
        {"preset": "inception"},
        {"preset": "imagenet", "color": "bgr"},
        {"preset": "imagenet", "size": 16},
        {"preset": "imagenet", "size": 16, "crop": 0.9},
        {"preset": "imagenet", "size": 16, "resize": "bicubic"},
    ]
    assert len({opened(path, **one).sha256 for one in said}) == len(said)
    assert opened(path, mean=MEAN, std=STD).sha256 == opened(path, preset="imagenet").sha256


# --- what lies beside ----------------------------------------------------------------------------

PROCESSOR = {"image_mean": list(MEAN), "image_std": list(STD), "size": 16, "resample": 3}
TIMM = {"mean": list(HALF), "std": list(HALF), "input_size": [3, 16, 16], "crop_pct": 0.9}


@pytest.mark.parametrize(
    ("name", "facts", "wanted"),
    [
        ("preprocessor_config.json", PROCESSOR, (1, MEAN, STD)),
        ("preprocessor_config.json", PROCESSOR | {"do_rescale": False}, (255, MEAN, STD)),
        ("preprocessor_config.json", PROCESSOR | {"do_normalize": False}, (1, 0, 1)),
        (
            "preprocessor_config.json",
            {"rescale_factor": 1 / 127.5, "rescale_offset": True, "do_normalize": False},
            (2, 1, 1),
        ),
        ("config.json", {"architecture": "resnet18", "pretrained_cfg": TIMM}, (1, HALF, HALF)),
    ],
)
@pytest.mark.parametrize("folder", ["", "onnx"])
def test_what_its_publisher_put_beside_a_file_is_read(
    tmp_path: Path, name: str, facts: Any, wanted: Any, folder: str
) -> None:
    (tmp_path / name).write_text(json.dumps(facts))
    (tmp_path / folder).mkdir(exist_ok=True)
    teacher = opened(onnx_file(tmp_path / folder / "big.onnx"))
    flat = np.full((2, 8, 8, 3), (10, 100, 200), np.uint8)
    np.testing.assert_allclose(teacher(flat), expected(flat, *wanted), rtol=1e-3, atol=1e-3)
    assert f"as {name} says" in teacher.notes[0]


def told(facts: Any, tmp_path: Path) -> TeacherInput:
    from distill.teachers import beside

    (tmp_path / "preprocessor_config.json").write_text(json.dumps(facts))
    found, _ = beside.find(tmp_path / "big.onnx")
    assert found is not None
    return found


def test_sizes_crops_and_colours_of_hugging_face_are_understood(tmp_path: Path) -> None:
    cut = {"do_center_crop": True, "crop_size": {"height": 224, "width": 224}}
    found = told(PROCESSOR | {"size": {"shortest_edge": 256}} | cut, tmp_path)
    assert (found.size, found.crop, found.resize) == (224, 0.875, "bicubic")
    found = told(PROCESSOR | {"size": {"shortest_edge": 224}, "crop_pct": 0.875}, tmp_path)
    assert (found.size, found.crop) == (224, 0.875)
    found = told(PROCESSOR | {"size": {"height": 384, "width": 384}, "crop_pct": 0.9}, tmp_path)
    assert (found.size, found.crop) == (384, 1.0)
    assert told(PROCESSOR | {"do_flip_channel_order": True}, tmp_path).color == "bgr"


def test_the_recipe_goes_before_what_lies_beside(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    path = onnx_file(tmp_path / "big.onnx")
    inception = opened(path, preset="inception")
    flat = np.full((2, 8, 8, 3), (10, 100, 200), np.uint8)
    wanted = expected(flat, 1, HALF, HALF)
    np.testing.assert_allclose(inception(flat), wanted, rtol=1e-3, atol=1e-3)
    assert "16 x 16 pixels" in inception.notes[0]  # what it leaves out is the other's
    turned = opened(path, color="bgr")(flat)
    np.testing.assert_allclose(turned, expected(flat[..., ::-1], 1, MEAN[::-1], STD[::-1]), 1e-3)


@pytest.mark.parametrize(
    "facts", ["{", "[" * 100_000, json.dumps(PROCESSOR | {"image_mean": "x"}),
              json.dumps(PROCESSOR | {"size": {}}), json.dumps(PROCESSOR | {"resample": 17}),
              json.dumps(PROCESSOR | {"image_std": [0, 0, 0]})],
)  # fmt: skip
def test_a_file_beside_that_is_not_understood_is_named(tmp_path: Path, facts: str) -> None:
    (tmp_path / "preprocessor_config.json").write_text(facts)
    with pytest.raises(DistillError, match=r"preprocessor_config\.json"):
        opened(onnx_file(tmp_path / "big.onnx"))


@pytest.mark.parametrize("said", [{"preset": "none"}, {"range": 1}, {"mean": MEAN, "std": STD}])
def test_what_the_recipe_says_needs_no_file_beside_and_a_broken_one_is_told(
    tmp_path: Path, said: dict[str, Any]
) -> None:
    (tmp_path / "preprocessor_config.json").write_text("{")
    path = onnx_file(tmp_path / "big.onnx")
    assert "passed over: " in opened(path, **said).notes[0]
    with pytest.raises(DistillError, match=r"preprocessor_config\.json"):
        opened(path, color="bgr")


def test_the_note_names_a_file_beside_for_what_it_decided(tmp_path: Path) -> None:
    beside = tmp_path / "preprocessor_config.json"
    beside.write_text(json.dumps(PROCESSOR))
    path = onnx_file(tmp_path / "big.onnx")
    note = opened(path, preset="inception").notes[0]
    assert "; resized as preprocessor_config.json says" in note and ", as" not in note
    beside.write_text(json.dumps(PROCESSOR | {"do_resize": False, "resample": 2}))
    assert "preprocessor_config.json" not in opened(path, preset="inception").notes[0]


def test_pictures_that_are_kept_smaller_than_they_are_read_are_told(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "big.onnx", shape=("n", 3, 28, 28))
    (*_, note) = opened(path, preset="none", crop=0.875).notes
    assert note.startswith("pictures are kept at 8 pixels: data.keep_size: 32 shows")
    exact = onnx_file(tmp_path / "exact.onnx", shape=("n", 3, 8, 8))
    assert len(opened(exact, preset="none").notes) == 1


def test_a_config_of_transformers_says_nothing_of_pictures(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {"0": "ant"}}))
    with pytest.raises(DistillError, match="in which range"):
        opened(onnx_file(tmp_path / "big.onnx"))


def test_the_usual_ways_are_others_than_its_own() -> None:
    reads = Reads("big.onnx", "tensor(float)", ["n", 3, 8, 8])
    own = resolve(TeacherInput(preset="imagenet"), reads)
    found = others(own)
    assert "{preset: imagenet}" not in found and len(found) == 9
    assert own not in found.values() and all(one.sides == (8, 8) for one in found.values())
    assert others(resolve(None, reads._replace(kind="tensor(uint8)"))) == {}
