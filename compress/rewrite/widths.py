"""Widths that the kernels like: zero channels up to a multiple of 4 or 16 (exact)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

import numpy as np
import onnx_ir as ir

from compress.rewrite.channels import absorbs, carries
from compress.rewrite.graph import (
    constant,
    dims,
    is_conv,
    is_depthwise,
    number,
    set_constant,
    width,
)

DENSE, DEPTHWISE = 4, 16  # channels that one step of onnxruntime's 8-bit kernels takes


def pad_widths(model: ir.Model) -> ir.Model:
    """Inputs of convolutions get zero channels up to a multiple of 4, of depthwise ones of 16.

    The zeros are made by zero rows in the weights of the producer and meet zero columns in the
    weights of every reader; between them they pass channelwise nodes, sums, Split and Concat.

    Cases: pointwise, depthwise, pointwise; the pieces between ShuffleNet units after
    `fold_shuffles`; a residual sum (both sides grow); a classifier after pooling; a width that is
    the graph's output, or goes through a grouped convolution or a reshape, stays.
    """
    for node in list(model.graph):
        if is_depthwise(node):
            _pad_input(model, node, DEPTHWISE)
        elif is_conv(node):
            _pad_input(model, node, DENSE)
    return model


def _pad_input(model: ir.Model, node: ir.Node, multiple: int) -> None:
    value = node.inputs[0]
    channels = width(value)
    if value is None or channels is None or channels % multiple == 0:
        return
    for end in _ends(value, channels):
        insertion = _Insertion(-channels % multiple)
        if insertion.at(value, end):
            insertion.commit(model)
            return


def _ends(value: ir.Value, channels: int) -> list[int]:
    """Where to put the zeros: behind the widest of the joined pieces, else behind another."""
    producer = value.producer()
    if producer is None or producer.op_type != "Concat":
        return [channels]
    widths = [_width(piece) for piece in producer.inputs]
    order = sorted(range(len(widths)), key=lambda k: -widths[k])
    return [sum(widths[: k + 1]) for k in order]


def _width(value: ir.Value | None) -> int:
    return width(value) or 0


class _Insertion:
    """Zero channels put at one place, and everywhere else that they show up from there."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.places: dict[ir.Value, int] = {}  # of every tensor that grows: before which channel
        self.rows: dict[ir.Node, int] = {}  # convolutions that make the zeros
        self.columns: dict[ir.Node, int] = {}  # convolutions and Gemms that ignore them
        self.pieces: dict[ir.Node, int] = {}  # Split nodes: which output grows

    def at(self, value: ir.Value | None, place: int) -> bool:
        """Plan the growth of a tensor before channel `place`; False where it cannot be done."""
        if value is None or value.is_graph_output() or constant(value) is not None:
            return False
        if value in self.places:
            return self.places[value] == place
        self.places[value] = place
        back = self._back(value, place)
        return back and all(self._forward(use.node, use.idx, place) for use in value.uses())

    def _back(self, value: ir.Value, place: int) -> bool:
        node = value.producer()
        if node is None:
            return False
        if is_conv(node):
            self.rows[node] = place
            return True
        if node.op_type == "Split" and number(node, "axis") == 1 and len(node.inputs) == 2:
            k = node.outputs.index(value)
            self.pieces[node] = k
            return self.at(node.inputs[0], _starts(node.outputs)[k] + place)
        if node.op_type == "Concat" and number(node, "axis") == 1:
            starts = _starts(node.inputs)
            k = max(k for k, start in enumerate(starts) if start < max(place, 1))
            return self.at(node.inputs[k], place - starts[k])
        return self._through(node, place)

    def _forward(self, node: ir.Node, index: int, place: int) -> bool:
        if absorbs(node):
            self.columns[node] = place
            return index == 0
        if node.op_type == "Split" and number(node, "axis") == 1 and len(node.inputs) == 2:
            starts = _starts(node.outputs)
            k = max(k for k, start in enumerate(starts) if start < max(place, 1))
            k = self.pieces.setdefault(node, k)
            return self.at(node.outputs[k], place - starts[k])
        if node.op_type == "Concat" and number(node, "axis") == 1:
            return self.at(node.outputs[0], _starts(node.inputs)[index] + place)
        return self._through(node, place)

    def _through(self, node: ir.Node, place: int) -> bool:
        """A node whose output grows with its inputs."""
        if carries(node):
            return self.at(node.inputs[0], place) and self.at(node.outputs[0], place)
        if node.op_type == "Add" and len({dims(v) for v in (*node.inputs, *node.outputs)}) == 1:
            return all(self.at(v, place) for v in (*node.inputs, *node.outputs))
        return False

    def commit(self, model: ir.Model) -> None:
        for node, place in self.rows.items():
            self._grow_rows(model, node, place)
        for node, place in self.columns.items():
            axis = 0 if node.op_type == "Gemm" and number(node, "transB") == 0 else 1
            set_constant(model, node, 1, self._grown(constant(node.inputs[1]), place, axis))
        for node, k in self.pieces.items():
            sizes = np.array(constant(node.inputs[1]))
            sizes[k] += self.count
            set_constant(model, node, 1, sizes)
        for value, place in self.places.items():
            producer = value.producer()
            if producer is not None and is_depthwise(producer):
                self._grow_rows(model, producer, place)
                groups = ir.AttrInt64("group", number(producer, "group") + self.count)
                producer.attributes["group"] = groups
        for value in self.places:
            old = dims(value)
            value.shape = ir.Shape([old[0], _width(value) + self.count, *old[2:]])

    def _grow_rows(self, model: ir.Model, node: ir.Node, place: int) -> None:
        for index in range(1, len(node.inputs)):
            array = constant(node.inputs[index])
            if array is not None:
                set_constant(model, node, index, self._grown(array, place, 0))

    def _grown(self, array: np.ndarray | None, place: int, axis: int) -> np.ndarray:
        return np.insert(np.asarray(array), [place] * self.count, 0, axis)


def _starts(values: Iterable[ir.Value | None]) -> list[int]:
    """At which channel of the whole each piece begins."""
    return [0, *accumulate(_width(v) for v in values)][:-1]
