"""Small grouped 1x1 convolutions become dense ones, with zeros between the groups (exact)."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from compress.rewrite.graph import constant, is_conv, is_depthwise, number, set_constant

# A dense one multiplies as many times more as there are groups. By measurement that is made good by
# what is saved where the weights are few, on the early and large pictures: no loop over groups, no
# shuffle, widths that can be padded. At four times these weights 8 bits gain nothing and floats
# lose a fifth; with 8 groups floats lose half.
MOST_GROUPS = 4
MOST_WEIGHTS = 4096  # numbers of the dense weights, so at most 12 KB more in fp32 and 3 KB in int8


def ungroup(model: ir.Model) -> ir.Model:
    """A grouped 1x1 convolution of few weights gets dense ones; `fold_shuffles` then passes it.

    Requires constant weights. Ensures that every product it adds is one with zero: equal for all
    finite inputs.

    Cases: between two such convolutions ShuffleNet v1's shuffle vanishes and the depthwise width is
    padded; weights that are many, 8 groups, a kernel of 3 and a depthwise convolution stay.
    """
    for node in model.graph:
        if _is_small(node):
            set_constant(model, node, 1, _dense(np.asarray(constant(node.inputs[1])), _group(node)))
            node.attributes["group"] = ir.AttrInt64("group", 1)
    return model


def _group(node: ir.Node) -> int:
    return number(node, "group", 1)


def _is_small(node: ir.Node) -> bool:
    group = _group(node)
    if not 1 < group <= MOST_GROUPS or not is_conv(node, group) or is_depthwise(node):
        return False
    weight = np.asarray(constant(node.inputs[1]))
    return set(weight.shape[2:]) == {1} and weight.size * group <= MOST_WEIGHTS


def _dense(weight: np.ndarray, group: int) -> np.ndarray:
    """(o, i / group, ...) as (o, i, ...): group after group on the diagonal."""
    o, each = weight.shape[0] // group, weight.shape[1]
    full = np.zeros((weight.shape[0], each * group, *weight.shape[2:]), weight.dtype)
    for k in range(group):
        rows = slice(k * o, (k + 1) * o)
        full[rows, k * each : (k + 1) * each] = weight[rows]
    return full
