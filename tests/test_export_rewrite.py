from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.rewrite.gathers import gather_shuffles
from export.rewrite.graph import run
from export.rewrite.names import shorten_names
from export.rewrite.norms import fold_norms
from export.rewrite.pixels import fold_pixels
from export.rewrite.pooling import pool_means
from export.rewrite.shuffles import fold_shuffles
from export.rewrite.stem import widen_stem
from export.rewrite.widths import pad_widths

SIDE = 6
WIDTH = 8


class Net:
    """A graph under construction: float (n, 8, 6, 6) `x` in, whatever `model` is given out."""

    def __init__(self, seed=0):
        self.nodes, self.constants = [], []
        self.rng = np.random.default_rng(seed)

    def constant(self, array):
        name = f"the.long.name.that.an.exporter.gives.{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, kind, inputs, outputs=1, **attributes):
        names = [f"scope.{kind}.{len(self.nodes)}.{k}" for k in range(outputs)]
        node = helper.make_node(kind, inputs, names, name=f"node {len(self.nodes)}", **attributes)
        node.doc_string = "File net.py, line 1"
        self.nodes.append(node)
        return names[0] if outputs == 1 else names

    def conv(self, x, i, o, kernel=1, stride=1, group=1, relu=True):
        weight = self.rng.normal(size=(o, i // group, kernel, kernel)) / (i / group) ** 0.5 / kernel
        x = self.node(
            "Conv",
            [
                x,
                self.constant(weight.astype(np.float32)),
                self.constant(self.rng.normal(size=o).astype(np.float32)),
            ],
            group=group,
            strides=[stride, stride],
            pads=[kernel // 2] * 4,
            kernel_shape=[kernel, kernel],
        )
        return self.node("Relu", [x]) if relu else x

    def depthwise(self, x, width, stride=1):
        return self.conv(x, width, width, 3, stride, width, relu=False)

    def shuffle(self, x, groups, width, side=SIDE):
        apart = self.constant([-1, groups, width // groups, side, side])
        x = self.node("Reshape", [x, apart])
        x = self.node("Transpose", [x], perm=[0, 2, 1, 3, 4])
        return self.node("Reshape", [x, self.constant([-1, width, side, side])])

    def concat(self, *pieces):
        return self.node("Concat", list(pieces), axis=1)

    def halves(self, x):
        return self.node("Split", [x], 2, axis=1, num_outputs=2)

    def unit(self, x, width, side=SIDE):
        """ShuffleNet v2, stride 1."""
        kept, changed = self.halves(x)
        half = width // 2
        changed = self.conv(changed, half, half)
        changed = self.conv(self.depthwise(changed, half), half, half)
        return self.shuffle(self.concat(kept, changed), 2, width, side)

    def down_unit(self, x, i, o, side=SIDE):
        """ShuffleNet v2, stride 2."""
        left = self.conv(self.depthwise(x, i, 2), i, o // 2)
        right = self.depthwise(self.conv(x, i, o // 2), o // 2, 2)
        right = self.conv(right, o // 2, o // 2)
        return self.shuffle(self.concat(left, right), 2, o, side)

    def classify(self, x, width, classes=5):
        x = self.node("Flatten", [self.node("GlobalAveragePool", [x])], axis=1)
        weight = self.rng.normal(size=(classes, width)).astype(np.float32)
        return self.node("Gemm", [x, self.constant(weight)], transB=1)

    def model(self, output, dtype=TensorProto.FLOAT, shape=("n", WIDTH, SIDE, SIDE), opset=20):
        for node in self.nodes:
            node.output[:] = ["y" if name == output else name for name in node.output]
            node.input[:] = ["y" if name == output else name for name in node.input]
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("x", dtype, list(shape))],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            self.constants,
        )
        opsets = [helper.make_opsetid("", opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        inferred = onnx.shape_inference.infer_shapes(model)
        model.graph.output[0].CopyFrom(inferred.graph.output[0])
        return model


def outputs(model, x):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def rewritten(model, *passes):
    """The rewritten model, proved equal on pictures that make a difference."""
    after = run(model, passes)
    onnx.checker.check_model(after)
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    rng = np.random.default_rng(1)
    for batch in (1, 3):
        x = rng.normal(size=(batch, *shape[1:])).astype(np.float32)
        if model.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8:
            x = rng.integers(0, 256, (batch, *shape[1:]), dtype=np.uint8)
        wanted, got = outputs(model, x), outputs(after, x)
        assert wanted.std() > 0.01
        np.testing.assert_allclose(got, wanted, atol=1e-5)
    return after


def kinds(model):
    return Counter(node.op_type for node in model.graph.node)


def weights(model):
    """Shapes of the convolutions' weights, in order."""
    dims = {t.name: tuple(t.dims) for t in model.graph.initializer}
    return [dims[node.input[1]] for node in model.graph.node if node.op_type == "Conv"]


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


def picture_net(readers=1, other=False):
    net = Net()
    x = net.node("Transpose", ["x"], perm=[0, 3, 1, 2])
    scale, zero = net.constant(np.float32(1 / 64)), net.constant(np.uint8(128))
    x = net.node("DequantizeLinear", [x, scale, zero])
    y = net.conv(x, 3, 8, 3)
    for _ in range(readers - 1):
        y = net.node("Add", [y, net.conv(x, 3, 8, 3)])
    if other:
        y = net.node("Add", [y, net.node("ReduceMean", [x])])
    return net.model(y, TensorProto.UINT8, ("n", SIDE, SIDE, 3))


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


def test_names_are_short_and_debris_is_gone():
    net = Net()
    a, b = net.halves(net.conv("x", WIDTH, 12))
    model = net.model(net.concat(a, b))
    model.graph.initializer.append(numpy_helper.from_array(np.ones(3), "nobody reads me"))
    model.graph.node[0].metadata_props.add(key="pkg.torch.onnx.stack_trace", value="line 1")
    model.metadata_props.add(key="studentzoo.name", value="a student")
    after = rewritten(model, shorten_names)
    names = [n.name for n in after.graph.node]
    assert names == ["Conv0", "Relu0", "Split0", "Concat0"]
    assert all(len(name) <= 4 for node in after.graph.node for name in node.output)
    assert {t.name for t in after.graph.initializer} == {"w0", "w1"}
    assert [v.name for v in (*after.graph.input, *after.graph.output)] == ["x", "y"]
    assert not after.graph.value_info
    assert not any(n.metadata_props or n.doc_string for n in after.graph.node)
    assert [(p.key, p.value) for p in after.metadata_props] == [("studentzoo.name", "a student")]


def test_the_shape_of_the_planes_behind_the_head_stays_known():
    after = rewritten(picture_net(), shorten_names)
    (info,) = after.graph.value_info
    planes = next(n.output[0] for n in after.graph.node if n.op_type == "DequantizeLinear")
    assert info.name == planes
    assert [d.dim_value for d in info.type.tensor_type.shape.dim[1:]] == [3, SIDE, SIDE]


def test_an_output_that_is_also_read_inside_and_a_shared_constant_keep_their_places():
    net = Net()
    x = net.conv("x", WIDTH, WIDTH)
    node = net.nodes[-2]
    y = net.node("Conv", [x, *node.input[1:]], kernel_shape=[1, 1])
    model = net.model(x)
    model.graph.output.append(helper.make_tensor_value_info(y, TensorProto.FLOAT, None))
    after = rewritten(model, shorten_names)
    assert [v.name for v in after.graph.output] == ["y", y]
    assert len(after.graph.initializer) == 2
