"""What a picture is in training, it is at run time: the same file gives the same pixels to both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distill.config import Data
from distill.data import load
from zoo.inputs import image as served

SIZE = 12
RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (SIZE, SIZE, 1), dtype=np.uint8)
GREY = RGB[..., 0]


def palette() -> Image.Image:
    picture = Image.fromarray(RGB).quantize(16)
    picture.info["transparency"] = 0
    return picture


PICTURES = {
    "rgb.png": Image.fromarray(RGB),
    "rgba.png": Image.fromarray(np.concatenate([RGB, ALPHA], 2)),
    "grey.png": Image.fromarray(GREY),
    "grey-alpha.png": Image.fromarray(np.stack([GREY, ALPHA[..., 0]], 2)),
    "grey16.png": Image.fromarray(GREY.astype(np.uint16) * 257),
    "grey32.tiff": Image.fromarray(GREY.astype(np.int32) * 300),
    "palette.png": palette(),
    "bits.png": Image.fromarray(GREY).convert("1"),
    "cmyk.jpg": Image.fromarray(RGB).convert("CMYK"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_training_and_serving_read_the_same_pixels(tmp_path: Path, name: str) -> None:
    for split in ("train", "test"):
        for label in ("a", "b"):
            for number in range(4):
                path = tmp_path / split / label / f"{number}-{name}"
                path.parent.mkdir(parents=True, exist_ok=True)
                PICTURES[name].save(path)
    trained = load(Data(str(tmp_path), "CC0-1.0", image_size=SIZE), "test").images[0]
    np.testing.assert_array_equal(trained, served.read(tmp_path / "test" / "a" / f"0-{name}", SIZE))
