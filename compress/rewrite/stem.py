"""A fourth channel for the first convolution: 8-bit kernels read channels by fours (exact)."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from compress.rewrite.graph import constant, dims, initializer, is_conv, numbers, set_constant


def widen_stem(model: ir.Model) -> ir.Model:
    """The uint8 picture gets a fourth channel of zero points just before it is transposed and read.

    ConstantOfShape and Concat on the innermost axis do it: a fourth of the time that Pad takes.

    Cases: one and two convolutions that read the picture; a reader other than a convolution, or a
    picture that comes as float, leaves the graph as it is.
    """
    for node in list(model.graph):
        if node.op_type == "DequantizeLinear" and _is_picture(node):
            _widen(model, node)
    return model


def _is_picture(node: ir.Node) -> bool:
    """Whether it reads a transposed NHWC picture of 3 channels, and only convolutions read it."""
    transpose = node.inputs[0].producer() if node.inputs[0] is not None else None
    if transpose is None or transpose.op_type != "Transpose":
        return False
    planes, readers = dims(node.outputs[0]), node.outputs[0].uses()
    return (
        numbers(transpose, "perm") == (0, 3, 1, 2)
        and len(planes) == 4
        and planes[1] == 3
        and None not in planes[1:]
        and constant(node.inputs[2] if len(node.inputs) > 2 else None) is not None
        and all(is_conv(use.node) and use.idx == 0 for use in readers)
    )


def _widen(model: ir.Model, node: ir.Node) -> None:
    transpose = node.inputs[0].producer()  # type: ignore[union-attr]
    picture, zero = transpose.inputs[0], constant(node.inputs[2])  # type: ignore[union-attr]
    joined = with_plane(model, transpose, picture, zero, dims(node.outputs[0])[2:])  # type: ignore[arg-type]
    transpose.replace_input_with(0, joined)  # type: ignore[union-attr]
    widen_weights(model, node.outputs[0])


def with_plane(
    model: ir.Model,
    before: ir.Node,
    picture: ir.Value,
    zero: np.ndarray,
    sides: tuple[int | None, ...],
) -> ir.Value:
    """The picture (n, h, w, 3) with one more channel of zero points, made before this node."""
    size = initializer(model, np.array([*sides, 1], np.int64), "plane")
    batch = ir.node("Shape", [picture], {"start": 0, "end": 1})
    shape = ir.node("Concat", [batch.outputs[0], size], {"axis": 0})
    fill = {"value": ir.tensor(np.asarray(zero).reshape(1))}
    blank = ir.node("ConstantOfShape", [shape.outputs[0]], fill)
    joined = ir.node("Concat", [picture, blank.outputs[0]], {"axis": 3})
    model.graph.insert_before(before, [batch, shape, blank, joined])
    return joined.outputs[0]


def widen_weights(model: ir.Model, picture: ir.Value) -> None:
    """The convolutions that read the picture ignore its fourth channel."""
    for use in picture.uses():
        weight = np.asarray(constant(use.node.inputs[1]))
        set_constant(model, use.node, 1, np.pad(weight, ((0, 0), (0, 1), (0, 0), (0, 0))))
