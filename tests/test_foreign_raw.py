"""The head of `--raw`: bytes of any size in, what the file reads out."""

import numpy as np
import onnxruntime as ort
import pytest
from foreign_nets import Net, saved
from onnx import TensorProto
from PIL import Image

from compress.source import Port
from zoo.errors import InputError
from zoo.foreign import raw
from zoo.foreign.examples import Planes
from zoo.foreign.preprocess import PRESETS, Preprocess

SIZE = (24, 32)
PICTURES = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize("nchw", [True, False])
@pytest.mark.parametrize(
    "how",
    [
        PRESETS["imagenet"],  # a mean and scale for each channel
        PRESETS["caffe"],  # blue first, white is 255
        PRESETS["studentzoo"],  # one byte is 0.0: no floats are needed
        Preprocess(mean=(0.5,), std=(0.25,), color="gray"),
    ],
)
def test_the_file_reads_what_the_options_say(tmp_path, how, nchw):
    channels = how.channels
    shape = [None, channels, *SIZE] if nchw else [None, *SIZE, channels]
    net = Net()
    model = net.model(net.node("Identity", ["input"]), ["n", *shape[1:]], TensorProto.FLOAT)
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    path = saved(model, tmp_path / "m.onnx")
    port = Port("input", "float32", tuple(shape))
    made = raw.headed(path, port, how, SIZE, nchw, tmp_path / "raw.onnx")
    found = ort.InferenceSession(str(made)).run(None, {"image": PICTURES})[0]
    given = {"RGB": PICTURES, "BGR": PICTURES[..., ::-1]}.get(how.color)
    if given is None:
        given = PICTURES @ np.array([[0.299], [0.587], [0.114]])
    mean, std = (np.resize(np.array(each), channels) for each in (how.mean, how.std))
    wanted = (given / 255 * how.white - mean) / std
    if nchw:
        wanted = wanted.transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found, wanted, atol=1e-4, rtol=1e-5)


def files(folder, sides):
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k, (width, height) in enumerate(sides):
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
    return sorted(folder.iterdir())


def behind(tmp_path, how, kind="float32", batch=None, name="input"):
    """A file that gives back what it reads, with a head, and how zoo itself reads pictures."""
    shape = (batch, how.channels, *SIZE)
    net = Net()
    given = TensorProto.UINT8 if kind == "uint8" else TensorProto.FLOAT
    read = net.node("Cast", [name], to=TensorProto.FLOAT)
    model = net.model(read, [batch or "n", *shape[1:]], given, name=name)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    port = Port(name, kind, shape)
    made = raw.headed(saved(model, tmp_path / "m.onnx"), port, how, SIZE, True, tmp_path / "r.onnx")
    paths = files(tmp_path / "photos", [(33, 31), (32, 24), (90, 70), (1, 1), (400, 3), (7, 200)])
    return made, paths, Planes(paths, how, SIZE, port, True)


@pytest.mark.parametrize("crop", [None, 0.875, 0.9, 1.0])
@pytest.mark.parametrize("color", ["RGB", "BGR", "gray"])
def test_pictures_of_any_size_are_read_as_zoo_reads_them(tmp_path, crop, color):
    how = Preprocess(mean=(0.5,), std=(0.25,), color=color, crop=crop)
    raw.prove(*behind(tmp_path, how))


def test_bytes_and_a_fixed_batch_are_proved_as_well(tmp_path):
    raw.prove(*behind(tmp_path, Preprocess(white=255.0, color="BGR"), "uint8", 2))


def test_a_head_that_reads_otherwise_is_refused(tmp_path):
    made, paths, rows = behind(tmp_path, PRESETS["imagenet"])
    rows.how = PRESETS["inception"]
    with pytest.raises(InputError, match="read otherwise, by"):
        raw.prove(made, paths, rows)


def test_names_of_the_file_that_begin_as_the_heads_do_stay_apart(tmp_path):
    raw.prove(*behind(tmp_path, PRESETS["imagenet"], name="head.prepared"))
