"""Small ONNX files as other people have them, and pictures on which their answers differ."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

SIDE = 32


class Net:
    """A network of convolutions under construction; nodes and names as exporters write them."""

    def __init__(self, seed=0):
        self.nodes, self.constants = [], []
        self.rng = np.random.default_rng(seed)

    def constant(self, array):
        self.constants.append(numpy_helper.from_array(np.asarray(array), f"w{len(self.constants)}"))
        return self.constants[-1].name

    def node(self, kind, inputs, **attributes):
        out = f"/net/{kind}_{len(self.nodes)}_output_0"
        self.nodes.append(helper.make_node(kind, inputs, [out], name=out, **attributes))
        return out

    def conv(self, x, i, o, kernel=3, stride=1, group=1, relu="Relu"):
        spread = 10 ** self.rng.uniform(-0.3, 0.3, (o, 1, 1, 1))
        shape = (o, i // group, kernel, kernel)
        weight = self.rng.normal(size=shape) * spread * (2 * group / i) ** 0.5 / kernel
        bias = self.rng.normal(size=o) * 0.1
        given = [x, self.constant(weight.astype("f4")), self.constant(bias.astype("f4"))]
        sides = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [kernel // 2] * 4}
        x = self.node("Conv", given, group=group, **sides)
        return self.node(relu, [x]) if relu else x

    def shuffle(self, x, channels):
        """As the older exporter writes it: shapes are computed, the batch is free."""
        shape = self.node("Shape", [x])
        sizes = [self.node("Gather", [shape, self.constant(np.int64(k))], axis=0) for k in range(4)]
        half = self.node("Div", [sizes[1], self.constant(np.int64(2))])
        two, minus = self.constant(np.array([2])), self.constant(np.array([-1]))
        zero = self.constant(np.array([0]))
        rows = [self.node("Unsqueeze", [size, zero]) for size in (*sizes, half)]
        apart = self.node("Concat", [rows[0], two, rows[4], rows[2], rows[3]], axis=0)
        x = self.node("Transpose", [self.node("Reshape", [x, apart])], perm=[0, 2, 1, 3, 4])
        return self.node("Reshape", [x, self.node("Concat", [rows[0], minus, *rows[2:4]], axis=0)])

    def classify(self, x, channels, classes):
        x = self.node("ReduceMean", [x, self.constant(np.array([2, 3]))], keepdims=0)
        weight = self.rng.normal(size=(classes, channels)).astype("f4")
        bias = np.zeros(classes, "f4")
        return self.node("Gemm", [x, self.constant(weight), self.constant(bias)], transB=1)

    def model(self, output, shape, kind=TensorProto.FLOAT, opset=18, name="input"):
        table = {output: "output"}
        for node in self.nodes:
            node.output[:] = [table.get(n, n) for n in node.output]
        outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", None])]
        inputs = [helper.make_tensor_value_info(name, kind, shape)]
        graph = helper.make_graph(self.nodes, "torch_jit", inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def classifier(layout="NCHW", width=32, classes=4, batch="n", side=SIDE):
    """A stem, a shuffled unit, a pool, a Gemm: float32 pictures in, logits out."""
    net, x = Net(), "input"
    shape = [batch, 3, side, side] if layout == "NCHW" else [batch, side, side, 3]
    if layout == "NHWC":
        x = net.node("Transpose", [x], perm=[0, 3, 1, 2])
    x = net.conv(x, 3, width, 3, 2)
    x = net.shuffle(net.conv(x, width, 2 * width), 2 * width)
    x = net.conv(net.conv(x, 2 * width, 2 * width, 3, 1, 2 * width, relu=None), 2 * width, width)
    x = net.conv(net.conv(x, width, 2 * width), 2 * width, width)
    return net.model(net.classify(x, width, classes), shape)


def halved(model):
    """The model with float16 weights, inputs and outputs."""
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            half = numpy_helper.to_array(tensor).astype("f2")
            tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    return model


def photos(count, side=SIDE, seed=1):
    """uint8 (count, side, side, 3): a colour and a few coarse spots each."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (count, 1, 1, 3))
    spots = rng.integers(-90, 90, (count, 4, 4, 3)).repeat(side // 4, 1).repeat(side // 4, 2)
    return np.clip(colours + spots, 0, 255).astype(np.uint8)


def planes(pictures):
    """float32 (n, 3, h, w) in -1 .. 1."""
    return ((pictures.astype("f4") - 127.5) / 127.5).transpose(0, 3, 1, 2).copy()


def folder(path, pictures):
    """The pictures as PNG files 000.png, 001.png, ..."""
    path.mkdir(parents=True)
    for k, picture in enumerate(pictures):
        Image.fromarray(picture).save(path / f"{k:03}.png")
    return path


def saved(model, path):
    onnx.save(model, str(path))
    return path


def place(root, count, side):
    """m.onnx and photos/ beside it, in the folder `root`."""
    saved(classifier(width=48, side=side), root / "m.onnx")
    folder(root / "photos", photos(count, side))
    return root
