"""Only what is needed to run: short names, no debris of the exporter."""

from __future__ import annotations

from collections import Counter

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass


def shorten_names(model: ir.Model) -> ir.Model:
    """Nodes are called by kind and number (`Conv12`), tensors `t12`, constants `w12`.

    Metadata of nodes, values and graph, doc strings, inferred shapes and unused constants go; the
    names of the graph's inputs and outputs and the model's own metadata stay. So does the shape of
    the picture's planes: runtimes that cannot tell the size that Resize gives fuse less without it.

    Cases: long names; an output that is also read inside; a constant that two nodes share; the
    planes behind the head.
    """
    graph = model.graph
    kept = {value.name for value in (*graph.inputs, *graph.outputs)}
    RemoveUnusedNodesPass()(model)
    _rename_constants(graph, kept)
    counts: Counter[str] = Counter()
    tensors = 0
    for node in graph:
        node.name = f"{node.op_type}{counts[node.op_type]}"
        counts[node.op_type] += 1
        _clear(node)
        for value in node.outputs:
            if value.name not in kept or not value.is_graph_output():
                value.name = f"t{tensors}"
                tensors += 1
                if node.op_type != "DequantizeLinear":
                    value.shape = value.type = None
            _clear(value)
    graph.name = "main"
    _clear(graph)
    model.doc_string = None
    model.producer_name, model.producer_version = "studentzoo", ""
    return model


def _rename_constants(graph: ir.Graph, kept: set[str | None]) -> None:
    values = [v for v in graph.initializers.values() if v.name not in kept]
    for step in ("old.", "w"):  # two steps: a new name may be another's old one
        for k, value in enumerate(values):
            value.name = f"{step}{k}"
            if value.const_value is not None:
                value.const_value.name = value.name
    for value in graph.initializers.values():
        _clear(value)


def _clear(item: ir.Node | ir.Value | ir.Graph) -> None:
    item.doc_string = None
    item.metadata_props.clear()
