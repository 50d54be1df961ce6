"""Rounded weights move a layer's mean; the bias takes it back."""

import numpy as np
import pytest
from foreign_nets import SIDE, Net, photos, planes, saved

from compress import calibrate, graph, int8
from compress.config import Attempt

PICTURES = planes(photos(40))


def coarse():
    """A depthwise layer whose few weights a channel all round the same way, then a Gemm."""
    net = Net()
    x = net.conv(net.conv("input", 3, 16), 16, 16, 3, 1, 16)
    weight = np.full((16, 1, 3, 3), 60.4 / 127, "f4")
    weight[:, 0, 0, 0] = 1
    next(c for c in net.constants if tuple(c.dims) == weight.shape).raw_data = weight.tobytes()
    return net.model(net.classify(x, 16, 4), ["n", 3, SIDE, SIDE])


@pytest.fixture
def changes(tmp_path):
    path = saved(coarse(), tmp_path / "m.onnx")
    wanted = calibrate.run(calibrate.session(graph.read(path)), {"input": PICTURES})[0]

    def off(correct):
        out = tmp_path / f"{correct}.onnx"
        int8.make(path, out, [PICTURES[:20]], Attempt("minmax"), correct=correct)
        got = calibrate.run(calibrate.session(graph.read(out)), {"input": PICTURES})[0]
        return float(np.abs((got - wanted)[20:].mean(0)).max() / np.abs(wanted).max())

    return {correct: off(correct) for correct in (False, True)}


def test_the_mean_of_other_pictures_comes_back(changes):
    assert changes[True] < 0.5 * changes[False]
    assert changes[False] > 0.003
