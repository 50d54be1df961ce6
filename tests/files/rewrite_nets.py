"""Small graphs to rewrite, and the proof that one gives what it gave before."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from compress.rewrite.graph import run

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


def picture_net(readers=1, other=False):
    """Bytes in, whose planes so many convolutions read, and maybe something else."""
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
