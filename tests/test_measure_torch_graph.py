import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from zoo.errors import InputError  # noqa: E402
from zoo.measure.torch_graph import OPERATORS, TorchGraph, is_float  # noqa: E402
from zoo.students.session import runner  # noqa: E402

RNG = np.random.default_rng(0)
PERM = np.array([3, 1, 0, 2])


def weight(*shape):
    return RNG.normal(size=shape).astype("f4")


def i64(*values):
    return np.array(values, np.int64)


# Each body starts from x float (n, 4, 8, 8); constants stand in place as arrays.
BODIES = {
    "conv": [("Conv", ["x", weight(6, 4, 3, 3), weight(6)], {"pads": [1] * 4, "strides": [2, 2]})],
    "depthwise": [("Conv", ["x", weight(4, 1, 3, 3)], {"group": 4, "pads": [0, 0, 1, 1]})],
    "clip": [("Clip", ["x", np.float32(0), np.float32(1)], {})],
    "relu": [("Relu", ["x"], {})],
    "add": [("Add", ["x", weight(1, 4, 1, 1)], {})],
    "sub": [("Sub", ["x", weight(1, 4, 1, 1)], {})],
    "mul": [("Mul", ["x", weight(1, 4, 1, 1)], {})],
    "div": [("Div", ["x", np.float32(3)], {})],
    "max pool": [("MaxPool", ["x"], {"kernel_shape": [3, 3], "pads": [1] * 4, "strides": [2, 2]})],
    "average pool": [("AveragePool", ["x"], {"kernel_shape": [3, 3], "pads": [1] * 4})],
    "global pool": [("GlobalAveragePool", ["x"], {}), ("Flatten", [0], {})],
    "mean": [("ReduceMean", ["x", i64(2, 3)], {"keepdims": 0})],
    "gather": [("Gather", ["x", PERM], {"axis": 1})],
    "pad": [("Pad", ["x", i64(0, 1, 0, 2, 0, 0, 1, 0), np.float32(2)], {})],
    "pad axes": [("Pad", ["x", i64(1, 2), np.float32(0), i64(1)], {})],
    "slice": [("Slice", ["x", i64(1), i64(3), i64(1)], {})],
    "shuffle": [
        ("Reshape", ["x", i64(0, 2, 2, 8, 8)], {}),
        ("Transpose", [0], {"perm": [0, 2, 1, 3, 4]}),
        ("Reshape", [1, i64(-1, 4, 8, 8)], {}),
    ],
    "gemm": [
        ("Flatten", ["x"], {}),
        ("Gemm", [0, weight(5, 256), weight(5)], {"transB": 1, "alpha": 0.5}),
    ],
    "matmul": [("MatMul", ["x", weight(8, 3)], {})],
    "squeeze": [("GlobalAveragePool", ["x"], {}), ("Squeeze", [0, i64(2, 3)], {})],
    "unsqueeze": [("Unsqueeze", ["x", i64(1)], {})],
    "weights in 8 bits": [
        ("DequantizeLinear", [np.int8([[1, -2], [3, 4]]), np.float32([0.5, 2])], {"axis": 0}),
        ("Slice", ["x", i64(0), i64(2), i64(3)], {}),
        ("MatMul", [1, 0], {}),
    ],
}


def build(body, kind=TensorProto.FLOAT):
    """A file on `image` uint8 (n, 8, 8, 4 in memory as 3 + 1) -> `logits`."""
    constants, nodes = [], []

    def name(value):
        if isinstance(value, int):
            return f"v{value}"
        if isinstance(value, str):
            return value
        constants.append(numpy_helper.from_array(np.asarray(value), f"c{len(constants)}"))
        return constants[-1].name

    def add(op, inputs, outputs, **attributes):
        nodes.append(helper.make_node(op, [name(i) for i in inputs], outputs, **attributes))

    add("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2])
    add("Cast", ["planes"], ["floats"], to=TensorProto.FLOAT)
    add("Pad", ["floats", i64(0, 0, 0, 0, 0, 1, 0, 0)], ["four"])
    add("Mul", ["four", np.float32(1 / 64)], ["x"])
    for i, (op, inputs, attributes) in enumerate(body):
        add(op, inputs, ["logits" if i == len(body) - 1 else f"v{i}"], **attributes)
    return finish(nodes, constants)


def finish(nodes, constants, kind=TensorProto.FLOAT):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])],
        [helper.make_tensor_value_info("logits", kind, None)],
        constants,
    )
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def both(content, pictures, tmp_path):
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    return TorchGraph(content)(torch.from_numpy(pictures)).numpy(), runner(path)(pictures)


@pytest.mark.parametrize("name", BODIES)
def test_operator_answers_like_onnxruntime(tmp_path, name):
    pictures = RNG.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    ours, theirs = both(build(BODIES[name]), pictures, tmp_path)
    assert ours.shape == theirs.shape
    assert np.allclose(ours, theirs, atol=1e-4, rtol=1e-4)


def test_split_with_and_without_sizes(tmp_path):
    pictures = RNG.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    nodes = [
        helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Split", ["x", "sizes"], ["a", "b"], axis=1),
        helper.make_node("Split", ["b"], ["c", "d"], axis=2, num_outputs=2),
        helper.make_node("Concat", ["c", "d"], ["e"], axis=3),
        helper.make_node("Slice", ["e", "from", "to", "axes"], ["f"]),
        helper.make_node("Slice", ["a", "from", "four", "two"], ["g"]),
        helper.make_node("Identity", ["f"], ["logits"]),
    ]
    arrays = {"sizes": i64(3, 5), "from": i64(0), "to": i64(2), "axes": i64(3), "four": i64(4)}
    constants = [numpy_helper.from_array(a, n) for n, a in (arrays | {"two": i64(2)}).items()]
    ours, theirs = both(finish(nodes, constants), pictures, tmp_path)
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("shape", [(5, 7), (8, 8), (30, 11), (8, 20), (20, 8)])
def test_resize_of_bytes_answers_like_onnxruntime_to_one_level(tmp_path, shape):
    nodes = [
        helper.make_node("Shape", ["image"], ["n"], start=0, end=1),
        helper.make_node("Concat", ["n", "hwc"], ["sizes"], axis=0),
        helper.make_node(
            "Resize",
            ["image", "", "", "sizes"],
            ["small"],
            mode="linear",
            antialias=1,
            exclude_outside=1,
        ),
        helper.make_node("Cast", ["small"], ["logits"], to=TensorProto.FLOAT),
    ]
    constants = [numpy_helper.from_array(i64(8, 8, 3), "hwc")]
    pictures = RNG.integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    ours, theirs = both(finish(nodes, constants), pictures, tmp_path)
    assert np.abs(ours - theirs).max() <= 1


def test_operator_that_is_not_known_is_one_error():
    assert "Sinh" not in OPERATORS
    with pytest.raises(InputError, match="Sinh") as error:
        TorchGraph(build([("Sinh", ["x"], {})]))
    assert error.value.hint


def test_file_that_is_not_onnx_is_one_error():
    with pytest.raises(InputError, match="not an ONNX file"):
        TorchGraph(b"\x00\x01 nothing")


def test_quantized_files_are_told_from_float_ones():
    assert is_float(build([("Relu", ["x"], {})]))
    scale = ("QuantizeLinear", ["x", np.float32(1)], {})
    assert not is_float(build([scale]))
