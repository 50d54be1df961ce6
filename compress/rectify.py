"""A Relu whose input something else reads too runs on the bytes of that input.

Such a Relu cannot go into the range of the layer before it. Given a range of its own, it would be a
float node between two roundings, the second of which loses more; its input is rounded already. With
the range of its input it is the larger of a byte and the zero point: exact, and one pass over
bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from onnx import ModelProto, NodeProto, helper

from compress import calibrate, graph

Range = tuple[float, float]  # low, high


def shared(
    model: ModelProto, ranges: Mapping[str, Range], stay: Collection[str] = ()
) -> dict[str, Range]:
    """The same ranges, but that of its input for every Relu beside other readers.

    `stay` names the nodes that will be as they are. Cases: a Relu beside a convolution; two Relus;
    what only copies a Relu's output (follows); a Relu that is alone, or stays (keeps its own).
    """
    found = dict(ranges)
    for node in model.graph.node:
        source = node.input[0] if node.input else ""
        rectifies = node.op_type == "Relu" and node.name not in stay and node.output[0] in ranges
        if source in found and (rectifies or node.op_type in calibrate.COPIES):
            found.update({name: found[source] for name in node.output if name in ranges})
    return found


def in_bytes(model: ModelProto) -> None:
    """Between a DequantizeLinear and a QuantizeLinear alike, a Relu is a Clip of the bytes.

    Cases: one scale and zero point (a Clip); another scale, a Relu that reads or gives floats, and
    one whose floats something else reads too (stay).
    """
    values, writer = graph.constants(model), graph.producers(model)
    readers = graph.consumers(model)
    places = {node.output[0]: i for i, node in enumerate(model.graph.node)}
    dropped: set[int] = set()
    for node in model.graph.node:
        before = writer.get(node.input[0]) if node.op_type == "Relu" else None
        after = readers.get(node.output[0], []) if before is not None else []
        if before is None or len(after) != 1 or not _alike(before, after[0], values):
            continue
        dropped.add(places[after[0].output[0]])
        clip = helper.make_node(
            "Clip", [before.input[0], before.input[2]], after[0].output, name=node.name
        )
        node.CopyFrom(clip)
    graph.drop_nodes(model, dropped)


def _alike(before: NodeProto, after: NodeProto, values: Mapping[str, np.ndarray]) -> bool:
    """Whether the two lie on the same bytes, with one scale for all of them."""
    kinds = (before.op_type, after.op_type) == ("DequantizeLinear", "QuantizeLinear")
    whole = len(before.input) == 3 and graph.same_scale(before, after, values)
    return kinds and whole and values[before.input[1]].ndim == 0
