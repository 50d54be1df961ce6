"""What this processor makes of a product of bytes."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

HIGH, WEIGHT, DEPTH = 255, 127, 4  # the largest of what is read and of 8-bit weights; products


@cache
def saturates() -> bool:
    """Whether sums of products of bytes are cut off here.

    On x86 without VNNI (before Ice Lake, Cascade Lake and Zen 4) onnxruntime adds two products in
    16 bits, so that large ones come out as 32,767. With weights of 7 bits they never do: 2 * 255 *
    64 is less.
    """
    node = helper.make_node("MatMulInteger", ["a", "b"], ["y"])
    reads = helper.make_tensor_value_info("a", TensorProto.UINT8, [1, DEPTH])
    weights = helper.make_tensor("b", TensorProto.INT8, [DEPTH, 1], [WEIGHT] * DEPTH)
    gives = helper.make_tensor_value_info("y", TensorProto.INT32, [1, 1])
    graph = helper.make_graph([node], "products", [reads], [gives], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"a": np.full((1, DEPTH), HIGH, np.uint8)})
    return int(found.item()) != HIGH * WEIGHT * DEPTH


def weight_bits() -> int:
    """Bits of the weights that a layer in 8 bits has: 7 where 8 would be added up wrongly."""
    return 7 if saturates() else 8


def largest_weight() -> int:
    """The largest code of a weight, of either sign."""
    return 64 if saturates() else WEIGHT


def narrowed() -> dict[str, int]:
    """What an attempt says of that; nothing where weights have their 8 bits."""
    return {"weight_bits": weight_bits()} if saturates() else {}
