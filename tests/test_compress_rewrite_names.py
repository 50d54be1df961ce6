"""Names are short, what nobody reads is gone, and what is asked for by name keeps it."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from rewrite_nets import SIDE, WIDTH, Net, picture_net, rewritten

from compress.rewrite.names import shorten_names


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
