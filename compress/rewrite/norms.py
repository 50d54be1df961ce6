"""Batch norms that the exporter left behind a convolution move into its weights (exact)."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from compress.rewrite.graph import constant, initializer, is_conv, number, set_constant, substitute


def fold_norms(model: ir.Model) -> ir.Model:
    """The exporter folds batch norms itself, but not where two convolutions share their weights.

    Cases: with and without bias, grouped, weights shared by two convolutions; a convolution that
    something else reads too, and a norm behind anything else, stay.
    """
    for node in list(model.graph):
        if node.op_type != "BatchNormalization" or node.inputs[0] is None:
            continue
        conv = node.inputs[0].producer()
        if conv is None or len(node.inputs[0].uses()) != 1:
            continue
        if not is_conv(conv, number(conv, "group", 1)):
            continue
        statistics = [constant(value) for value in node.inputs[1:5]]
        if all(s is not None for s in statistics):
            _fold(model, conv, node, *(np.asarray(s, np.float64) for s in statistics))
    return model


def _fold(
    model: ir.Model,
    conv: ir.Node,
    norm: ir.Node,
    scale: np.ndarray,
    shift: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
) -> None:
    """Statistics are (channels,) each; sums in float64, weights stay float32."""
    epsilon = norm.attributes.get("epsilon")
    gain = scale / np.sqrt(variance + (1e-5 if epsilon is None else epsilon.as_float()))
    weight = np.asarray(constant(conv.inputs[1]))
    old = constant(conv.inputs[2]) if len(conv.inputs) > 2 else None
    bias = shift + gain * ((0 if old is None else old) - mean)
    set_constant(model, conv, 1, (weight * gain.reshape(-1, 1, 1, 1)).astype(weight.dtype))
    conv.resize_inputs(3)
    conv.replace_input_with(2, initializer(model, bias.astype(weight.dtype), "bias"))
    substitute(norm.outputs[0], conv.outputs[0])
    model.graph.remove(norm, safe=True)
