"""Grouped convolutions and the shuffles between them: small ones are made dense, exactly."""

from collections import Counter

import numpy as np
import pytest
from rewrite_nets import SIDE, WIDTH, Net, kinds, rewritten, weights

from compress.rewrite import FLOAT_PASSES
from compress.rewrite.gathers import gather_shuffles
from compress.rewrite.producers import make_shuffled
from compress.rewrite.shuffles import fold_shuffles
from compress.rewrite.ungroup import MOST_GROUPS, MOST_WEIGHTS, ungroup

SHUFFLE = {"Reshape", "Transpose", "Gather"}


def unit(net, x, i, o, groups, stride=1, first=False):
    """ShuffleNet v1's, without the sum or the pool beside it."""
    mid = o // 4
    x = net.conv(x, i, mid, group=1 if first else groups)
    x = net.depthwise(net.shuffle(x, groups, mid), mid, stride)
    return net.conv(x, mid, o, group=groups, relu=False)


def added(net, x, o, groups):
    return net.node("Relu", [net.node("Add", [x, unit(net, x, o, o, groups)])])


def groups_of(model):
    """Groups of the convolutions, in order."""
    return [
        next(a.i for a in node.attribute if a.name == "group")
        for node in model.graph.node
        if node.op_type == "Conv"
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("each", [1, 2, 4])
@pytest.mark.parametrize("groups", range(2, MOST_GROUPS + 1))
def test_small_units_of_shufflenet_v1_keep_no_shuffle(groups, each, seed):
    net, width = Net(seed), 4 * groups * each
    x = unit(net, net.conv("x", WIDTH, WIDTH), WIDTH, width, groups, first=True)
    x = added(net, added(net, x, width, groups), width, groups)
    after = rewritten(net.model(net.conv(x, width, 5, relu=False)), *FLOAT_PASSES)
    assert not SHUFFLE & kinds(after).keys()


def test_what_is_dense_gets_a_depthwise_width_of_16():
    net = Net()
    x = added(net, net.conv("x", WIDTH, 120), 120, 3)
    after = rewritten(net.model(net.conv(x, 120, 5)), *FLOAT_PASSES)
    assert (32, 1, 3, 3) in weights(after)


@pytest.mark.parametrize(("groups", "i", "o"), [(2, 8, 6), (3, 30, 120), (4, 64, 64)])
def test_a_small_grouped_convolution_becomes_dense(groups, i, o):
    net = Net()
    model = net.model(net.conv(net.conv("x", WIDTH, i), i, o, group=groups))
    after = rewritten(model, ungroup)
    assert groups_of(after) == [1, 1] and weights(after)[1] == (o, i, 1, 1)
    assert np.prod(weights(after)[1]) <= MOST_WEIGHTS


@pytest.mark.parametrize(
    ("groups", "i", "o", "kernel"),
    [(8, 16, 16, 1), (4, 64, 68, 1), (3, 60, 240, 1), (2, 8, 6, 3), (12, 12, 12, 1)],
)
def test_many_groups_many_weights_and_larger_kernels_stay_grouped(groups, i, o, kernel):
    net = Net()
    model = net.model(net.conv(net.conv("x", WIDTH, i), i, o, kernel, group=groups))
    after = rewritten(model, ungroup)
    assert groups_of(after) == [1, groups] and weights(after) == weights(model)


@pytest.mark.parametrize("groups", [3, 8])
def test_a_shuffle_after_a_dense_convolution_goes_into_its_rows(groups):
    net, width = Net(), 32 * groups
    model = net.model(unit(net, "x", WIDTH, width, groups, first=True))
    after = rewritten(model, fold_shuffles, gather_shuffles, make_shuffled)
    assert kinds(after) == Counter(Conv=3, Relu=1)
    assert groups_of(after) == groups_of(model)


def test_a_shuffle_after_a_depthwise_convolution_goes_on_to_the_dense_one():
    net = Net()
    x = net.depthwise(net.conv("x", WIDTH, 12), 12)
    model = net.model(net.conv(net.shuffle(x, 3, 12), 12, 12, group=3))
    after = rewritten(model, gather_shuffles, make_shuffled)
    assert kinds(after) == Counter(Conv=3, Relu=2)


def between(case):
    net = Net()
    x = net.conv("x", WIDTH, 12, group=4 if case == "grouped before" else 1)
    order = np.random.default_rng(0).permutation(6 if case == "some channels" else 12)
    if case == "one twice":
        order[0] = order[1]
    axis, size = (2, SIDE) if case == "another axis" else (1, order.size)
    picked = net.constant(order % size)
    y = net.node("Gather", [x, picked], axis=axis)
    if case == "read beside it":
        y = net.node("Add", [x, y])
    return net.model(net.conv(y, order.size if axis == 1 else 12, 6, group=3))


@pytest.mark.parametrize(
    "case", ["grouped before", "some channels", "one twice", "another axis", "read beside it"]
)
def test_a_gather_that_the_rows_cannot_hold_stays(case):
    model = between(case)
    assert kinds(rewritten(model, make_shuffled)) == kinds(model)


def test_a_large_unit_keeps_one_gather_and_its_weights():
    net = Net()
    x = added(net, net.conv("x", WIDTH, 240), 240, 3)
    model = net.model(net.conv(x, 240, 5))
    after = rewritten(model, *FLOAT_PASSES)
    assert kinds(after)["Gather"] == 1 and not {"Reshape", "Transpose"} & kinds(after).keys()
    assert weights(after) == weights(model)
