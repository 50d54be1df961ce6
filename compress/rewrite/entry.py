"""The first convolutions read 8 bits that were made of floats by one scale (for 8 bits only)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir

from compress.rewrite.graph import dims, initializer, is_conv, number, numbers
from compress.rewrite.stem import widen_weights, with_plane

NCHW = (0, 3, 1, 2)


def entries(model: ir.Model) -> list[ir.Value]:
    """Float tensors (n, channels, h, w) that only first convolutions read, nothing else."""
    inside: set[ir.Value] = set()
    found: dict[ir.Value, None] = {}
    for node in model.graph:
        first = not any(value in inside for value in node.inputs)
        if first and node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        inside.update(node.outputs)
        if first and node.op_type == "Conv" and node.inputs[0] is not None:
            found[node.inputs[0]] = None
    return [value for value in found if _is_entry(value)]


def _is_entry(value: ir.Value) -> bool:
    producer = value.producer()
    return (
        len(dims(value)) == 4
        and not value.is_graph_output()
        and (producer is None or producer.op_type != "DequantizeLinear")
        and all(
            use.idx == 0 and is_conv(use.node, number(use.node, "group", 1)) for use in value.uses()
        )
    )


def quantize_entries(ranges: Mapping[str, tuple[float, float]]) -> Callable[[ir.Model], ir.Model]:
    """A pass that quantizes these tensors, (low, high) each, and dequantizes them at once.

    Where there are three channels, a fourth of no weight comes to them: see `widen_stem`.

    Cases: a plain input, two convolutions that read it, an NHWC input that is transposed first, an
    input that is normalised first, one channel, a grouped convolution, a free height; an input that
    something else reads stays.
    """

    def apply(model: ir.Model) -> ir.Model:
        for value in entries(model):
            if value.name in ranges:
                _quantize(model, value, *ranges[str(value.name)])
        return model

    return apply


def _quantize(model: ir.Model, value: ir.Value, low: float, high: float) -> None:
    users, wide = [use.node for use in value.uses()], _can_widen(value)
    first = min(users, key=list(model.graph).index)
    scale, zero = _grid(low, high)
    grid = [initializer(model, scale, "entry"), initializer(model, zero, "entry.zero")]
    turned = value.producer()
    nhwc = turned is not None and turned.op_type == "Transpose" and numbers(turned, "perm") == NCHW
    bytes_ = ir.node("QuantizeLinear", [turned.inputs[0] if nhwc else value, *grid])  # type: ignore[union-attr]
    model.graph.insert_before(first, bytes_)
    picture = bytes_.outputs[0]
    if wide and nhwc:
        picture = with_plane(model, first, picture, zero, dims(value)[2:])
    elif wide:
        picture = _twice_the_last(model, first, picture)
    if nhwc:
        transpose = ir.node("Transpose", [picture], {"perm": NCHW})
        model.graph.insert_before(first, transpose)
        picture = transpose.outputs[0]
    floats = ir.node("DequantizeLinear", [picture, *grid])
    model.graph.insert_before(first, floats)
    for node in users:
        node.replace_input_with(0, floats.outputs[0])
    if wide:
        widen_weights(model, floats.outputs[0])


def _twice_the_last(model: ir.Model, before: ir.Node, planes: ir.Value) -> ir.Value:
    """Planes 0, 1, 2, 2 of (n, 3, h, w): copying one costs less than making one of zeros."""
    picked = initializer(model, np.array([0, 1, 2, 2], np.int64), "planes")
    node = ir.node("Gather", [planes, picked], {"axis": 1})
    model.graph.insert_before(before, node)
    return node.outputs[0]


def _grid(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Scale and zero point of 8 bits for a range, 0 in it."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32((high - low) / 255 or 1.0)
    return np.array(scale), np.array(np.clip(round(-low / float(scale)), 0, 255), np.uint8)


def _can_widen(value: ir.Value) -> bool:
    """Whether it is a picture of three channels, of a known size, read by whole convolutions."""
    return (
        dims(value)[1] == 3
        and None not in dims(value)[2:]
        and all(is_conv(use.node) for use in value.uses())
    )
