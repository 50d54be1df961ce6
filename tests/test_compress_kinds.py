"""Files of other inputs than pictures, other operators and other parts: equal, or named."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from compress import compare, int8, sensitivity
from compress.config import Attempt
from compress.errors import CompressError

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
node, value = helper.make_node, helper.make_tensor_value_info


def drawn(*shape):
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def w(*shape):
    return drawn(*shape) * np.float32(0.3)


def model(nodes, shape, constants, outputs=("y",), kind=FLOAT, **settings):
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", kind, shape)],
        [value(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items()],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, **settings)


PLANES = ["n", 3, 8, 8]
C1, C2 = node("Conv", ["x", "w"], ["c"], name="first"), node("Conv", ["r", "v"], ["y"], name="last")
TWO = {"w": w(4, 3, 3, 3), "v": w(4, 4, 3, 3)}


def planes():
    return model([C1, node("Relu", ["c"], ["r"]), C2], PLANES, TWO), drawn(32, 3, 8, 8)


def vectors():
    layers = [
        node("Gemm", ["x", "a", "b"], ["h"]),
        node("Relu", ["h"], ["r"]),
        node("MatMul", ["r", "c"], ["y0"]),
        node("Add", ["d", "y0"], ["y"]),
    ]
    constants = {"a": w(8, 16), "b": w(16), "c": w(16, 4), "d": w(4)}
    return model(layers, ["n", 8], constants), drawn(64, 8)


def signals():
    layers = [
        node("Conv", ["x", "w", "b"], ["c"]),
        node("Relu", ["c"], ["r"]),
        node("AveragePool", ["r"], ["p"], kernel_shape=[2], strides=[2]),
        node("Conv", ["p", "v"], ["y"]),
    ]
    return model(layers, ["n", 4, 32], {"w": w(8, 4, 3), "b": w(8), "v": w(2, 8, 1)}), drawn(
        32, 4, 32
    )


def words():
    layers = [
        node("Gather", ["e", "x"], ["h"]),
        node("MatMul", ["h", "w"], ["m"]),
        node("Relu", ["m"], ["r"]),
        node("ReduceMean", ["r", "axes"], ["f"], keepdims=0),
        node("Gemm", ["f", "g"], ["y"]),
    ]
    constants = {"e": w(20, 8), "w": w(8, 8), "g": w(8, 3), "axes": np.array([1])}
    return model(layers, ["n", 6], constants, kind=INT64), np.arange(192).reshape(32, 6) * 7 % 20


def attention():
    layers = [
        node("MatMul", ["x", "q"], ["Q"]),
        node("MatMul", ["x", "k"], ["K"]),
        node("Transpose", ["K"], ["T"], perm=[0, 2, 1]),
        node("MatMul", ["Q", "T"], ["s"]),
        node("Softmax", ["s"], ["p"], axis=-1),
        node("MatMul", ["p", "x"], ["o"]),
        node("Add", ["o", "x"], ["res"]),
        node("LayerNormalization", ["res", "one", "none"], ["ln"]),
        node("MatMul", ["ln", "m"], ["h"]),
        node("Gelu", ["h"], ["y"]),
    ]
    constants = {"q": w(8, 8), "k": w(8, 8), "one": np.ones(8, "f4"), "none": np.zeros(8, "f4")}
    return model(layers, ["n", 7, 8], constants | {"m": w(8, 16)}), drawn(32, 7, 8)


def function():
    body = [node("Conv", ["a", "k"], ["c"]), node("Relu", ["c"], ["o"])]
    block = helper.make_function(
        "own", "Block", ["a", "k"], ["o"], body, [helper.make_opsetid("", 20)]
    )
    calls = [
        node("Block", ["x", "w"], ["r"], domain="own"),
        node("Block", ["r", "v"], ["y"], domain="own"),
    ]
    return model(calls, PLANES, TWO, functions=[block]), drawn(32, 3, 8, 8)


def loop():
    body = helper.make_graph(
        [node("Add", ["now", "c"], ["then"]), node("Identity", ["go"], ["on"])],
        "b",
        [value("i", INT64, []), value("go", BOOL, []), value("now", FLOAT, None)],
        [value("on", BOOL, []), value("then", FLOAT, None)],
    )
    layers = [
        C1,
        node("Loop", ["times", "yes", "c"], ["l"], body=body),
        node("Relu", ["l"], ["r"]),
        C2,
    ]
    constants = TWO | {"times": np.array(3), "yes": np.array(True)}
    return model(layers, PLANES, constants), drawn(32, 3, 8, 8)


def branch_with_layers():
    def body(name):
        out = f"{name}.o"
        return helper.make_graph(
            [node("Conv", ["c", name], [out])], name, [], [value(out, FLOAT, None)]
        )

    layers = [C1, node("If", ["yes"], ["y"], then_branch=body("v"), else_branch=body("u"))]
    constants = TWO | {"u": w(4, 4, 1, 1), "yes": np.array(False)}
    return model(layers, PLANES, constants), drawn(32, 3, 8, 8)


def outputs_that_nothing_makes():
    made, x = planes()
    made.graph.output.insert(0, made.graph.input[0])
    made.graph.output.append(value("v", FLOAT, None))
    return made, x


def three_times_the_same():
    layers = [
        node("Conv", [a, "w", "b"], [b], pads=[1] * 4)
        for a, b in (("x", "c"), ("c", "d"), ("d", "y"))
    ]
    return model(layers, PLANES, {"w": w(3, 3, 3, 3), "b": w(3)}), drawn(32, 3, 8, 8)


def float_layer_of_unlike_channels():
    """onnxruntime rounds the float weights of a ConvTranspose between 8 bits, if it is let."""
    spread = np.array([1, 100, 0.01, 1], "f4")
    layers = [
        node("Conv", ["x", "u"], ["a"]),
        node("ConvTranspose", ["a", "t"], ["c"], strides=[2, 2]),
        node("BatchNormalization", ["c", "one", "none", "none", "var"], ["r"]),
        C2,
    ]
    constants = {"u": w(3, 3, 1, 1), "t": w(3, 4, 2, 2) * spread[:, None, None], "v": w(4, 4, 3, 3)}
    constants |= {"one": np.ones(4, "f4"), "none": np.zeros(4, "f4"), "var": spread**2}
    return model(layers, PLANES, constants), drawn(32, 3, 8, 8)


def run(path, x):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(str(path), options).run(None, {"x": x})


MADE = [
    planes,
    vectors,
    signals,
    words,
    attention,
    function,
    loop,
    branch_with_layers,
    outputs_that_nothing_makes,
    three_times_the_same,
    float_layer_of_unlike_channels,
]


@pytest.mark.parametrize("kind", MADE)
def test_every_kind_of_file_is_equal(tmp_path, kind):
    made, x = kind()
    path, half = tmp_path / "m.onnx", len(x) // 2
    path.write_bytes(made.SerializeToString())
    twin = int8.quantize(path, tmp_path / "int8.onnx", [x], Attempt("a"))
    exact, found = run(path, x[half:]), run(twin, x[half:])
    assert len(exact) == len(found)
    for a, b in zip(exact, found, strict=True):
        assert np.linalg.norm(a - b) <= 0.03 * np.linalg.norm(a)
    assert TensorProto.INT8 in [i.data_type for i in onnx.load(str(twin)).graph.initializer]


@pytest.mark.parametrize("kind", [planes, words, outputs_that_nothing_makes])
def test_every_kind_of_file_is_ranked(tmp_path, kind):
    made, x = kind()
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    ranked = sensitivity.rank(tmp_path / "m.onnx", [x])
    assert len(ranked) == 2
    assert all(0 <= damage < 1e-2 for _, damage in ranked)


def eight_bits_already(folder):
    made, x = planes()
    (folder / "float.onnx").write_bytes(made.SerializeToString())
    twin = int8.quantize(folder / "float.onnx", folder / "eight.onnx", [x], Attempt("a"))
    return onnx.load(str(twin)), x


def sixteen_bits(folder):
    made, x = planes()
    for tensor in made.graph.initializer:
        half = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    for end in (*made.graph.input, *made.graph.output):
        end.type.tensor_type.elem_type = TensorProto.FLOAT16
    return made, x.astype(np.float16)


def sequence(folder):
    made, x = planes()
    made.graph.node.append(node("SplitToSequence", ["y"], ["s"], axis=1))
    made.graph.output.append(helper.make_tensor_sequence_value_info("s", FLOAT, None))
    return made, x


def random(folder):
    layers = [C1, node("RandomNormalLike", ["c"], ["n"]), node("Add", ["c", "n"], ["r"]), C2]
    return model(layers, PLANES, TWO), drawn(32, 3, 8, 8)


def strange_operator(folder):
    layers = [C1, node("Thing", ["c"], ["r"], domain="own"), C2]
    return model(layers, PLANES, TWO), drawn(32, 3, 8, 8)


def other_examples(folder):
    return planes()[0], drawn(32, 3, 9, 8)


def unsorted(folder):
    made, x = planes()
    made.graph.node.insert(0, made.graph.node.pop())
    return made, x


def nothing_where_layers_are_looked_at(folder):
    """A Relu's small difference of large numbers, 0 for the few examples that layers see."""
    layers = [
        node("Gemm", ["x", "a"], ["h"]),
        node("Relu", ["h"], ["r"]),
        node("Gemm", ["r", "c", "d"], ["g"]),
        node("Relu", ["g"], ["y"]),
    ]
    constants = {
        "a": np.eye(2, dtype=np.float32),
        "c": np.array([[1], [-1]], np.float32),
        "d": np.array([-0.002], np.float32),
    }
    x = np.random.default_rng(0).random((64, 1)).astype(np.float32) + np.float32([0.0027, 0])
    looked_at = {example.tobytes() for example in compare.spread([x], whole=False)}
    x[[row.tobytes() in looked_at for row in x]] = [0, 1]
    return model(layers, ["n", 2], constants), x


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (nothing_where_layers_are_looked_at, "on the calibration examples"),
        (eight_bits_already, "8 bits already"),
        (sixteen_bits, "first.*float16"),
        (sequence, "'s'"),
        (random, "two answers"),
        (strange_operator, "Thing"),
        (other_examples, r"\(32, 3, 9, 8\)"),
        (unsorted, "sorted"),
    ],
)
def test_what_cannot_be_is_named(tmp_path, kind, said):
    made, x = kind(tmp_path)
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(CompressError, match=said) as caught:
        int8.quantize(tmp_path / "m.onnx", tmp_path / "o.onnx", [x], Attempt("a"))
    assert caught.value.hint
    assert not (tmp_path / "o.onnx").exists()
