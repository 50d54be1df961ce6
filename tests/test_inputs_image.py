"""Pictures: every kind is decoded, and none takes the machine."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

import zoo
from zoo.errors import InputError
from zoo.inputs import image as images
from zoo.registry import local
from zoo.stores import folders
from zoo.students.classifier import ranked
from zoo.students.student import Student

SIZE = 8  # pixels, of the model that the pictures are for


def noise(width: int, height: int, bands: int = 3, seed: int = 0) -> np.ndarray:
    shape = (height, width, bands) if bands > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth areas, edges and grain at every scale, as in a photo: the sum of blown-up noise."""
    total = np.zeros((height, width, 3), np.float32)
    for octave in range(7):
        grain = noise(3 * 2**octave, 2 * 2**octave, seed=97 * seed + octave)
        large = Image.fromarray(grain).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(large, np.float32) / 2**octave
    total += 60 * (np.add.outer(np.arange(height), np.arange(width)) // 97 % 2)[..., None]
    return Image.fromarray((255 * (total - total.min()) / np.ptp(total)).astype(np.uint8))


def saved(picture: Image.Image, path: Path, **options: object) -> Path:
    picture.save(path, **options)
    return path


# --- kinds of pictures ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["png", "bmp", "tif", "ppm", "webp"])
def test_lossless_files_give_their_very_pixels(kind: str, tmp_path: Path) -> None:
    pixels = noise(11, 7)
    options = {"lossless": True} if kind == "webp" else {}
    path = saved(Image.fromarray(pixels), tmp_path / f"a.{kind}", **options)
    assert np.array_equal(images.read(path, SIZE), pixels)


def test_the_content_decides_and_not_the_ending(tmp_path: Path) -> None:
    path = saved(Image.fromarray(noise(5, 5)), tmp_path / "a.png")
    assert images.read(path.rename(tmp_path / "a.jpg"), SIZE).shape == (5, 5, 3)


def test_one_pixel_is_a_picture(tmp_path: Path) -> None:
    path = saved(Image.new("RGB", (1, 1), (9, 8, 7)), tmp_path / "a.png")
    assert images.read(path, SIZE).tolist() == [[[9, 8, 7]]]


def test_grey_gets_three_equal_channels(tmp_path: Path) -> None:
    grey = noise(6, 4, bands=1)
    path = saved(Image.fromarray(grey), tmp_path / "a.png")
    assert np.array_equal(images.read(path, SIZE), np.repeat(grey[..., None], 3, axis=-1))


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_16_bits_are_cut_to_8(kind: str, tmp_path: Path) -> None:
    deep = np.array([[0, 255, 256, 65535]], np.uint16)
    path = saved(Image.fromarray(deep), tmp_path / f"a.{kind}")
    assert images.read(path, SIZE)[0, :, 0].tolist() == [0, 0, 1, 255]


def test_black_and_white_and_palette_are_read(tmp_path: Path) -> None:
    picture = Image.fromarray(noise(8, 8))
    for mode in ("1", "P"):
        path = saved(picture.convert(mode), tmp_path / f"{mode}.png")
        wanted = np.asarray(picture.convert(mode).convert("RGB"))
        assert np.array_equal(images.read(path, SIZE), wanted)


def test_cmyk_is_read(tmp_path: Path) -> None:
    path = saved(Image.new("CMYK", (4, 4), (255, 0, 0, 0)), tmp_path / "a.jpg")
    red, green, blue = images.read(path, SIZE)[0, 0]
    assert red < 5
    assert green > 250
    assert blue > 250


@pytest.mark.parametrize(
    ("mode", "color", "wanted"),
    [
        ("RGBA", (255, 0, 0, 0), [255, 255, 255]),
        ("RGBA", (255, 0, 0, 255), [255, 0, 0]),
        ("RGBA", (255, 0, 0, 128), [255, 127, 127]),
        ("LA", (0, 0), [255, 255, 255]),
        ("LA", (0, 255), [0, 0, 0]),
    ],
)
def test_what_is_transparent_lies_on_white(
    mode: str, color: tuple[int, ...], wanted: list[int], tmp_path: Path
) -> None:
    path = saved(Image.new(mode, (2, 2), color), tmp_path / "a.png")
    assert images.read(path, SIZE)[0, 0].tolist() == wanted


def test_a_transparent_colour_of_a_palette_lies_on_white(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.putdata([0, 1])
    for kind in ("gif", "png"):
        path = saved(picture, tmp_path / f"a.{kind}", transparency=0)
        assert images.read(path, SIZE).tolist() == [[[255, 255, 255], [0, 255, 0]]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("side", [6, 192])
def test_a_picture_is_turned_as_its_exif_says(orientation: int, side: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(photo(side, side // 2), tmp_path / "a.png", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(path))
    assert np.array_equal(images.read(path, SIZE), images.to_array(upright, SIZE))
    assert np.array_equal(images.to_array(Image.open(path), SIZE), images.read(path, SIZE))


@pytest.mark.parametrize("kind", ["gif", "png", "webp"])
def test_of_an_animation_the_first_frame_is_read(kind: str, tmp_path: Path) -> None:
    red, blue = Image.new("RGB", (4, 4), (255, 0, 0)), Image.new("RGB", (4, 4), (0, 0, 255))
    options = {"lossless": True} if kind == "webp" else {}
    frames = {"save_all": True, "append_images": [blue]}
    path = saved(red, tmp_path / f"a.{kind}", **frames, **options)
    assert images.read(path, SIZE)[0, 0].tolist() == [255, 0, 0]


# --- what is not a picture -----------------------------------------------------------------------


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    photo(40, 30).save(buffer, kind)
    return buffer.getvalue()


BROKEN: dict[str, tuple[bytes, str]] = {
    "text": (b"not a picture", "not a picture that can be read"),
    "empty": (b"", "is empty"),
    "header": (b"\x89PNG\r\n\x1a\n", "not a picture that can be read"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    "cut png": (encoded("png")[:-900], "cannot be decoded"),
    "cut jpeg": (encoded("jpeg")[:-200], "cannot be decoded"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_one_error_that_names_it(case: str, tmp_path: Path) -> None:
    content, message = BROKEN[case]
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        images.read(tmp_path / "a.png", SIZE)
    assert str(caught.value).startswith(str(tmp_path / "a.png"))


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Is a directory"):
        images.read(tmp_path, SIZE)
    with pytest.raises(InputError, match="No such file"):
        images.read(tmp_path / "none.png", SIZE)


def test_floating_point_pictures_are_refused(tmp_path: Path) -> None:
    path = saved(Image.fromarray(np.ones((4, 4), np.float32)), tmp_path / "a.tif")
    with pytest.raises(InputError, match='mode "F" has no known range'):
        images.read(path, SIZE)


@given(
    kind=st.sampled_from(["png", "jpeg", "gif", "tiff", "webp", "bmp"]),
    seed=st.integers(0, 2**32),
)
def test_flipped_bytes_give_a_picture_or_one_error(kind: str, seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    data = bytearray(encoded(kind))
    for _ in range(dice.randint(1, 8)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    (tmp_path / "a").write_bytes(data)
    try:
        pixels = images.read(tmp_path / "a", SIZE)
    except InputError:
        return
    assert (pixels.dtype, pixels.ndim, pixels.shape[-1]) == (np.uint8, 3, 3)


# --- large pictures ------------------------------------------------------------------------------


def test_only_what_is_too_large_for_a_graph_is_squared() -> None:
    assert images.to_array(photo(640, 20), SIZE).shape == (20, 640, 3)
    assert images.to_array(Image.new("RGB", (4001, 4000)), SIZE).shape == (SIZE, SIZE, 3)


PICTURES = [
    entry.name
    for entry in local.load().values()
    if entry.task == "image-classification" and folders.holder(entry.name).has(entry.name)
]


@pytest.mark.filterwarnings("ignore:.* answers differently on this processor")  # fp32 then
@pytest.mark.parametrize("name", PICTURES)
def test_photos_are_answered_as_their_pixels_are(name: str, tmp_path: Path) -> None:
    student = Student.open(folders.holder(name).folder(name), threads=1)
    shapes = [(1600, 1200), (1200, 900), (2400, 300), (701, 1303), (300, 2400), (97, 89)]
    for seed, shape in enumerate(shapes):
        for kind, options in {"jpg": {"quality": 90}, "png": {"compress_level": 1}}.items():
            if kind == "png" and seed % 3:
                continue  # slow to pack
            path = saved(photo(*shape, seed), tmp_path / f"a.{kind}", **options)
            wanted = student.logits(np.asarray(Image.open(path))[None])
            assert student(path) == ranked(wanted, student.labels, 5)[0]


MEASURE = """
import sys
from pathlib import Path
from zoo.students.student import Student
print(Student.open(sys.argv[1], threads=1)(sys.argv[2])[0][0])
status = Path("/proc/self/status").read_text()
print(status.partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's VmHWM")
@pytest.mark.parametrize(
    ("shape", "kind", "options"),
    [
        ((4000, 3000), "jpeg", {}),
        ((4000, 3000), "png", {"compress_level": 1}),
        ((20_000, 2000), "jpeg", {}),
        ((20_000, 2000), "jpeg", {"progressive": True}),
        ((20_000, 2000), "png", {"compress_level": 1}),
        pytest.param((20_000, 4200), "png", {"compress_level": 1}, marks=pytest.mark.slow),
        pytest.param((20_000, 4200), "jpeg", {"progressive": True}, marks=pytest.mark.slow),
    ],
)
def test_a_huge_picture_stays_under_500_mb(
    shape: tuple[int, int], kind: str, options: dict[str, object], tiny: Path, tmp_path: Path
) -> None:
    path = saved(Image.new("RGB", shape, (20, 200, 30)), tmp_path / "a", format=kind, **options)
    told = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tiny / "model.int8.onnx"), str(path)],
        env=os.environ | {"PYTHONPATH": str(Path(zoo.__file__ or "").parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    label, peak_kib = told.stdout.split()
    assert label == "green"
    assert int(peak_kib) * 1024 < 500e6


def header(width: int, height: int, kind: str = "png") -> bytes:
    """A file that claims a size: its header is true, its pixels are those of a small one."""
    small = io.BytesIO()
    Image.new("RGB", (1, 1)).save(small, kind)
    data = bytearray(small.getvalue())
    if kind == "bmp":
        data[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    else:
        data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
        import zlib

        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: header(30_000, 20_000), "30000 x 20000 pixels; the limit is 500 million"),
        (lambda: header(20_000, 10_000), "200 million pixels take 800 MB to decode"),
        (lambda: header(20_000, 10_000, "bmp"), "200 million pixels take 800 MB to decode"),
    ],
)
def test_a_bomb_is_refused_by_its_header(
    make: Callable[[], bytes], message: str, tmp_path: Path
) -> None:
    (tmp_path / "bomb").write_bytes(make())
    with pytest.raises(InputError, match=message) as caught:
        images.read(tmp_path / "bomb", SIZE)
    assert "shrink the picture first" in caught.value.hint


def test_pillows_own_limit_is_left_as_it_was(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    (tmp_path / "bomb").write_bytes(header(30_000, 20_000))
    with pytest.raises(InputError):
        images.read(tmp_path / "bomb", SIZE)
    assert before == Image.MAX_IMAGE_PIXELS
