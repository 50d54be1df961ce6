"""What first reads the pixels: convolutions of four channels, and arithmetic within their scale."""

import numpy as np
import pytest
from onnx import TensorProto, numpy_helper
from rewrite_nets import SIDE, Net, kinds, picture_net, rewritten, weights

from compress.rewrite.pixels import fold_pixels
from compress.rewrite.stem import widen_stem

# --- a fourth channel ----------------------------------------------------------------------------


@pytest.mark.parametrize("readers", [1, 2])
def test_the_first_convolutions_read_four_channels(readers):
    after = rewritten(picture_net(readers), widen_stem)
    assert weights(after) == [(8, 4, 3, 3)] * readers
    assert kinds(after)["Pad"] == 0


def test_a_picture_that_is_read_otherwise_keeps_three_channels():
    model = picture_net(other=True)
    assert kinds(rewritten(model, widen_stem)) == kinds(model)


def test_a_float_input_gets_no_fourth_channel():
    net = Net()
    model = net.model(net.conv("x", 3, 8), shape=("n", 3, SIDE, SIDE))
    assert kinds(rewritten(model, widen_stem)) == kinds(model)


# --- arithmetic ----------------------------------------------------------------------------------


def pixel_net(add=1 / 64, times=0.5, swap=False, twice=False):
    net = Net()
    x = net.node("Transpose", ["x"], perm=[0, 3, 1, 2])
    scale, zero = net.constant(np.float32(1 / 64)), net.constant(np.uint8(128))
    planes = net.node("DequantizeLinear", [x, scale, zero])
    pair = [planes, net.constant(np.array(add, np.float32))]
    x = net.node("Add", pair[::-1] if swap else pair)
    x = net.node("Mul", [x, net.constant(np.float32(times))])
    if twice:
        x = net.node("Add", [x, planes])
    return net.model(net.conv(x, 3, 8, 3), TensorProto.UINT8, ("n", SIDE, SIDE, 3))


@pytest.mark.parametrize("swap", [False, True])
def test_arithmetic_on_pixels_moves_into_their_scale(swap):
    after = rewritten(pixel_net(swap=swap), fold_pixels)
    assert not {"Add", "Mul"} & kinds(after).keys()
    node = next(n for n in after.graph.node if n.op_type == "DequantizeLinear")
    values = {t.name: numpy_helper.to_array(t) for t in after.graph.initializer}
    assert [values[name].item() for name in node.input[1:]] == [1 / 128, 127]


@pytest.mark.parametrize(
    "odd", [{"add": 0.01}, {"add": 3.0}, {"add": [[[0.5]], [[0.25]], [[1.0]]]}, {"twice": True}]
)
def test_arithmetic_on_pixels_that_is_no_scale_stays(odd):
    assert kinds(rewritten(pixel_net(**odd), fold_pixels))["Add"] >= 1


def test_pixels_are_not_turned_negative():
    assert kinds(rewritten(pixel_net(times=-1.0), fold_pixels))["Mul"] == 1
