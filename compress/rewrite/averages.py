"""An average over windows becomes a depthwise convolution: a faster 8-bit kernel (8 bits only).

onnxruntime's 8-bit average pooling makes floats of its picture and takes about five times as long.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from compress.rewrite.graph import dims, initializer, number, numbers, substitute, width


def convolve_averages(model: ir.Model) -> ir.Model:
    """Every weight is 1 over the pixels of a window (exact).

    Where padding is not counted, windows at the border have fewer pixels: a constant (1, 1, h, w)
    multiplies them, 1.5 and 2.25 for 3x3 at a border and in a corner.

    Cases: no padding; padding that is counted, and not counted, on one side and on both; stride 2;
    a size that does not divide; a size that is not known, where the constant is needed, automatic
    padding, dilation and rounding up stay.
    """
    for node in list(model.graph):
        if node.op_type == "AveragePool" and _is_plain(node) and width(node.inputs[0]):
            _replace(model, node)
    return model


def _is_plain(node: ir.Node) -> bool:
    """Whether it is over height and width, and its windows lie as a convolution's do."""
    auto = node.attributes.get("auto_pad")
    return (
        len(numbers(node, "kernel_shape")) == 2
        and (auto is None or auto.as_string() == "NOTSET")
        and number(node, "ceil_mode") == 0
        and set(numbers(node, "dilations")) <= {1}
        and (_counts_all(node) or None not in dims(node.inputs[0])[2:])
    )


def _counts_all(node: ir.Node) -> bool:
    return number(node, "count_include_pad") == 1 or not any(numbers(node, "pads"))


def _replace(model: ir.Model, node: ir.Node) -> None:
    channels, kernel = width(node.inputs[0]) or 0, numbers(node, "kernel_shape")
    share = np.full((channels, 1, *kernel), 1 / np.prod(kernel), np.float32)
    conv = ir.node(
        "Conv", [node.inputs[0], initializer(model, share, "share")], {"group": channels}
    )
    for name in ("kernel_shape", "strides", "pads"):
        if numbers(node, name):
            conv.attributes[name] = ir.AttrInt64s(name, numbers(node, name))
    new = [conv]
    if not _counts_all(node):
        more = initializer(model, _border(node), "border")
        new.append(ir.node("Mul", [conv.outputs[0], more]))
    model.graph.insert_before(node, new)
    substitute(node.outputs[0], new[-1].outputs[0])
    model.graph.remove(node)


def _border(node: ir.Node) -> np.ndarray:
    """Pixels of a window over those that are not padding: float32 (1, 1, h, w), each >= 1."""
    sides, kernel = dims(node.inputs[0])[2:], numbers(node, "kernel_shape")
    strides, pads = numbers(node, "strides") or (1, 1), numbers(node, "pads")
    rows, columns = (
        size / _inside(side or 0, size, strides[axis], pads[axis], pads[axis + 2])
        for axis, (side, size) in enumerate(zip(sides, kernel, strict=True))
    )
    return np.outer(rows, columns).astype(np.float32)[None, None]


def _inside(side: int, kernel: int, stride: int, before: int, after: int) -> np.ndarray:
    """Of every window along one axis: how many of its pixels lie in the picture."""
    starts = np.arange(0, side + before + after - kernel + 1, stride) - before
    return np.minimum(starts + kernel, side) - np.maximum(starts, 0)
