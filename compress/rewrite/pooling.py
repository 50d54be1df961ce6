"""Mean over height and width becomes GlobalAveragePool, which has an 8-bit kernel (exact)."""

from __future__ import annotations

import onnx_ir as ir

from compress.rewrite.graph import constant, dims, number, numbers, substitute


def pool_means(model: ir.Model) -> ir.Model:
    """Cases: axes (2, 3) and (-2, -1), kept or dropped, given either way; other means stay."""
    for node in list(model.graph):
        if node.op_type == "ReduceMean" and _is_spatial(node):
            _replace(model, node)
    return model


def _is_spatial(node: ir.Node) -> bool:
    given = constant(node.inputs[1]) if len(node.inputs) > 1 else None
    axes = numbers(node, "axes") if given is None else tuple(given.tolist())
    return len(dims(node.inputs[0])) == 4 and {a % 4 for a in axes} == {2, 3}


def _replace(model: ir.Model, node: ir.Node) -> None:
    new = [ir.node("GlobalAveragePool", [node.inputs[0]])]
    if number(node, "keepdims", 1) == 0:
        new.append(ir.node("Flatten", new[0].outputs, {"axis": 1}))
    model.graph.insert_before(node, new)
    substitute(node.outputs[0], new[-1].outputs[0])
    model.graph.remove(node)
