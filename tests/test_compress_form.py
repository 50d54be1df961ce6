"""The normal form is held against its source, and limits of noise are the caller's."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compress import int8, normal, rungs
from compress.config import Attempt
from compress.errors import CompressError
from compress.examples import examples
from compress.rungs import LIMITS
from compress.source import Port

ROWS = np.random.default_rng(0).uniform(-1, 1, (64, 3)).astype("f4")


def gemm(weight, bias=(0.5, -0.2)):
    """x (n, 3) times `weight` (2, 3), with factors that the normal form folds."""
    arrays = {"w": np.asarray(weight, "f4"), "b": np.asarray(bias, "f4")}
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="only", transB=1, beta=2.0)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def beside(source, plain):
    return int8.Beside(source, plain, {}, [ROWS[:1], ROWS[1:2]], [ROWS])


def test_a_normal_form_that_is_another_function_is_an_error():
    source = gemm([[1, 2, 3], [3, -1, 1]])
    plain, _ = normal.aliased(normal.normalized(source))
    beside(source, plain)
    bias = next(i for i in plain.graph.initializer if list(i.dims) == [2])
    wrong = numpy_helper.to_array(bias) * np.float32([1.05, 1])
    bias.CopyFrom(numpy_helper.from_array(wrong, bias.name))
    with pytest.raises(CompressError, match=r"float file is 0\.0\d+ off"):
        beside(source, plain)


def test_what_a_layer_may_lose_is_the_callers_and_a_layer_that_says_nothing_is_always_off(tmp_path):
    onnx.save(gemm([[1, 0.0035, 0.0035]] * 2, (0, 0)), str(tmp_path / "m.onnx"))
    some = ROWS * np.float32([1, 60, 1])  # 8 bits make nothing of the weight of the second
    whole = ROWS * np.float32([0.01, 60, 1])  # which is nearly all that there is

    def made(rows, **how):
        given = (tmp_path / "m.onnx", tmp_path / "q.onnx", [rows], Attempt("a"))
        return int8.make(*given, **how)

    with pytest.raises(CompressError, match="only: 8 bits change its output by"):
        made(some)
    assert 0.15 < made(some, limits=LIMITS).changes["y"] < 0.5
    with pytest.raises(CompressError, match="only: 8 bits change its output by"):
        made(whole, limits=LIMITS)


def test_the_last_attempt_lets_a_layer_lose_less(tmp_path):
    rows = examples((Port("x", "float32", (None, 3)),), ROWS * np.float32([1, 60, 1]))
    found = rungs.of(gemm([[1, 0.0035, 0.0035]] * 2, (0, 0)), rows, tmp_path)
    static = {rung.name: rung for rung in found if "calibration" in rung.settings}
    assert static["minmax"].make().settings == {"float_nodes": []}
    with pytest.raises(CompressError, match="8 bits change its output by"):
        static["careful"].make()
