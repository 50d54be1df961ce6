"""Averages over windows become depthwise convolutions."""

import numpy as np
import pytest
from rewrite_nets import SIDE, WIDTH, Net, kinds, rewritten

from compress.rewrite.averages import convolve_averages
from compress.rewrite.graph import run

BOTH, END = [1, 1, 1, 1], [0, 0, 1, 1]
CONVOLVED = {"Conv": 2, "Relu": 1}


def averaged(shape=("n", WIDTH, SIDE, SIDE), **how):
    net = Net()
    x = net.conv("x", WIDTH, 12)
    how.setdefault("kernel_shape", [3, 3])
    return net.model(net.node("AveragePool", [x], **how), shape=shape)


def border(after):
    """The constant that makes up for padding, one channel of it."""
    found = {t.name: t for t in after.graph.initializer}
    factors = next(node.input[1] for node in after.graph.node if node.op_type == "Mul")
    array = np.frombuffer(found[factors].raw_data, np.float32)
    return array.reshape(found[factors].dims)[0, 0]


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"strides": [2, 2]},
        {"kernel_shape": [2, 3]},
        {"pads": BOTH, "count_include_pad": 1},
        {"pads": END, "count_include_pad": 1, "strides": [2, 2]},
        {"pads": [0, 0, 0, 0], "count_include_pad": 0},
    ],
)
def test_averages_over_whole_windows_become_a_convolution(how):
    assert kinds(rewritten(averaged(**how), convolve_averages)) == CONVOLVED


@pytest.mark.parametrize("pads", [BOTH, END, [1, 0, 0, 1]])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [[3, 3], [2, 3], [5, 4]])
def test_padding_that_is_not_counted_is_made_up_for(pads, stride, kernel):
    how = {"pads": pads, "strides": [stride, stride], "kernel_shape": kernel}
    after = rewritten(averaged(**how), convolve_averages)
    assert kinds(after) == CONVOLVED | {"Mul": 1}


def test_the_border_of_three_by_three_is_a_half_more_and_its_corners_twice_that():
    found = border(rewritten(averaged(pads=BOTH), convolve_averages))
    assert found.shape == (SIDE, SIDE) and (found[1:-1, 1:-1] == 1).all()
    assert (found[0, 1:-1] == 1.5).all() and (found[1:-1, -1] == 1.5).all()
    assert found[0, 0] == found[-1, -1] == 2.25


def test_a_picture_of_an_unknown_size_needs_whole_windows():
    free = ("n", WIDTH, "h", "w")
    for how in ({}, {"pads": BOTH, "count_include_pad": 1}):
        assert kinds(run(averaged(free, **how), [convolve_averages])) == CONVOLVED
    assert "AveragePool" in kinds(run(averaged(free, pads=BOTH), [convolve_averages]))


@pytest.mark.parametrize("how", [{"ceil_mode": 1, "strides": [2, 2]}, {"auto_pad": "SAME_UPPER"}])
def test_windows_that_a_convolution_has_not_stay(how):
    assert "AveragePool" in kinds(rewritten(averaged(**how), convolve_averages))


def test_dilated_windows_stay():
    assert "AveragePool" in kinds(rewritten(averaged(dilations=[2, 2]), convolve_averages))
