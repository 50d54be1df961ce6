"""Shuffles that must stay become one Gather (exact)."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from compress.rewrite.channels import Channels
from compress.rewrite.graph import dims, initializer, substitute


def gather_shuffles(model: ir.Model) -> ir.Model:
    """Reshape, Transpose, Reshape on the channel axis is one Gather with constant indices.

    Cases: a shuffle between grouped convolutions; a shuffle that is the graph's output; a transpose
    of height and width, or of a tensor that is not a picture, stays.
    """
    channels = Channels(model.graph)
    for node in list(model.graph):
        chain = _chain(node)
        if chain is None:
            continue
        before, after = channels.ids(chain[0].inputs[0]), channels.ids(node.outputs[0])
        if before is None or after is None or set(before.flat) != set(after.flat):
            continue
        place = {i: k for k, i in enumerate(before.tolist())}
        order = np.array([place[i] for i in after.tolist()], np.int64)
        picked = initializer(model, order, "order")
        gather = ir.node("Gather", [chain[0].inputs[0], picked], {"axis": 1})
        model.graph.insert_before(node, gather)
        substitute(node.outputs[0], gather.outputs[0])
    return model


def _chain(last: ir.Node) -> list[ir.Node] | None:
    """The three nodes of a shuffle that ends here, first one first."""
    nodes = [last]
    for _ in range(2):
        value = (*nodes[0].inputs, None)[0]
        producer = value.producer() if value is not None else None
        if producer is None:
            return None
        nodes.insert(0, producer)
    kinds = [node.op_type for node in nodes]
    picture = len(dims(nodes[0].inputs[0])) == 4 and len(dims(last.outputs[0])) == 4
    return nodes if kinds == ["Reshape", "Transpose", "Reshape"] and picture else None
