"""The head of `--raw`: bytes of any size in, what the file reads out."""

import numpy as np
import onnxruntime as ort
import pytest
from foreign_nets import Net, saved
from onnx import TensorProto

from compress.source import Port
from zoo.foreign import raw
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
