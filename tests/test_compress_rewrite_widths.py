"""Widths grow to what a processor takes at once, where nobody sees it."""

import pytest
from rewrite_nets import SIDE, WIDTH, Net, rewritten, weights

from compress.rewrite.shuffles import fold_shuffles
from compress.rewrite.widths import pad_widths


def test_widths_between_pointwise_and_depthwise_grow_to_sixteens():
    net = Net()
    x = net.depthwise(net.conv("x", WIDTH, 12), 12)
    after = rewritten(net.model(net.conv(x, 12, 5)), pad_widths)
    assert weights(after) == [(16, 8, 1, 1), (16, 1, 3, 3), (5, 16, 1, 1)]
    group = next(a.i for a in after.graph.node[2].attribute if a.name == "group")
    assert group == 16


def test_widths_of_dense_convolutions_grow_to_fours():
    net = Net()
    after = rewritten(net.model(net.conv(net.conv("x", WIDTH, 13), 13, 5)), pad_widths)
    assert weights(after) == [(16, 8, 1, 1), (5, 16, 1, 1)]


def test_both_sides_of_a_residual_sum_grow():
    net = Net()
    x = net.conv("x", WIDTH, 10)
    y = net.conv(net.conv(x, 10, 16), 16, 10, relu=False)
    x = net.node("Add", [x, y])
    after = rewritten(net.model(net.classify(x, 10)), pad_widths)
    assert weights(after) == [(12, 8, 1, 1), (16, 12, 1, 1), (12, 16, 1, 1)]


def test_pieces_between_shuffle_units_grow():
    net = Net()
    x = net.conv("x", WIDTH, 18)
    for _ in range(3):
        x = net.unit(x, 18)
    after = rewritten(net.model(net.classify(net.conv(x, 18, 6), 6)), fold_shuffles, pad_widths)
    for (rows, columns, kernel, _), node in zip(
        weights(after), (n for n in after.graph.node if n.op_type == "Conv"), strict=True
    ):
        assert columns % 4 == 0 or rows % 16 == 0, (rows, columns, kernel, node.name)


@pytest.mark.parametrize("case", ["output", "grouped", "input"])
def test_a_width_that_is_needed_stays(case):
    net = Net()
    x = net.conv("x", WIDTH, 9)
    if case == "grouped":
        x = net.conv(net.conv(x, 9, 9, group=3), 9, 4)
    model = net.model(x)
    if case == "input":
        net = Net()
        model = net.model(net.conv("x", 3, 4), shape=("n", 3, SIDE, SIDE))
    last = weights(model)[-1]
    assert weights(rewritten(model, pad_widths))[-1][0] == last[0]
