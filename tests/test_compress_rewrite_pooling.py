"""Means over a picture become pools."""

import numpy as np
import pytest
from rewrite_nets import WIDTH, Net, kinds, rewritten

from compress.rewrite.pooling import pool_means


def reduce_mean(axes, keep, as_input):
    net = Net()
    x = net.conv("x", WIDTH, 12)
    if as_input:
        y = net.node("ReduceMean", [x, net.constant(np.array(axes))], keepdims=keep)
    else:
        y = net.node("ReduceMean", [x], keepdims=keep, axes=axes)
    return net.model(y, opset=20 if as_input else 17)


@pytest.mark.parametrize("axes", [[2, 3], [-2, -1], [3, 2]])
@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("as_input", [True, False])
def test_means_over_the_picture_become_pools(axes, keep, as_input):
    after = rewritten(reduce_mean(axes, keep, as_input), pool_means)
    expected = {"Conv": 1, "Relu": 1, "GlobalAveragePool": 1}
    assert kinds(after) == (expected if keep else {**expected, "Flatten": 1})


@pytest.mark.parametrize("axes", [[1], [2], [1, 2]])
def test_other_means_stay(axes):
    assert "ReduceMean" in kinds(rewritten(reduce_mean(axes, 1, True), pool_means))
