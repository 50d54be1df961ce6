"""Arithmetic on the picture's pixels moves into the scale and zero point that read them (exact)."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from compress.rewrite.graph import constant, set_constant, substitute

ROUND_OFF = 1e-3  # of a byte: how far from a whole number a zero point may come out


def fold_pixels(model: ir.Model) -> ir.Model:
    """`(scale * (byte - zero) + a) * b` is `(scale * b) * (byte - (zero - a / scale))`.

    Cases: EfficientNet-Lite's `(x + 1 / 64) * 0.5`, which reads `(byte - 127) / 128`; a constant on
    either side; a new zero point that is no whole byte, a scale that would not be positive, a
    constant for each channel and a picture that is read twice stay.
    """
    for node in list(model.graph):
        if node.op_type == "DequantizeLinear" and constant(node.inputs[0]) is None:
            while _fold_next(model, node):
                pass
    return model


def _fold_next(model: ir.Model, node: ir.Node) -> bool:
    """Take up the one node that reads the picture; False when there is nothing to take."""
    scale, zero = (constant(value) for value in (*node.inputs[1:3], None)[:2])
    readers = tuple(node.outputs[0].uses())
    if scale is None or zero is None or scale.size != 1 or len(readers) != 1:
        return False
    reader = readers[0].node
    number = _scalar(reader, node.outputs[0])
    if number is None:
        return False
    new_scale, new_zero = float(scale), float(zero)
    if reader.op_type == "Mul":
        new_scale *= number
    else:
        new_zero -= number / new_scale
    whole = round(new_zero)
    if new_scale <= 0 or abs(new_zero - whole) > ROUND_OFF or not 0 <= whole <= 255:
        return False
    set_constant(model, node, 1, np.array(new_scale, scale.dtype))
    set_constant(model, node, 2, np.array(whole, zero.dtype))
    substitute(reader.outputs[0], node.outputs[0])
    model.graph.remove(reader, safe=True)
    return True


def _scalar(reader: ir.Node, picture: ir.Value) -> float | None:
    """The one number that an Add or Mul puts to the picture."""
    if reader.op_type not in {"Add", "Mul"}:
        return None
    other = next((constant(value) for value in reader.inputs if value is not picture), None)
    return None if other is None or other.size != 1 else float(other.item())
