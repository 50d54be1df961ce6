"""One reader of pictures: a file, its pixels, training and the students' graphs see the same."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from distill.data import image as reader
from distill.data.image import decoded, pixels, square
from distill.data.pictures import decode
from distill.data.record import Picture
from distill.errors import DistillError
from distill.names import SUFFIXES
from zoo.registry import local
from zoo.stores import folders
from zoo.students.student import Student

SIZE = 16


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)


def stripes() -> np.ndarray:
    """As of fences and screens: 640 x 480 pixels, upright lines with a period of 6 pixels."""
    line = np.where(np.arange(640) // 3 % 2 == 0, 255, 0).astype(np.uint8)
    return np.broadcast_to(line[None, :, None], (480, 640, 3)).copy()


def png(array: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG", **options)
    return file.getvalue()


def published() -> list[str]:
    rows = local.load().values()
    names = [row.name for row in rows if row.task == "image-classification"]
    return [name for name in names if folders.holder(name).has(name)]


def logits(student: Any, given: object) -> np.ndarray:
    """Of whatever people hand in, before they become probabilities."""
    from zoo.inputs.pictures import as_array

    return student._logits_of([as_array(given, student.image_size)])[0]


PICTURES = {
    "stripes": stripes(),
    "photo": np.asarray(Image.fromarray(noise(90, 60)).resize((900, 600))),
    "tall": noise(120, 900),
    "small": noise(9, 7),
    "large": np.asarray(Image.fromarray(noise(90, 60)).resize((900, 601))),  # for a while
}


@pytest.mark.filterwarnings("ignore:.* answers differently on this processor")  # fp32 then
@pytest.mark.parametrize("name", published())
@pytest.mark.parametrize("kind", PICTURES)
def test_an_array_its_file_and_its_square_give_the_same_answer(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "large":
        monkeypatch.setattr(reader, "WHOLE_PIXELS", 900 * 600)
    student = Student.open(folders.holder(name).folder(name), threads=1)
    array, path = PICTURES[kind], tmp_path / "s.png"
    path.write_bytes(png(array, compress_level=1))
    wanted = logits(student, array)
    for one in (path, path.read_bytes(), io.BytesIO(path.read_bytes()), Image.open(path)):
        assert np.array_equal(logits(student, one), wanted)
    assert student(path) == student(array)
    trained_on = decode(Picture(0, "s.png", path.read_bytes()), student.image_size)
    if kind in ("stripes", "photo", "large"):  # of others a pixel is off by one level, see below
        assert np.array_equal(logits(student, trained_on), wanted)
        assert np.array_equal(student.logits(array[None])[0], wanted)  # as the graph alone has it


@pytest.mark.parametrize("name", published()[:1])
def test_a_square_is_what_the_graph_makes_of_it(name: str) -> None:
    """But for a level of 255 here and there: onnxruntime computes weights in 32 bits."""
    import onnx
    import onnxruntime

    path = folders.holder(name).folder(name) / "model.fp32.onnx"
    model = onnx.load(path)
    node = next(n for n in model.graph.node if n.op_type == "Resize")
    model.graph.output.append(onnx.helper.make_tensor_value_info(node.output[0], 0, None))
    model.graph.output[-1].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    session = onnxruntime.InferenceSession(model.SerializeToString())
    size, off = Student.open(path).image_size, []  # type: ignore[attr-defined]
    for width, height in [(640, 480), (480, 640), (33, 700), (5, 9), (200, size), (size, size)]:
        array = noise(width, height)
        (seen,) = session.run([node.output[0]], {"image": array[None]})
        off.append(np.abs(seen[0].astype(int) - np.asarray(square(array, size))))
    assert max(one.max() for one in off) <= 1
    assert np.mean([one.mean() for one in off]) < 0.02


@settings(max_examples=60)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 40))
def test_strips_change_nothing(width: int, height: int, strip: int) -> None:
    array = noise(width, height)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "STRIP_BYTES", 4 * width * strip)
        parts = np.asarray(square(array, SIZE)), pixels(Image.fromarray(array), SIZE)
    assert np.array_equal(parts[0], np.asarray(square(array, SIZE)))
    assert np.array_equal(parts[1], array)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "I;16", "I"])
def test_strips_change_nothing_in_any_mode(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (31, 50)).astype(np.uint16)
    image = Image.fromarray(deep if mode == "I;16" else noise(50, 31))
    image = image if mode == "I;16" else image.convert(mode)
    if mode == "P":
        image.info["transparency"] = 3
    whole = pixels(image, SIZE), np.asarray(square(image, SIZE))
    monkeypatch.setattr(reader, "STRIP_BYTES", 1000)
    assert np.array_equal(pixels(image, SIZE), whole[0])
    assert np.array_equal(np.asarray(square(image, SIZE)), whole[1])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_turned_strip_by_strip(
    orientation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = png(noise(50, 31), exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))))
    monkeypatch.setattr(reader, "STRIP_BYTES", 1000)
    with decoded(file) as image:
        assert np.array_equal(pixels(image, SIZE), upright)
        assert np.array_equal(np.asarray(square(image, SIZE)), np.asarray(square(upright, SIZE)))


def test_a_thread_of_pixels_takes_no_gigabytes() -> None:
    """A resize to rows of SIZE would hold SIZE times the picture."""
    array = np.zeros((4_000_000, 1, 3), np.uint8)
    array[2_000_000:] = 200
    found = pixels(array, SIZE)
    assert found.shape == (SIZE, SIZE, 3)
    assert (found[: SIZE // 2 - 1] == 0).all() and (found[SIZE // 2 + 1 :] == 200).all()


def test_a_jpeg_is_read_whole_unless_that_takes_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.fromarray(noise(400, 300)).save(file, "JPEG")
    with decoded(file.getvalue()) as image:
        assert image.size == (400, 300)
    monkeypatch.setattr(reader, "MAX_DECODE_BYTES", 400 * 300)
    with decoded(file.getvalue()) as image:
        assert image.size == (200, 150)


def test_every_ending_is_of_a_format_that_is_read() -> None:
    Image.init()
    known = {s for s, f in Image.registered_extensions().items() if f in reader.FORMATS}
    assert known - {".jps", ".pfm"} - SUFFIXES == set()


@pytest.mark.parametrize("make", ["fifo", "device", "folder", "link", "nothing"])
def test_what_is_no_file_is_an_error_at_once(make: str, tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    {
        "fifo": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "folder": path.mkdir,
        "link": lambda: path.symlink_to(path),
        "nothing": lambda: None,
    }[make]()
    raised: list[Exception] = []

    def read() -> None:
        try:
            with decoded(path):
                pass
        except DistillError as error:
            raised.append(error)

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    reading.join(5)
    assert "cannot be opened" in str(raised[0])
