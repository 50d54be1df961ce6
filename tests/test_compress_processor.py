"""Where sums of products of bytes saturate, weights have a bit less, and the answers are right."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from foreign_nets import saved
from onnx import TensorProto, helper, numpy_helper
from small_net import NOISE, PICTURES, answers, both, kinds, net, node, off

from compress import dynamic, processor

MOST = processor.largest_weight()


def weights_in(path):
    graph = onnx.load(str(path)).graph
    arrays = [numpy_helper.to_array(one) for one in graph.initializer]
    return [array for array in arrays if array.dtype == np.int8 and array.ndim > 1]


def test_sums_of_bytes_are_right_with_the_largest_weight_that_is_used_here():
    """A product of its own, of another size: 8 rows, 6 channels, by integers of 64 bits."""
    made = np.random.default_rng(0)
    a = made.integers(200, 256, (8, 32)).astype(np.uint8)
    b = made.integers(MOST - 9, MOST + 1, (32, 6)).astype(np.int8)
    graph = helper.make_graph(
        [node("MatMulInteger", ["a", "b"], ["y"])],
        "g",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, [8, 32])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [8, 6])],
        [numpy_helper.from_array(b, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"a": a})
    assert np.array_equal(found, a.astype(np.int64) @ b.astype(np.int64))
    assert {7: 64, 8: 127}[processor.weight_bits()] == MOST


def test_the_largest_weights_of_one_sign_are_added_up_right(tmp_path):
    """Every product is the largest that there is: two of them do not fit into 16 bits."""
    equal = {"w": np.full((8, 3, 3, 3), 0.5, np.float32), "gw": np.full((10, 8), 0.5, np.float32)}
    white = np.full_like(PICTURES, 255)
    path = net(
        tmp_path / "m.onnx", [node("Gemm", ["fl", "gw", "gb"], ["logits"], transB=1)], **equal
    )
    a, b = both(path, np.concatenate([PICTURES, white]))
    assert off(a, b) < NOISE
    exact, found = (answers(tmp_path / name, white)[0] for name in ("m.onnx", "m.int8.onnx"))
    assert off(exact, found) < NOISE
    assert {abs(w.astype(int)).max() for w in weights_in(tmp_path / "m.int8.onnx")} <= {
        MOST,
        MOST - 1,
    }


@pytest.mark.parametrize("bias", [0.0, 1.0])
def test_products_whose_ranges_are_measured_as_they_run(tmp_path, bias):
    side = 32
    graph = helper.make_graph(
        [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", side])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", side])],
        [
            numpy_helper.from_array(np.full((side, side), 0.5, np.float32), "w"),
            numpy_helper.from_array(np.full(side, bias, np.float32), "b"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    source = saved(model, tmp_path / "m.onnx")
    twin = dynamic.quantize(source, tmp_path / "q.onnx", dynamic.LADDER[0])
    x = np.ones((4, side), np.float32)
    a, b = (answers(path, x, "x")[0] for path in (source, twin))
    assert off(a, b) < NOISE
    assert "MatMulInteger" in " ".join(kinds(twin))
    assert {abs(w.astype(int)).max() for w in weights_in(twin)} == {MOST}
