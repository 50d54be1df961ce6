"""The head of every vision student: bytes of a picture of any size in, normalised planes out."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

IMAGE, PLANES, LOGITS = "image", "planes", "logits"
SCALE, ZERO = 1 / 64, 128  # a plane's value is (byte - 128) / 64


def graft(core: onnx.ModelProto, size: int) -> onnx.ModelProto:
    """A network on float32 (n, 3, size, size) becomes one on uint8 (n, h, w, 3), any h and w.

    The picture is resized as bytes (bilinear, antialiased, samples outside left out: what torch
    and Pillow do) and read by one DequantizeLinear, which is exactly `(byte - 128) / 64`: to a
    quantizer the input is quantized already. A network on uint8 (n, size, size, 3) gets the bytes.
    """
    model = onnx.ModelProto()
    model.CopyFrom(core)
    graph = model.graph
    given = graph.input[0]
    on_bytes = given.type.tensor_type.elem_type == TensorProto.UINT8
    nodes = [*_resize(given.name if on_bytes else "head.resized"), *graph.node]
    if not on_bytes:
        nodes[3:3] = _planes(given.name)
    del graph.node[:], graph.input[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(_constants(size)[: 1 if on_bytes else 3])
    graph.input.append(helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, ["n", "h", "w", 3]))
    return model


def _resize(out: str) -> list[onnx.NodeProto]:
    node = helper.make_node
    return [
        node("Shape", [IMAGE], ["head.n"], start=0, end=1),
        node("Concat", ["head.n", "head.hwc"], ["head.nhwc"], axis=0),
        node(
            "Resize",
            [IMAGE, "", "", "head.nhwc"],
            [out],
            mode="linear",
            antialias=1,
            exclude_outside=1,  # else the edges differ from torch by up to 17 of 255
        ),
    ]


def _planes(planes: str) -> list[onnx.NodeProto]:
    node = helper.make_node
    return [
        node("Transpose", ["head.resized"], ["head.planes"], perm=[0, 3, 1, 2]),
        node("DequantizeLinear", ["head.planes", "head.scale", "head.zero"], [planes]),
    ]


def _constants(size: int) -> list[onnx.TensorProto]:
    return [
        numpy_helper.from_array(np.array([size, size, 3], np.int64), "head.hwc"),
        numpy_helper.from_array(np.array(SCALE, np.float32), "head.scale"),
        numpy_helper.from_array(np.array(ZERO, np.uint8), "head.zero"),
    ]
