"""Floats at the door become bytes: of one scale, with a fourth channel for the kernels."""

import numpy as np
import pytest
from rewrite_nets import SIDE, Net, kinds, outputs, weights

from compress.rewrite import quantize_entries
from compress.rewrite.entry import entries
from compress.rewrite.graph import load_ir

RANGE = (-2.0, 3.1)


def entered(model, name="x"):
    assert [value.name for value in entries(load_ir(model))] == [name]
    after = quantize_entries(model, {name: RANGE})
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(0).uniform(*RANGE, (2, *shape[1:])).astype("f4")
    wanted, got = outputs(model, x), outputs(after, x)
    assert 0 < np.abs(got - wanted).max() < 0.03 * np.abs(wanted).max()
    return after


def test_a_picture_of_three_channels_gets_a_fourth():
    net = Net()
    after = entered(net.model(net.conv("x", 3, 8, 3), shape=("n", 3, SIDE, SIDE)))
    assert weights(after) == [(8, 4, 3, 3)]
    assert kinds(after)["Gather"] == 1 and "Transpose" not in kinds(after)


def test_channels_last_are_widened_before_they_are_turned():
    net = Net()
    x = net.node("Transpose", ["x"], perm=[0, 3, 1, 2])
    model = net.model(net.conv(x, 3, 8, 3), shape=("n", SIDE, SIDE, 3))
    after = entered(model, model.graph.node[0].output[0])
    assert weights(after) == [(8, 4, 3, 3)] and kinds(after)["Transpose"] == 1
    assert kinds(after)["Concat"] == 2


@pytest.mark.parametrize("channels", [1, 8])
def test_other_channels_stay_as_many(channels):
    net = Net()
    after = entered(net.model(net.conv("x", channels, 8, 3), shape=("n", channels, SIDE, SIDE)))
    assert weights(after) == [(8, channels, 3, 3)] and kinds(after)["Gather"] == 0


def test_two_convolutions_read_the_same_bytes():
    net = Net()
    both = net.node("Add", [net.conv("x", 3, 8, 3), net.conv("x", 3, 8)])
    after = entered(net.model(both, shape=("n", 3, SIDE, SIDE)))
    assert weights(after) == [(8, 4, 3, 3), (8, 4, 1, 1)]
    assert kinds(after)["QuantizeLinear"] == 1


def test_an_input_that_something_else_reads_stays():
    net = Net()
    model = net.model(net.node("Add", [net.conv("x", 8, 8, 3), "x"]))
    assert entries(load_ir(model)) == []
