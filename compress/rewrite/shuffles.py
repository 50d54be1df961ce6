"""Channel shuffles cost nothing: the weights around them are permuted instead (exact)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import onnx_ir as ir

from compress.rewrite.channels import Bundle, Channels, Demand, absorbs, carries
from compress.rewrite.graph import constant, initializer, is_conv, number, set_constant


def fold_shuffles(model: ir.Model) -> ir.Model:
    """Every channel goes from the node that makes it to the nodes that read it, unshuffled.

    A producer's output channels are sorted by who reads them and split once into contiguous
    pieces, and every reader takes one Concat of pieces; convolutions undo the new order in their
    weights, and channelwise nodes (depthwise convolution, ReLU, pooling) pass it on.

    Cases: a shuffle before a convolution; ShuffleNet v2's units at stride 1 and 2 (shuffle, split,
    concat); a shuffle through a depthwise convolution; a shuffle before pooling and classifier; a
    shuffle that a residual sum, a grouped convolution or the graph's output reads stays.
    """
    channels = Channels(model.graph)
    for bundle in channels.bundles():
        if not bundle.pinned and any(_is_mixed(d, channels.owners) for d in bundle.demands):
            plan = _Plan(channels, bundle)
            _Wiring(model, plan).apply()
    return model


def _is_mixed(demand: Demand, owners: Sequence[ir.Value]) -> bool:
    """Whether it reads its sources in more runs than there are sources."""
    ids = demand.ids.tolist()
    runs = 1 + sum(b != a + 1 or owners[a] is not owners[b] for a, b in pairwise(ids))
    return runs > len({owners[i] for i in ids})


class _Plan:
    """The new orders of one bundle: of the channels that sources make and that readers take."""

    def __init__(self, channels: Channels, bundle: Bundle) -> None:
        self.channels, self.bundle = channels, bundle
        self.groups = _same_channels(bundle.demands)
        self.order: dict[ir.Value, list[int]] = {}  # of every source: its numbers, reordered
        self.reads: dict[int, list[int]] = {}  # of every group: its numbers, reordered
        self._class = self._classify()
        carried = {
            d.node.outputs[0]: (k, d)
            for k, group in enumerate(self.groups)
            for d in group
            if carries(d.node)
        }
        for source in bundle.sources:
            if source in carried:
                self.order[source] = self._carried_order(source, *carried[source])
            else:
                self.order[source] = sorted(channels.own(source), key=lambda i: (self._class[i], i))
        for k in range(len(self.groups)):
            self._order_group(k)

    def _classify(self) -> dict[int, int]:
        """Of every number its class: numbers of one class have the same readers to the end."""
        readers: dict[int, set[tuple[int, int | None]]] = {}  # group, number that it becomes
        for k, group in enumerate(self.groups):
            for demand in group:
                after = self._after(demand)
                for i in demand.ids.tolist():
                    readers.setdefault(i, set()).add((k, after.get(i)))
        classes: dict[int, int] = {}
        known: dict[frozenset[tuple[int, int]], int] = {}
        for source in reversed(self.bundle.sources):  # what a number becomes is classed before it
            for i in self.channels.own(source):
                key = frozenset((k, -1 if j is None else classes[j]) for k, j in readers.get(i, ()))
                classes[i] = known.setdefault(key, len(known))
        return classes

    def _after(self, demand: Demand) -> dict[int, int]:
        """Which number of a channelwise node's output each number that it reads becomes."""
        own = self.channels.ids(demand.node.outputs[0]) if carries(demand.node) else None
        return {} if own is None else dict(zip(demand.ids.tolist(), own.tolist(), strict=True))

    def _carried_order(self, source: ir.Value, group: int, demand: Demand) -> list[int]:
        self._order_group(group)
        after = self._after(demand)
        return [after[i] for i in self.reads[group]]

    def _order_group(self, k: int) -> None:
        """Class by class, in each the sources in their order."""
        if k not in self.reads:
            place = {i: p for p, i in enumerate(i for own in self.order.values() for i in own)}
            ids = self.groups[k][0].ids.tolist()
            self.reads[k] = sorted(ids, key=lambda i: (self._class[i], place[i]))

    def pieces(self) -> dict[ir.Value, list[list[int]]]:
        """Every source cut wherever one of its readers does not read on."""
        nexts = [dict(zip(read, [*read[1:], -1], strict=True)) for read in self.reads.values()]

        def is_cut(a: int, b: int) -> bool:
            return any(after.get(a) != b for after in nexts if a in after or b in after)

        return {source: _cut(order, is_cut) for source, order in self.order.items()}


def _same_channels(demands: Sequence[Demand]) -> list[list[Demand]]:
    """Demands for the same set of channels, which may share one Concat."""
    groups: dict[frozenset[int], list[Demand]] = {}
    for demand in demands:
        groups.setdefault(frozenset(demand.ids.tolist()), []).append(demand)
    return list(groups.values())


def _cut(order: list[int], is_cut: Callable[[int, int], bool]) -> list[list[int]]:
    pieces = [[order[0]]]
    for a, b in pairwise(order):
        if is_cut(a, b):
            pieces.append([])
        pieces[-1].append(b)
    return pieces


class _Wiring:
    """Changes of the graph that carry out a plan."""

    def __init__(self, model: ir.Model, plan: _Plan) -> None:
        self.model, self.plan = model, plan
        self.tensors: dict[int, tuple[ir.Value, int]] = {}  # first number: piece and its width

    def apply(self) -> None:
        for source, pieces in self.plan.pieces().items():
            self._split(source, pieces)
        for k, group in enumerate(self.plan.groups):
            joined = self._join(self.plan.reads[k], group)
            for demand in group:
                place = {i: p for p, i in enumerate(demand.ids.tolist())}
                demand.node.replace_input_with(demand.index, joined)
                self._permute_reader(demand.node, [place[i] for i in self.plan.reads[k]])
        for source, order in self.plan.order.items():
            producer = source.producer()
            if producer is not None and is_conv(producer):
                first = self.plan.channels.first[source]
                _take_rows(self.model, producer, [i - first for i in order])

    def _split(self, source: ir.Value, pieces: list[list[int]]) -> None:
        outputs = [source]
        producer = source.producer()
        if len(pieces) > 1 and producer is not None:
            sizes = initializer(self.model, np.array([len(p) for p in pieces], np.int64), "sizes")
            node = ir.node("Split", [source, sizes], {"axis": 1}, num_outputs=len(pieces))
            self.model.graph.insert_after(producer, node)
            outputs = list(node.outputs)
        for piece, output in zip(pieces, outputs, strict=True):
            self.tensors[piece[0]] = (output, len(piece))

    def _join(self, read: list[int], group: list[Demand]) -> ir.Value:
        pieces, k = [], 0
        while k < len(read):
            piece, count = self.tensors[read[k]]
            pieces.append(piece)
            k += count
        if len(pieces) == 1:
            return pieces[0]
        node = ir.node("Concat", pieces, {"axis": 1})
        self.model.graph.insert_before(group[0].node, node)  # demands follow the graph's order
        return node.outputs[0]

    def _permute_reader(self, node: ir.Node, picked: list[int]) -> None:
        if absorbs(node):
            axis = 0 if node.op_type == "Gemm" and number(node, "transB") == 0 else 1
            weight = np.asarray(constant(node.inputs[1]))
            if picked != list(range(len(picked))):
                set_constant(self.model, node, 1, weight.take(picked, axis))
        elif node.op_type == "Conv":
            _take_rows(self.model, node, picked)


def _take_rows(model: ir.Model, node: ir.Node, picked: list[int]) -> None:
    """Weights and bias of a convolution for output channels in another order."""
    if picked == list(range(len(picked))):
        return
    for index, value in enumerate(node.inputs[1:], 1):
        array = constant(value)
        if array is not None:
            set_constant(model, node, index, array[picked])
