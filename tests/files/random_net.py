"""Random small graphs, as exporters and people write them: every seed another one."""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 8
STRANGE = ["x_scale", "l", "0", "é/名", "a b", "w_quantized", "Conv_0", "a/b:0", "_", "1"]


class Random:
    """A graph that grows node by node from a picture; `live` are its tensors and their shapes."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes, self.constants, self.names = [], [], set()
        self.live: dict[str, tuple[int, ...]] = {}  # float tensors, without the batch
        self.deep: set[str] = set()  # what comes of a layer with weights
        self.strange = self.rng.random() < 0.3
        self.batch = self.pick([None, None, None, 1, 2])

    def pick(self, values):
        return values[int(self.rng.integers(len(values)))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def name(self, stem: str) -> str:
        if self.strange and self.chance(0.5):
            stem = self.pick(STRANGE) + self.pick(["", "_scale", "_zero_point", "_quantized", ".1"])
        name, i = stem, 0
        while name in self.names:
            name, i = f"{stem}{i}", i + 1
        self.names.add(name)
        return name

    def constant(self, array) -> str:
        name = self.name("c")
        tensor = numpy_helper.from_array(np.asarray(array), name)
        if self.chance(0.1):
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.constants.append(tensor)
        return name

    def node(self, kind: str, inputs, shape, outputs: int = 1, **settings):
        out = [self.name(f"t{len(self.nodes)}") for _ in range(outputs)]
        at = len(self.nodes)
        name = self.pick(["", f"{kind}_{at}", f"/net/{kind}:{at}", f"n{at}_scale"])
        self.nodes.append(helper.make_node(kind, list(inputs), out, name=name, **settings))
        if kind in ("Conv", "Gemm", "MatMul") or not self.deep.isdisjoint(inputs):
            self.deep.update(out)
        if shape is not None:
            self.live |= dict.fromkeys(out, tuple(shape))
        return out[0] if outputs == 1 else out

    def any(self, axes: int | None = None) -> str:
        """A tensor with so many axes, rather a late one."""
        found = [n for n, s in self.live.items() if axes is None or len(s) == axes]
        found = [n for n in found if n in self.deep] or found
        return found[-1] if self.chance(0.6) else self.pick(found)

    def weights(self, *shape, axis: int = 0) -> np.ndarray:
        array = self.rng.normal(size=shape) / max(1, np.prod(shape) / shape[axis]) ** 0.5
        if self.chance(0.2):  # channels of unlike ranges
            wide = [-1 if i == axis else 1 for i in range(len(shape))]
            array *= (10 ** self.rng.uniform(-2, 1, shape[axis])).reshape(wide)
        if self.chance(0.1):  # a channel of zeros
            array[(slice(None),) * axis + (0,)] = 0
        return (array * 10 ** self.rng.uniform(-1, 1)).astype(np.float32)

    def bias(self, count: int) -> np.ndarray:
        return (self.rng.normal(size=count) * 10 ** self.rng.uniform(-2, 1)).astype(np.float32)

    # --- layers of planes (c, h, w) ---

    def conv(self) -> None:
        x = self.any(3)
        c, h, w = self.live[x]
        group = self.pick([1, 1, 1, c])
        out = group * int(self.rng.integers(1, 4)) if group > 1 else int(self.rng.integers(1, 9))
        kernel = [self.pick([1, 1, 2, 3]) for _ in range(2)]
        dilation, stride = self.pick([1, 1, 2]), self.pick([1, 1, 2])
        pads = [int(self.rng.integers(0, 3)) for _ in range(4)]
        sizes = [
            (s + pads[i] + pads[i + 2] - dilation * (kernel[i] - 1) - 1) // stride + 1
            for i, s in enumerate((h, w))
        ]
        if min(sizes) < 1:
            return
        inputs = [x, self.constant(self.weights(out, c // group, *kernel))]
        if self.chance(0.7):
            inputs.append(self.constant(self.bias(out)))
        settings = {"pads": pads, "strides": [stride] * 2, "dilations": [dilation] * 2}
        y = self.node("Conv", inputs, (out, *sizes), group=group, **settings)
        if self.chance(0.3):
            y = self.norm(y)
        if self.chance(0.7):
            self.activate(y)

    def norm(self, x: str) -> str:
        c = self.live[x][0]
        spread = np.abs(self.weights(c)) + 0.5
        parts = [self.bias(c) + 1, self.bias(c), self.bias(c), spread]
        return self.node(
            "BatchNormalization", [x, *(self.constant(p) for p in parts)], self.live[x]
        )

    def activate(self, x: str) -> str:
        kind = self.pick(["Relu"] * 4 + ["Clip"] * 2 + list(CURVES))
        if kind == "Clip":
            limits = self.pick([(0, 6), (None, 1), (0, None), (-1, 1), (0.5, 2), (-3, -1)])
            given = [
                "" if limit is None else self.constant(np.float32(limit * 10 ** self.rng.normal()))
                for limit in limits
            ]
            return self.node("Clip", [x, *given][: 2 if limits[1] is None else 3], self.live[x])
        if kind == "Swish":
            return self.node("Mul", [x, self.node("Sigmoid", [x], self.live[x])], self.live[x])
        if kind == "PRelu":
            slope = self.constant(np.full(1, 0.2, np.float32))
            return self.node("PRelu", [x, slope], self.live[x])
        return self.node(kind, [x], self.live[x])

    def pool(self) -> None:
        x = self.any(3)
        c, h, w = self.live[x]
        kind = self.pick(["MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "mean"])
        if kind == "mean":
            axes = self.constant(np.array([2, 3]))
            self.node("ReduceMean", [x, axes], (c, 1, 1), keepdims=1)
        elif kind.startswith("Global"):
            self.node(kind, [x], (c, 1, 1))
        elif min(h, w) >= 2:
            settings = {"kernel_shape": [2, 2], "strides": [self.pick([1, 2])] * 2}
            stride = settings["strides"][0]
            if kind == "AveragePool" and self.chance(0.5):
                settings["count_include_pad"] = 1
            pad = self.pick([0, 1])
            sizes = [(s + pad - 2) // stride + 1 for s in (h, w)]
            self.node(kind, [x], (c, *sizes), pads=[pad, pad, 0, 0], **settings)

    def transposed(self) -> None:
        x = self.any(3)
        c, h, w = self.live[x]
        out = int(self.rng.integers(1, 5))
        weight = self.constant(self.weights(c, out, 2, 2))
        self.node("ConvTranspose", [x, weight], (out, 2 * h, 2 * w), strides=[2, 2])

    def squeeze_and_excite(self) -> None:
        x = self.any(3)
        c = self.live[x][0]
        y = self.node("GlobalAveragePool", [x], (c, 1, 1))
        y = self.node("Conv", [y, self.constant(self.weights(c, c, 1, 1))], (c, 1, 1))
        y = self.node(self.pick(["Sigmoid", "HardSigmoid"]), [y], (c, 1, 1))
        self.node("Mul", self.pick([[x, y], [y, x]]), self.live[x])

    def moved(self) -> None:
        x = self.any(3)
        c, h, w = self.live[x]
        kind = self.pick(["shuffle", "Slice", "Gather", "Pad", "Resize", "Transpose", "Flatten"])
        if kind == "shuffle" and c % 2 == 0:
            wide = self.constant(np.array([0, 2, c // 2, h, w]))
            y = self.node("Reshape", [x, wide], (2, c // 2, h, w))
            y = self.node("Transpose", [y], (c // 2, 2, h, w), perm=[0, 2, 1, 3, 4])
            self.node("Reshape", [y, self.constant(np.array([0, c, h, w]))], (c, h, w))
        elif kind == "Slice" and c > 1:
            ends = (self.constant(np.array([v])) for v in (0, c - 1, 1))
            self.node("Slice", [x, *ends], (c - 1, h, w))
        elif kind == "Gather":
            order = self.rng.integers(0, c, c)
            self.node("Gather", [x, self.constant(order)], (c, h, w), axis=1)
        elif kind == "Pad":
            pads = self.constant(np.array([0, 0, 0, 1, 0, 0, 0, 0]))
            if self.chance(0.5):
                self.node("Pad", [x, pads], (c, h, w + 1), mode="edge")
            else:
                value = self.constant(np.float32(self.pick([0, 1, -2, 50])))
                self.node("Pad", [x, pads, value], (c, h, w + 1))
        elif kind == "Resize":
            scales = self.constant(np.array([1, 1, 2, 2], np.float32))
            self.node("Resize", [x, "", scales], (c, 2 * h, 2 * w), mode="nearest")
        elif kind == "Transpose":
            self.node("Transpose", [x], (h, w, c), perm=[0, 2, 3, 1])
        else:
            self.node("Flatten", [x], (c * h * w,))

    def split(self) -> None:
        x = self.any(3)
        c, h, w = self.live[x]
        if c > 1:
            sizes = self.constant(np.array([1, c - 1]))
            a, b = self.node("Split", [x, sizes], None, 2, axis=1)
            self.live |= {a: (1, h, w), b: (c - 1, h, w)}

    # --- what joins tensors of any shape ---

    def join(self) -> None:
        x = self.any()
        alike = [n for n, s in self.live.items() if s == self.live[x]]
        shape, other = self.live[x], self.pick(alike)
        kind = self.pick(["Add", "Add", "Mul", "Sub", "Max", "Concat", "Concat"])
        if kind == "Concat":
            parts = [self.pick(alike) for _ in range(self.pick([2, 3]))]
            self.node("Concat", parts, (shape[0] * len(parts), *shape[1:]), axis=1)
            return
        if self.chance(0.4):
            many = (shape[0], *[1] * (len(shape) - 1))
            other = self.constant(self.bias(int(np.prod(many))).reshape(many))
        pair = [x, other] if self.chance(0.5) else [other, x]
        y = self.node(kind, pair, shape)
        if self.chance(0.5):
            self.activate(y)

    def branch(self) -> None:
        """An If that reads a tensor of the graph around it."""
        x = self.any()

        def body(kind: str):
            out = self.name("b")
            value = helper.make_tensor_value_info(out, TensorProto.FLOAT, None)
            return helper.make_graph([helper.make_node(kind, [x], [out])], kind, [], [value])

        yes = self.constant(np.array(self.chance(0.5)))
        y = self.node("If", [yes], self.live[x], then_branch=body("Neg"), else_branch=body("Abs"))
        self.deep.update({y} if x in self.deep else set())

    # --- layers of vectors (c,) ---

    def dense(self) -> None:
        x = self.any(1)
        c, out = self.live[x][0], int(self.rng.integers(1, 9))
        kind = self.pick(["Gemm", "Gemm", "MatMul", "odd"])
        if kind == "MatMul":
            weight = self.constant(self.weights(c, out, axis=1))
            y = self.node("MatMul", [x, weight], (out,))
        else:
            turned = self.chance(0.5)
            shape = (out, c) if turned else (c, out)
            inputs = [x, self.constant(self.weights(*shape, axis=0 if turned else 1))]
            shapes = [(out,), (1,), (), (1, out), (1, 1)] if kind == "odd" else [(out,)]
            if self.chance(0.8):
                shape = self.pick(shapes)
                inputs.append(self.constant(self.bias(int(np.prod(shape))).reshape(shape)))
            factors = {"alpha": self.pick([0.5, 1.0, -3.0]), "beta": self.pick([0.0, 1.0, 4.0])}
            settings = factors if kind == "odd" else {}
            y = self.node("Gemm", inputs, (out,), transB=int(turned), **settings)
        if self.chance(0.4):
            self.activate(y)

    def flat(self) -> None:
        x = self.any(3)
        if self.chance(0.5):
            x = self.node("GlobalAveragePool", [x], (self.live[x][0], 1, 1))
        many = int(np.prod(self.live[x]))
        if many <= 1024:
            self.node("Flatten", [x], (many,))

    def tail(self) -> None:
        x = self.any(1)
        kind = self.pick(["Softmax", "LogSoftmax", "Tanh", "LpNormalization", "ArgMax"])
        if kind == "ArgMax":
            self.node("ArgMax", [x], None, axis=1, keepdims=0)
        else:
            settings = {} if kind == "Tanh" else {"axis": 1}
            self.node(kind, [x], self.live[x], **settings)

    def head(self) -> None:
        shape, planes = (SIZE, SIZE, 3), (3, SIZE, SIZE)
        if self.chance(0.5):
            x = self.node("Cast", ["image"], shape, to=1)
            x = self.node("Mul", [x, self.constant(np.float32(1 / 255))], shape)
            self.node("Transpose", [x], planes, perm=[0, 3, 1, 2])
        else:
            x = self.node("Transpose", ["image"], None, perm=[0, 3, 1, 2])
            scale, zero = self.constant(np.float32(1 / 64)), self.constant(np.uint8(128))
            self.node("DequantizeLinear", [x, scale, zero], planes)
        for name in list(self.live)[:-1]:
            del self.live[name]

    def model(self) -> onnx.ModelProto:
        self.names.add("image")
        self.head()
        self.conv()
        planes: list[Callable[[], None]] = [self.conv, self.conv, self.conv, self.pool, self.join]
        planes += [self.transposed, self.squeeze_and_excite, self.moved, self.split]
        planes += [self.branch] if self.chance(0.2) else []
        for _ in range(self.rng.integers(1, 7)):
            self.pick(planes)()
        self.node("Flatten", [self.node("GlobalAveragePool", [self.any(3)], None)], None)
        self.live[self.nodes[-1].output[0]] = self.live[self.nodes[-2].input[0]][:1]
        for _ in range(self.rng.integers(0, 4)):
            self.pick([self.dense, self.dense, self.flat, self.join])()
        if self.chance(0.3):
            self.tail()
        return self.finished()

    def finished(self) -> onnx.ModelProto:
        last = self.nodes[-1].output[0]
        ends = dict.fromkeys([last] + [self.any() for _ in range(self.pick([0, 0, 0, 1, 2]))])
        kinds = {n: TensorProto.FLOAT for n in self.live} | {
            n.output[0]: TensorProto.INT64 for n in self.nodes if n.op_type == "ArgMax"
        }
        shape = [self.batch or "n", SIZE, SIZE, 3]
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("image", TensorProto.UINT8, shape)],
            [helper.make_tensor_value_info(n, kinds[n], None) for n in ends],
            self.constants,
        )
        version = self.pick([18, 19, 20, 21])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])
        model.ir_version = 10
        return model


CURVES = ["LeakyRelu", "Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "Elu", "Softplus", "Abs"]
CURVES += ["Neg", "Swish", "PRelu", "Erf"]
