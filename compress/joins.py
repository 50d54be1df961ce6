"""Tensors that are joined take one range: their bytes are then joined as they are.

A Concat of several ranges rounds every piece a second time, onto the range of the whole, by a table
look-up for each byte. With one range for the whole and its pieces it copies rows, and nothing is
lost by it: what only a Concat reads ends in the range of the whole. TensorFlow Lite's 8 bits ask
the same of every concatenation.
"""

from __future__ import annotations

from collections.abc import Mapping

from onnx import ModelProto, NodeProto

from compress import graph

Range = tuple[float, float]  # low, high
APART = 2.0  # times as wide as its own: the widest range that a whole takes, one of its eight bits


def shared(model: ModelProto, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """The same ranges, but one for tensors that hang together by Concat and Split.

    Cases: convolutions that are joined; pieces of a Split that go to several Concats; a tensor that
    something else reads too, or an output of the graph (keeps its own); two Concats that share a
    piece, and whose ranges are far apart (the piece takes that of the narrower).
    """
    found, writer = dict(ranges), graph.producers(model)
    feeds = {whole: roots for whole, roots in _joins(model).items() if whole in ranges}
    pieces: dict[str, list[str]] = {}
    for name in ranges:
        pieces.setdefault(_source(name, writer), []).append(name)
    for wholes in _groups(feeds):
        taken: set[str] = set()
        left = sorted(wholes, key=lambda name: _width(ranges[name]))
        while left:
            widest = APART * _width(ranges[left[0]])
            level = [name for name in left if _width(ranges[name]) <= widest]
            left = [name for name in left if name not in level]
            roots = {root for whole in level for root in feeds[whole] if root in ranges}
            level += [r for r in roots - taken - wholes if _width(ranges[r]) <= widest]
            one = min(ranges[n][0] for n in level), max(ranges[n][1] for n in level)
            taken.update(level)
            found.update({piece: one for name in level for piece in pieces[name]})
    return found


def _width(limits: Range) -> float:
    return limits[1] - limits[0]


def _joins(model: ModelProto) -> dict[str, set[str]]:
    """Of what every Concat gives: the tensors that it joins which nothing but a Concat reads."""
    writer, readers = graph.producers(model), graph.consumers(model)
    ends = {value.name for value in model.graph.output}

    def joined(name: str) -> bool:
        """Whether all that is read of a tensor is read by Concats, through Splits too."""
        return name not in ends and all(
            node.op_type == "Concat" or (node.op_type == "Split" and all(map(joined, node.output)))
            for node in readers.get(name, [])
        )

    return {
        node.output[0]: {root for name in node.input if joined(root := _source(name, writer))}
        for node in model.graph.node
        if node.op_type == "Concat"
    }


def _source(name: str, writer: Mapping[str, NodeProto]) -> str:
    """The tensor that this one is a piece of."""
    while name in writer and writer[name].op_type == "Split":
        name = writer[name].input[0]
    return name


def _groups(feeds: Mapping[str, set[str]]) -> list[set[str]]:
    """Wholes that hang together, by what they join or by one joining another."""
    groups: list[tuple[set[str], set[str]]] = []
    for whole, roots in feeds.items():
        names, wholes = {whole, *roots}, {whole}
        apart = []
        for group in groups:
            if group[0] & names:
                names, wholes = names | group[0], wholes | group[1]
            else:
                apart.append(group)
        groups = [*apart, (names, wholes)]
    return [wholes for _, wholes in groups]
