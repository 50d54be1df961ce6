"""How a picture becomes what a file reads: presets, what stands beside the file, options."""

import json

import numpy as np
import pytest

from zoo.errors import InputError
from zoo.foreign.preprocess import PRESETS, Asked, Preprocess, settled

MEAN, STD = [0.48, 0.45, 0.4], [0.26, 0.25, 0.27]


@pytest.mark.parametrize(
    ("name", "black", "white"),
    [
        ("imagenet", (-2.1179, -2.0357, -1.8044), (2.2489, 2.4286, 2.64)),
        ("inception", (-1, -1, -1), (1, 1, 1)),
        ("clip", (-1.7923, -1.7521, -1.4802), (1.9303, 2.0749, 2.1459)),
        ("lite", (-0.9922,) * 3, (1,) * 3),
        ("studentzoo", (-2,) * 3, (1.9844,) * 3),
        ("caffe", (-103.939, -116.779, -123.68), (151.061, 138.221, 131.32)),
        ("unit", (0, 0, 0), (1, 1, 1)),
        ("bytes", (0, 0, 0), (255, 255, 255)),
    ],
)
def test_black_and_white_of_every_preset(name, black, white):
    picture = np.array([[[0] * 3, [255] * 3]], np.uint8)
    found = PRESETS[name].values(picture)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], [black, white], atol=1e-3)
    assert (PRESETS[name].color == "BGR") == (name == "caffe")


def test_every_preset_is_tried_above():
    assert len(PRESETS) == 8


def read(folder, name, settings, asked=None):
    text = settings if isinstance(settings, str) else json.dumps(settings)
    (folder / name).write_text(text)
    return settled(asked or Asked(), folder / "m.onnx", needed=True)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (
            {"image_mean": MEAN, "image_std": STD, "size": {"height": 96, "width": 64}},
            Preprocess(tuple(MEAN), tuple(STD), 1.0, size=(96, 64)),
        ),
        (
            {
                "image_mean": MEAN,
                "image_std": STD,
                "do_center_crop": True,
                "size": {"shortest_edge": 256},
                "crop_size": {"height": 224, "width": 224},
            },
            Preprocess(tuple(MEAN), tuple(STD), 1.0, size=(224, 224), crop=224 / 256),
        ),
        ({"do_normalize": False, "size": 32}, Preprocess(size=(32, 32))),
        ({"do_normalize": False, "do_rescale": False}, Preprocess(white=255.0)),
        (
            {"image_mean": [1.0] * 3, "image_std": [1.0] * 3, "rescale_factor": 2 / 255},
            Preprocess((1.0,) * 3, (1.0,) * 3, 2.0),
        ),
    ],
)
def test_a_preprocessor_config_is_read(tmp_path, settings, wanted):
    assert read(tmp_path, "preprocessor_config.json", settings) == (
        wanted,
        "preprocessor_config.json",
    )


@pytest.mark.parametrize("nested", [True, False])
def test_a_config_of_timm_is_read(tmp_path, nested):
    own = {"mean": MEAN, "std": STD, "input_size": [3, 192, 160], "crop_pct": 0.9}
    how, source = read(tmp_path, "config.json", {"pretrained_cfg": own} if nested else own)
    assert how == Preprocess(tuple(MEAN), tuple(STD), size=(192, 160), crop=0.9)
    assert source == "config.json"


def test_options_come_before_a_preset_and_that_before_what_stands_beside(tmp_path):
    beside = {"image_mean": MEAN, "image_std": STD}
    given = Asked(preset="inception", std=(0.25,), crop=0.5)
    how, source = read(tmp_path, "preprocessor_config.json", beside, given)
    assert (how.mean, how.std, how.crop, source) == ((0.5,), (0.25,), 0.5, "preset inception")
    how, _ = settled(Asked(crop=0.5), tmp_path / "m.onnx", needed=True)
    assert (how.mean, how.crop) == (tuple(MEAN), 0.5)


def test_a_config_of_something_else_says_nothing(tmp_path):
    with pytest.raises(InputError, match="normalised is not known"):
        read(tmp_path, "config.json", {"model_type": "bert", "hidden_size": 384})


@pytest.mark.parametrize(
    "settings",
    [
        "{",
        "[]",
        "[" * 100_000,
        {"image_mean": "grey", "image_std": STD},
        {"image_mean": MEAN},
        {"image_mean": MEAN, "image_std": [0, 1, 1]},
        {"image_mean": MEAN[:2], "image_std": STD[:2]},
        {"image_mean": MEAN, "image_std": STD, "size": {"longest_edge": 4}},
        {"image_mean": MEAN, "image_std": STD, "size": 10**9},
    ],
)
def test_a_config_that_cannot_be_read_is_one_error(tmp_path, settings):
    with pytest.raises(InputError) as caught:
        read(tmp_path, "preprocessor_config.json", settings)
    assert "\n" not in str(caught.value)
