"""Batch norms move into the weights of the convolution before."""

import numpy as np
import pytest
from rewrite_nets import WIDTH, Net, kinds, rewritten

from compress.rewrite.norms import fold_norms


def norm_net(bias=True, group=1, shared=False, read_twice=False):
    net = Net()
    x = net.conv("x", WIDTH, WIDTH, 3, group=group, relu=False)
    if not bias:
        del net.nodes[-1].input[2]

    def norm(x):
        draw = [net.rng.normal(size=WIDTH) for _ in range(3)] + [net.rng.uniform(0.1, 2, WIDTH)]
        return net.node(
            "BatchNormalization",
            [x, *(net.constant(d.astype(np.float32)) for d in draw)],
            epsilon=0.01,
        )

    y = norm(x)
    if shared:
        first = net.nodes[0]
        z = net.node("Conv", [y, *first.input[1:]], group=group, pads=[1] * 4)
        y = norm(z)
    return net.model(net.node("Add", [x, y]) if read_twice else y)


@pytest.mark.parametrize(
    "case", [{}, {"bias": False}, {"group": 4}, {"group": WIDTH}, {"shared": True}]
)
def test_batch_norms_move_into_the_weights(case):
    after = rewritten(norm_net(**case), fold_norms)
    assert kinds(after).keys() == {"Conv"}


def test_a_norm_stays_when_its_convolution_is_read_otherwise():
    assert "BatchNormalization" in kinds(rewritten(norm_net(read_twice=True), fold_norms))
