"""Channel shuffles vanish into weights; one that must stay becomes a single gather."""

import numpy as np
import pytest
from rewrite_nets import SIDE, WIDTH, Net, kinds, rewritten

from compress.rewrite.gathers import gather_shuffles
from compress.rewrite.graph import run
from compress.rewrite.names import shorten_names
from compress.rewrite.shuffles import fold_shuffles
from compress.rewrite.widths import pad_widths

SHUFFLE = {"Reshape", "Transpose", "Gather"}


def test_a_shuffle_between_convolutions_vanishes_into_their_weights():
    net = Net()
    x = net.shuffle(net.conv("x", WIDTH, 12), 3, 12)
    after = rewritten(net.model(net.conv(x, 12, 5)), fold_shuffles)
    assert kinds(after) == {"Conv": 2, "Relu": 2}


def test_a_shuffle_through_a_depthwise_convolution_vanishes():
    net = Net()
    x = net.shuffle(net.conv("x", WIDTH, 12), 4, 12)
    after = rewritten(net.model(net.conv(net.depthwise(x, 12), 12, 5)), fold_shuffles)
    assert kinds(after) == {"Conv": 3, "Relu": 2}


def test_a_shuffle_before_pooling_vanishes_into_the_classifier():
    net = Net()
    x = net.shuffle(net.conv("x", WIDTH, 12), 2, 12)
    after = rewritten(net.model(net.classify(x, 12)), fold_shuffles)
    assert not SHUFFLE & kinds(after).keys()


def test_a_gather_of_channels_vanishes():
    net = Net()
    x = net.conv("x", WIDTH, 12)
    order = net.constant(np.random.default_rng(0).permutation(12))
    after = rewritten(
        net.model(net.conv(net.node("Gather", [x, order], axis=1), 12, 5)), fold_shuffles
    )
    assert kinds(after) == {"Conv": 2, "Relu": 2}


@pytest.mark.parametrize(("width", "units"), [(8, 1), (12, 3), (20, 4), (16, 7)])
def test_units_of_shufflenet_v2_keep_one_split_and_one_concat_each(width, units):
    net = Net()
    x = net.down_unit(net.conv("x", WIDTH, 6), 6, width, SIDE // 2)
    for _ in range(units):
        x = net.unit(x, width, SIDE // 2)
    x = net.down_unit(x, width, 2 * width, 2)
    x = net.unit(x, 2 * width, 2)
    after = rewritten(net.model(net.classify(net.conv(x, 2 * width, 10), 10)), fold_shuffles)
    assert not SHUFFLE & kinds(after).keys()
    producers = {name: node for node in after.graph.node for name in node.output}
    for node in after.graph.node:
        if node.op_type == "Concat":
            assert all(producers[name].op_type in {"Split", "Relu"} for name in node.input)
    assert kinds(after)["Split"] <= units + 3
    assert kinds(after)["Concat"] <= units + 3


def test_folding_again_changes_nothing():
    net = Net()
    x = net.unit(net.unit(net.conv("x", WIDTH, 12), 12), 12)
    once = rewritten(net.model(net.conv(x, 12, 5)), fold_shuffles)
    assert kinds(run(once, [fold_shuffles])) == kinds(once)


def test_the_caller_s_model_is_left_alone():
    net = Net()
    model = net.model(net.conv(net.shuffle(net.conv("x", WIDTH, 12), 3, 12), 12, 5))
    before = model.SerializeToString()
    run(model, [fold_shuffles, pad_widths, shorten_names])
    assert model.SerializeToString() == before


def needed_as_it_is(case):
    net = Net()
    x = net.conv("x", WIDTH, 12)
    y = net.shuffle(x, 3, 12)
    if case == "sum":
        y = net.conv(net.node("Add", [x, y]), 12, 5)
    if case == "grouped":
        y = net.conv(y, 12, 12, group=3)
    return net.model(y)


@pytest.mark.parametrize("case", ["sum", "grouped", "output"])
def test_a_shuffle_that_is_needed_as_it_is_stays_and_becomes_one_gather(case):
    model = needed_as_it_is(case)
    stays = rewritten(model, fold_shuffles)
    assert kinds(stays) == kinds(model)
    gathered = rewritten(stays, gather_shuffles)
    assert kinds(gathered)["Gather"] == 1
    assert not {"Reshape", "Transpose"} & kinds(gathered).keys()


def test_a_transpose_of_height_and_width_is_no_shuffle():
    net = Net()
    x = net.conv("x", WIDTH, 12)
    x = net.node("Reshape", [x, net.constant([-1, 12, SIDE, SIDE])])
    x = net.node("Transpose", [x], perm=[0, 1, 3, 2])
    x = net.node("Reshape", [x, net.constant([-1, 12, SIDE, SIDE])])
    model = net.model(net.conv(x, 12, 5))
    assert kinds(rewritten(model, fold_shuffles, gather_shuffles)) == kinds(model)


def test_plain_concat_and_split_stay_as_they_are():
    net = Net()
    a, b = net.halves(net.conv("x", WIDTH, 12))
    model = net.model(net.conv(net.concat(net.conv(a, 6, 7), b), 13, 5))
    assert rewritten(model, fold_shuffles).graph.node[-2] == model.graph.node[-2]
