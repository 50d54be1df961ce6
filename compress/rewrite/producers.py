"""A shuffle that must reach its readers as it is: its channels are made in that order (exact)."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from compress.rewrite.channels import carries
from compress.rewrite.graph import constant, is_conv, number, set_constant, substitute, width


def make_shuffled(model: ir.Model) -> ir.Model:
    """A Gather of channels goes into the rows of the dense convolution before it.

    Requires a Gather on the channel axis whose input comes of a dense convolution, through
    channelwise nodes at most, and is read by nothing else on the way. Ensures that every reader
    gets the channels that it got.

    Cases: ShuffleNet v1's first unit, whose first convolution is dense; the same through a
    depthwise convolution. A Gather of some channels, or one after a grouped convolution or a tensor
    that something else reads too, stays.
    """
    for node in list(model.graph):
        order = _order(node)
        path = None if order is None else _path(node.inputs[0])
        if order is not None and path is not None:
            _reorder(model, path, order)
            source = node.inputs[0]
            assert source is not None  # a Gather's input
            substitute(node.outputs[0], source)
    return model


def _order(node: ir.Node) -> np.ndarray | None:
    """Which channels a Gather picks, where it picks each of them once."""
    if node.op_type != "Gather" or number(node, "axis") != 1:
        return None
    order = constant(node.inputs[1])
    channels = range(width(node.inputs[0]) or 0)
    whole = order is not None and order.ndim == 1 and sorted(order.tolist()) == list(channels)
    return order if whole else None


def _path(value: ir.Value | None) -> list[ir.Node] | None:
    """From the convolution that makes a tensor to what hands it on, last node first."""
    nodes: list[ir.Node] = []
    while value is not None and len(value.uses()) == 1 and not value.is_graph_output():
        node = value.producer()
        if node is None:
            return None
        nodes.append(node)
        if is_conv(node):
            return nodes
        if not carries(node):
            return None
        value = node.inputs[0]
    return None


def _reorder(model: ir.Model, path: list[ir.Node], order: np.ndarray) -> None:
    for node in path:
        if node.op_type != "Conv":
            continue
        for index, value in enumerate(node.inputs[1:], 1):
            array = constant(value)
            if array is not None:
                set_constant(model, node, index, array[order])
