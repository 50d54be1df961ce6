from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from compress.config import Attempt
from compress.errors import CompressError
from compress.int8 import quantize
from compress.tidy import base62

SIZE = 12


class Net:
    """A graph under construction; weights are drawn from one seed."""

    def __init__(self):
        self.nodes, self.constants = [], []
        self.rng = np.random.default_rng(0)

    def constant(self, array):
        name = f"exporter.long.name.of.constant.{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, kind, inputs, outputs=1, **attributes):
        names = [f"exporter/scope/{kind}/{len(self.nodes)}/{i}" for i in range(outputs)]
        node = helper.make_node(kind, inputs, names, name=f"n{len(self.nodes)}", **attributes)
        node.doc_string = "a stack trace of the exporter"
        self.nodes.append(node)
        return names[0] if outputs == 1 else names

    def conv(self, x, cin, cout, kernel=1, group=1, relu=True):
        shape = (cout, cin // group, kernel, kernel)
        spread = 10 ** self.rng.uniform(-1, 1, (cout, 1, 1, 1))  # channels of unlike ranges
        weight = self.rng.normal(size=shape) * spread / np.prod(shape[1:]) ** 0.5
        bias = self.rng.normal(size=cout) * 0.1
        inputs = [x, self.constant(weight.astype("f4")), self.constant(bias.astype("f4"))]
        x = self.node("Conv", inputs, group=group, pads=[kernel // 2] * 4)
        return self.node("Relu", [x]) if relu else x

    def bytes_head(self):
        x = self.node("Transpose", ["image"], perm=[0, 3, 1, 2])
        scale, zero = self.constant(np.float32(1 / 64)), self.constant(np.uint8(128))
        return self.node("DequantizeLinear", [x, scale, zero])

    def float_head(self):
        x = self.node("Cast", [self.node("Transpose", ["image"], perm=[0, 3, 1, 2])], to=1)
        x = self.node("Sub", [x, self.constant(np.float32(128))])
        return self.node("Mul", [x, self.constant(np.float32(1 / 64))])

    def body(self, x):
        x = self.conv(x, 3, 16, 3)
        a, b = self.node("Split", [x, self.constant(np.array([8, 8]))], 2, axis=1)
        b = self.conv(self.conv(b, 8, 8), 8, 8, 3, group=8, relu=False)
        x = self.conv(self.node("Concat", [a, b], axis=1), 16, 32)
        x = self.node("Flatten", [self.node("GlobalAveragePool", [x])])
        weight = self.constant(self.rng.normal(size=(5, 32)).astype("f4"))
        return self.node("Gemm", [x, weight, self.constant(np.zeros(5, "f4"))], transB=1)

    def model(self, logits):
        self.nodes[-1].output[0] = "logits"
        shape = ["n", "h", "w", 3]
        graph = helper.make_graph(
            self.nodes,
            "main_graph",
            [helper.make_tensor_value_info("image", TensorProto.UINT8, shape)],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 5])],
            self.constants,
            value_info=[helper.make_tensor_value_info(logits, TensorProto.FLOAT, ["n", 7])],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
        model.ir_version = 9
        model.metadata_props.add(key="studentzoo.name", value="net")
        return model


def float_file(path, head="bytes"):
    net = Net()
    model = net.model(net.body(net.bytes_head() if head == "bytes" else net.float_head()))
    onnx.save(model, str(path))
    return path


def pictures(n=64):
    return np.random.default_rng(1).integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8)


def run(path, batch):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options).run(None, {"image": batch})[0]


def fused(path, folder):
    """Operators that onnxruntime runs after its own fusion."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "fused.onnx")
    ort.InferenceSession(str(path), options)
    return Counter(node.op_type for node in onnx.load(str(folder / "fused.onnx")).graph.node)


@pytest.fixture
def float_path(tmp_path):
    return float_file(tmp_path / "fp32.onnx")


@pytest.fixture
def int8_path(float_path, tmp_path):
    return quantize(float_path, tmp_path / "int8.onnx", [pictures()], Attempt("a"))


@pytest.mark.parametrize("calibration", ["minmax", "percentile", "entropy"])
@pytest.mark.parametrize("head", ["bytes", "float"])
def test_int8_answers_like_fp32(tmp_path, head, calibration):
    source = float_file(tmp_path / "fp32.onnx", head)
    attempt = Attempt("a", calibration)
    out = quantize(source, tmp_path / "int8.onnx", [pictures()], attempt)
    exact, rounded = run(source, pictures(16)), run(out, pictures(16))
    assert np.abs(rounded - exact).mean() < 0.05 * exact.std()


def test_every_layer_is_fused_into_an_8_bit_kernel(int8_path, tmp_path):
    kinds = fused(int8_path, tmp_path)
    assert kinds["QLinearConv"] == 4
    assert kinds["QGemm"] == kinds["QLinearConcat"] == kinds["QLinearGlobalAveragePool"] == 1
    assert not kinds.keys() & {"Conv", "Gemm", "Relu", "FusedConv", "DequantizeLinear"}


def test_first_layer_reads_the_raw_bytes(int8_path, tmp_path):
    assert fused(int8_path, tmp_path)["QuantizeLinear"] == 0
    model = onnx.load(str(int8_path))
    writers = {name: node for node in model.graph.node for name in node.output}
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    dequantize = writers[first.input[0]]
    assert dequantize.op_type == "DequantizeLinear"
    assert writers[dequantize.input[0]].op_type == "Transpose"


def test_logits_are_float_and_not_rounded(int8_path):
    model = onnx.load(str(int8_path))
    last = next(node for node in model.graph.node if "logits" in node.output)
    assert last.op_type == "Gemm"


def test_weights_have_a_scale_for_each_channel_also_in_the_depthwise_layer(int8_path):
    model = onnx.load(str(int8_path))
    values = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    weights = 0
    for node in model.graph.node:
        data = values.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if data is not None and data.dtype == np.int8:
            weights += 1
            assert values[node.input[1]].shape == (data.shape[0],)
    assert weights == 5


def test_file_carries_no_exporter_debris_and_keeps_our_metadata(int8_path):
    content = int8_path.read_bytes()
    assert b"exporter" not in content
    assert b"stack trace" not in content
    model = onnx.load(str(int8_path))
    assert {p.key: p.value for p in model.metadata_props} == {"studentzoo.name": "net"}
    assert [i.name for i in model.graph.input] == ["image"]
    assert [o.name for o in model.graph.output] == ["logits"]
    assert not model.graph.value_info


def test_file_is_little_more_than_its_weights(int8_path):
    model = onnx.load(str(int8_path))
    arrays = [numpy_helper.to_array(i) for i in model.graph.initializer]
    assert int8_path.stat().st_size < sum(a.nbytes for a in arrays) + 60 * len(model.graph.node)


def test_result_passes_the_onnx_checker(int8_path):
    onnx.checker.check_model(onnx.load(str(int8_path)), full_check=True)


@pytest.mark.parametrize(
    ("name", "left"),
    [("n2", {"QLinearConv": 3, "QGemm": 1}), ("n13", {"QLinearConv": 4, "Gemm": 1})],
)
def test_excluded_layer_stays_float_also_after_fusion(float_path, tmp_path, name, left):
    out = quantize(float_path, tmp_path / "o.onnx", [pictures()], Attempt("a"), exclude=(name,))
    kinds = fused(out, tmp_path)
    assert {kind: kinds[kind] for kind in left} == left


def test_excluding_a_node_that_does_not_exist_is_an_error(float_path, tmp_path):
    with pytest.raises(CompressError, match="no_such"):
        quantize(float_path, tmp_path / "o.onnx", [pictures()], Attempt("a"), ("no_such",))


def test_same_input_gives_the_same_bytes(float_path, int8_path, tmp_path):
    again = quantize(float_path, tmp_path / "again.onnx", [pictures()], Attempt("a"))
    assert again.read_bytes() == int8_path.read_bytes()


def test_calibration_memory_does_not_need_one_batch(float_path, int8_path, tmp_path):
    singles = (picture[None] for picture in pictures())
    out = quantize(float_path, tmp_path / "o.onnx", singles, Attempt("a"))
    assert np.allclose(run(out, pictures(4)), run(int8_path, pictures(4)))


def broken(kind, path):
    net = Net()
    model = net.model(net.body(net.bytes_head()))
    if kind == "not onnx":
        path.write_bytes(b"\x89PNG\r\n not a model at all")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "float input":
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    elif kind == "two inputs":
        model.graph.input.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [1]))
    elif kind == "channels first":
        del model.graph.input[:]
        shape = ["n", 3, "h", "w"]
        model.graph.input.append(helper.make_tensor_value_info("image", TensorProto.UINT8, shape))
    elif kind == "unknown operator":
        model.graph.node[3].op_type = "Convolute"
    elif kind == "weights missing":
        del model.graph.initializer[2:]
    elif kind == "nothing to quantize":
        del model.graph.node[1:]
    if kind not in ("not onnx", "empty", "missing"):
        path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "not onnx",
        "empty",
        "float input",
        "two inputs",
        "channels first",
        "unknown operator",
        "weights missing",
        "nothing to quantize",
    ],
)
def test_file_that_cannot_be_quantized_is_one_error_and_leaves_nothing(tmp_path, kind):
    source = broken(kind, tmp_path / "broken.onnx")
    before = set(tmp_path.iterdir())
    with pytest.raises(CompressError) as error:
        quantize(source, tmp_path / "int8.onnx", [pictures(2)], Attempt("a"))
    assert str(error.value)
    assert error.value.hint
    assert set(tmp_path.iterdir()) == before


def test_short_names_are_all_different():
    assert len({base62(i) for i in range(5000)}) == 5000
    assert [base62(i) for i in (0, 61, 62)] == ["0", "Z", "10"]
