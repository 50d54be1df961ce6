"""Shapes that are computed of the input's size become constants; what is not sure stays."""

from collections import Counter

import numpy as np
from foreign_nets import SIDE, Net, classifier

from compress import calibrate, graph, normal
from compress.settle import settle


def settled(model, sides=(SIDE,)):
    normal.lift_constants(model)
    feeds = [{"input": np.zeros((n, 3, s, s), "f4")} for s in sides for n in (1, 2, 3)]
    after = settle(model, feeds)
    graph.drop_unused(after)
    return after


def kinds(model):
    return Counter(node.op_type for node in model.graph.node)


def same(a, b, shape):
    feed = {"input": np.random.default_rng(0).normal(size=shape).astype("f4")}
    wanted, got = (calibrate.run(calibrate.session(m), feed)[0] for m in (a, b))
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_a_shuffle_with_a_free_batch_is_left_with_constant_targets():
    model = classifier()
    after = settled(model)
    assert not {"Shape", "Concat", "Unsqueeze", "Div"} & kinds(after).keys()
    targets = graph.constants(after)
    reshapes = [n.input[1] for n in after.graph.node if n.op_type == "Reshape"]
    assert [targets[name].tolist() for name in reshapes] == [[-1, 2, 32, 16, 16], [-1, 64, 16, 16]]
    for batch in (1, 4):
        same(model, after, (batch, 3, SIDE, SIDE))


def test_a_target_that_varies_in_two_places_stays_computed():
    model = classifier()
    for k in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[k].dim_param = "side"
    after = settled(model, (SIDE, 2 * SIDE))
    assert kinds(after)["Shape"] == 1 and kinds(after)["Reshape"] == 2
    same(model, after, (2, 3, SIDE + 16, SIDE + 16))


def test_what_is_computed_of_the_pixels_stays():
    net = Net()
    x = net.conv("input", 3, 4)
    largest = net.node("ReduceMax", [x], keepdims=0)
    model = net.model(net.node("Div", [x, largest]), ["n", 3, SIDE, SIDE])
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    for size in ("n", 4, SIDE, SIDE):
        dim = model.graph.output[0].type.tensor_type.shape.dim.add()
        setattr(dim, "dim_param" if size == "n" else "dim_value", size)
    assert kinds(settled(model))["ReduceMax"] == 1


def test_constants_of_constants_are_folded():
    net = Net()
    table = net.constant(np.ones((1, 3, 1, 1), "f4"))
    doubled = net.node("Add", [table, table])
    x = net.conv(net.node("Mul", ["input", doubled]), 3, 4)
    model = net.model(net.classify(x, 4, 2), ["n", 3, SIDE, SIDE])
    assert "Add" not in kinds(settled(model))
