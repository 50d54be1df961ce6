"""Tensors that are joined take one range: their bytes are then joined as they are.

A Concat of several ranges rounds every piece a second time, onto the range of the whole, by a table
look-up for each byte. With one range for the whole and its pieces it copies rows, and nothing is
lost by it: what only a Concat reads ends in the range of the whole. TensorFlow Lite's 8 bits ask
the same of every concatenation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from onnx import ModelProto, NodeProto

from compress import graph

Range = tuple[float, float]  # low, high
APART = 4.0  # times wider than its own: the widest range that a whole takes for other wholes' sake


def shared(model: ModelProto, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """The same ranges, but one for all tensors that hang together by Concat and Split.

    Cases: convolutions that are joined; pieces of a Split that go to several Concats; a tensor that
    something else reads too, or an output of the graph (keeps its own); two Concats that share a
    piece, and whose ranges are far apart (all keep their own).
    """
    found = dict(ranges)
    wholes = {node.output[0] for node in model.graph.node if node.op_type == "Concat"}
    for names in _groups(model, ranges):
        low = min(ranges[name][0] for name in names)
        high = max(ranges[name][1] for name in names)
        widths = (ranges[name][1] - ranges[name][0] for name in names & wholes)
        if all(high - low <= APART * width for width in widths):
            found.update(dict.fromkeys(names, (low, high)))
    return found


def _groups(model: ModelProto, known: Mapping[str, Range]) -> list[set[str]]:
    """Sets of tensors that are to have one range."""
    groups: list[set[str]] = []
    for tied in _tied(model):
        names = tied & known.keys()
        touched = [group for group in groups if group & names]
        groups = [group for group in groups if group not in touched]
        groups.append(names.union(*touched))
    return [group for group in groups if len(group) > 1]


def _tied(model: ModelProto) -> Iterator[set[str]]:
    """Of every Concat: what it gives, and what it reads that nothing but a Concat reads."""
    writer, readers = graph.producers(model), graph.consumers(model)
    ends = {value.name for value in model.graph.output}

    def joined(name: str) -> bool:
        """Whether all that is read of a tensor is read by Concats, through Splits too."""
        return name not in ends and all(
            node.op_type == "Concat" or (node.op_type == "Split" and all(map(joined, node.output)))
            for node in readers.get(name, [])
        )

    for node in model.graph.node:
        if node.op_type == "Concat":
            sources = {name: _source(name, writer) for name in node.input}
            own = [pair for pair in sources.items() if joined(pair[1])]
            yield {node.output[0], *(name for pair in own for name in pair)}
        elif node.op_type == "Split" and joined(_source(node.input[0], writer)):
            yield {node.input[0], *node.output}


def _source(name: str, writer: Mapping[str, NodeProto]) -> str:
    """The tensor that this one is a piece of."""
    while name in writer and writer[name].op_type == "Split":
        name = writer[name].input[0]
    return name
