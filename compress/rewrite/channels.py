"""Where every channel comes from: the analysis under the passes that reorder channels.

A shuffle, Split, Concat, Slice and Gather on the channel axis only move channels about. Give every
channel of every computed tensor (a *source*) a number and follow the numbers through these nodes:
what a computing node reads is then a list of numbers, its *demand*.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from compress.rewrite.graph import constant, dims, is_conv, is_depthwise, number, numbers, width

# Each output channel is a function of the same input channel alone.
CHANNELWISE = {"Relu", "Clip", "LeakyRelu", "HardSwish"} | {
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
}


def carries(node: ir.Node) -> bool:
    """Whether channel i of the output depends on channel i of the data input and nothing else."""
    if node.op_type == "Flatten":
        shape = dims(node.inputs[0])
        return number(node, "axis", 1) == 1 and len(shape) > 2 and set(shape[2:]) == {1}
    return node.op_type in CHANNELWISE or is_depthwise(node)


def absorbs(node: ir.Node) -> bool:
    """Whether any order of the input's channels can be undone in the constant weights."""
    if node.op_type == "Gemm":
        return number(node, "transA") == 0 and constant(node.inputs[1]) is not None
    return is_conv(node)


@dataclass(eq=False)
class Demand:
    """What one input of one computing node reads."""

    node: ir.Node
    index: int  # which input
    ids: np.ndarray  # (channels,) int64: the numbers read, in order


@dataclass(eq=False)
class Bundle:
    """Sources and demands whose channel orders hang together."""

    sources: list[ir.Value] = field(default_factory=list)  # a carried source after its origin
    demands: list[Demand] = field(default_factory=list)
    pinned: bool = False  # something in it needs the order as it is


class Channels:
    """The numbers of all channels of a graph, and its demands in the order of its nodes."""

    def __init__(self, graph: ir.Graph) -> None:
        self.first: dict[ir.Value, int] = {}  # a source's first number
        self.owners: list[ir.Value] = []  # of every number the source that it belongs to
        self.demands: list[Demand] = []
        self._ids: dict[ir.Value, np.ndarray] = {}
        self._outputs = graph.outputs
        for node in graph:
            read = [(k, v) for k, v in enumerate(node.inputs) if self._is_read(v)]
            ids = {k: self._ids_of(v) for k, v in read if v is not None}
            rule = _RULES.get(node.op_type)
            routed = rule(node, list(ids.values())) if rule and ids else None
            if routed is not None:
                self._ids.update(zip(node.outputs, routed, strict=True))
            else:
                self.demands += [Demand(node, k, i) for k, i in ids.items()]

    def ids(self, value: ir.Value | None) -> np.ndarray | None:
        """The numbers of a tensor's channels, in the shape of its channel axes."""
        return None if value is None else self._ids.get(value)

    def own(self, source: ir.Value) -> list[int]:
        """A source's own numbers, in its original order."""
        return self._ids[source].tolist()

    def _is_read(self, value: ir.Value | None) -> bool:
        if value is None or constant(value) is not None:
            return False
        return value in self._ids or width(value) is not None

    def _ids_of(self, value: ir.Value) -> np.ndarray:
        if value not in self._ids:
            count = width(value) or 0
            self.first[value] = len(self.owners)
            self._ids[value] = np.arange(count) + len(self.owners)
            self.owners += [value] * count
        return self._ids[value]

    def bundles(self) -> list[Bundle]:
        """Groups of sources that are read together or carried into each other, with readers."""
        root = _unite(self.first, (list(self._tied(demand)) for demand in self.demands))
        bundles: dict[ir.Value, Bundle] = {}
        for source in self.first:
            bundle = bundles.setdefault(root[source], Bundle())
            bundle.sources.append(source)
            producer = source.producer()
            bundle.pinned |= producer is None or not (is_conv(producer) or carries(producer))
        for demand in self.demands:
            for source in list(self._tied(demand))[:1]:
                bundles[root[source]].demands.append(demand)
                bundles[root[source]].pinned |= not _is_free(demand)
        for value in self._outputs:
            for i in np.ravel(self._ids.get(value, np.empty(0, np.int64))):
                bundles[root[self.owners[i]]].pinned = True
        return list(bundles.values())

    def _tied(self, demand: Demand) -> Iterator[ir.Value]:
        yield from dict.fromkeys(self.owners[i] for i in np.ravel(demand.ids))
        if not absorbs(demand.node):
            yield from (out for out in demand.node.outputs if out in self.first)


def _is_free(demand: Demand) -> bool:
    """Whether its reader takes the channels in any order."""
    distinct = demand.ids.ndim == 1 and len(set(demand.ids.tolist())) == demand.ids.size
    return distinct and (absorbs(demand.node) or carries(demand.node))


def _unite(
    items: Iterable[ir.Value], ties: Iterable[Sequence[ir.Value]]
) -> dict[ir.Value, ir.Value]:
    """Of every item one representative of all that it is tied to (union-find)."""
    root = {item: item for item in items}

    def find(item: ir.Value) -> ir.Value:
        while root[item] is not item:
            root[item] = root[root[item]]
            item = root[item]
        return item

    for tied in ties:
        for other in tied[1:]:
            root[find(other)] = find(tied[0])
    return {item: find(item) for item in root}


# What each moving node does: (node, numbers of its inputs) to the numbers of its outputs.


def _identity(node: ir.Node, ids: list[np.ndarray]) -> list[np.ndarray] | None:
    return ids


def _concat(node: ir.Node, ids: list[np.ndarray]) -> list[np.ndarray] | None:
    whole = len(ids) == len(node.inputs) and all(i.ndim == 1 for i in ids)
    return [np.concatenate(ids)] if whole and number(node, "axis") == 1 else None


def _split(node: ir.Node, ids: list[np.ndarray]) -> list[np.ndarray] | None:
    widths = [width(out) for out in node.outputs]
    if number(node, "axis") != 1 or ids[0].ndim != 1:
        return None
    known = [w for w in widths if w is not None]
    return np.split(ids[0], np.cumsum(known)[:-1]) if len(known) == len(widths) else None


def _slice(node: ir.Node, ids: list[np.ndarray]) -> list[np.ndarray] | None:
    given = [constant(value) for value in node.inputs[1:]]
    scalars = [int(g.item()) for g in given if g is not None and g.size == 1]
    if len(scalars) != len(given) or len(given) < 3 or scalars[2] != 1 or ids[0].ndim != 1:
        return None
    start, end, _, *step = scalars
    return [ids[0][slice(start, end, *step)]]


def _gather(node: ir.Node, ids: list[np.ndarray]) -> list[np.ndarray] | None:
    picked = constant(node.inputs[1])
    if picked is None or picked.ndim != 1 or ids[0].ndim != 1 or number(node, "axis") != 1:
        return None
    return [ids[0][picked]]


def _reshape(node: ir.Node, ids: list[np.ndarray]) -> list[np.ndarray] | None:
    """(n, channels, h, w) to (n, a, b, h, w) or back."""
    before, after = dims(node.inputs[0]), dims(node.outputs[0])
    if min(len(before), len(after)) < 4 or before[-2:] != after[-2:] or None in after[-2:]:
        return None
    inner = [d for d in after[1:-2] if d is not None]
    if len(inner) != len(after) - 3 or math.prod(inner) != ids[0].size:
        return None
    return [ids[0].reshape(inner)]


def _transpose(node: ir.Node, ids: list[np.ndarray]) -> list[np.ndarray] | None:
    perm = numbers(node, "perm")
    rank = len(perm)
    if rank < 5 or ids[0].ndim != rank - 3 or perm[0] != 0 or perm[-2:] != (rank - 2, rank - 1):
        return None
    return [ids[0].transpose([p - 1 for p in perm[1:-2]])]


_RULES = {
    "Identity": _identity,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "Reshape": _reshape,
    "Transpose": _transpose,
}
