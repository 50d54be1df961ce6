"""Rounded weights move a layer's mean output; its bias takes that back.

Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section
4.2; here the mean is measured, on what the float file's layer reads, so that zero padding counts.
A depthwise layer has a few weights a channel, whose roundings do not cancel: in networks of them it
is most of what 8-bit weights cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from compress import calibrate, compare, graph

EXAMPLES = 64  # that the means are taken over


@dataclass(frozen=True)
class _Layer:
    """A Conv or Gemm in 8 bits."""

    node: NodeProto  # in the float graph
    change: np.ndarray  # rounded weights less float ones
    bias: NodeProto  # the DequantizeLinear of its bias in the 8-bit graph


def correct(int8: ModelProto, exact: ModelProto, batches: Sequence[np.ndarray]) -> None:
    """Shift the biases of `int8` by the mean change that rounded weights make.

    `int8` is a graph of QuantizeLinear and DequantizeLinear with the names of `exact`, its float
    graph; `batches` are calibration examples as it takes them.

    Cases: Conv, depthwise Conv, Gemm; a layer in float, without a bias, or whose bias others read
    too, stays.
    """
    layers = _layers(int8, exact)
    if not layers:
        return
    values = graph.constants(int8)
    tensors = {init.name: init for init in int8.graph.initializer}
    for layer, mean in zip(layers, _means(exact, layers, batches), strict=True):
        name, scale = layer.bias.input[0], values[layer.bias.input[1]].astype(np.float64)
        steps = values[name] - np.round(mean / scale)
        limits = np.iinfo(np.int32)
        array = np.clip(steps, limits.min, limits.max).astype(np.int32)
        tensors[name].CopyFrom(numpy_helper.from_array(array, name))


def _layers(int8: ModelProto, exact: ModelProto) -> list[_Layer]:
    values, floats = graph.constants(int8), graph.constants(exact)
    writer, readers = graph.producers(int8), graph.consumers(int8)
    twins = {node.name: node for node in int8.graph.node}
    found = []
    for node in exact.graph.node:
        twin = twins.get(node.name)
        if node.op_type not in ("Conv", "Gemm") or twin is None or len(twin.input) < 3:
            continue
        weight, bias = (writer.get(name) for name in twin.input[1:3])
        if not (_is_constant(weight, values, np.int8) and _is_constant(bias, values, np.int32)):
            continue
        alone = len(readers[bias.input[0]]) == len(readers[bias.output[0]]) == 1  # type: ignore[union-attr]
        if alone and node.input[1] in floats:
            change = compare.dequantized(weight, values) - floats[node.input[1]]  # type: ignore[arg-type]
            found.append(_Layer(node, change, bias))  # type: ignore[arg-type]
    return found


def _is_constant(node: NodeProto | None, values: dict[str, np.ndarray], kind: type) -> bool:
    return (
        node is not None
        and node.op_type == "DequantizeLinear"
        and node.input[0] in values
        and values[node.input[0]].dtype == kind
    )


def _means(
    exact: ModelProto, layers: Sequence[_Layer], batches: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Mean over examples and places of what each layer's change of weights gives: (outputs,)."""
    probe = ModelProto()
    probe.CopyFrom(exact)
    names = [_probe(probe, k, layer) for k, layer in enumerate(layers)]
    session = calibrate.session(calibrate.with_outputs(probe, names))
    feed, seen = graph.inputs(exact)[0], 0
    sums = [np.zeros(()) for _ in names]
    for batch in batches:
        for k, array in enumerate(calibrate.run(session, {feed: batch}, names)):
            sums[k] = sums[k] + array.reshape(array.shape[0], array.shape[1], -1).mean(2).sum(0)
        seen += len(batch)
        if seen >= EXAMPLES:
            break
    return [total / seen for total in sums]


def _probe(model: ModelProto, k: int, layer: _Layer) -> str:
    """Let the layer run once more, with the change for its weights; the tensor that it gives."""
    weight, out = f"bias.change{k}", f"bias.moved{k}"
    model.graph.initializer.append(numpy_helper.from_array(layer.change, weight))
    twin = NodeProto()
    twin.CopyFrom(layer.node)
    twin.name, twin.output[:] = out, [out]
    twin.input[:] = [layer.node.input[0], weight]
    place = next(i for i, n in enumerate(model.graph.node) if n.name == layer.node.name)
    model.graph.node.insert(place + 1, twin)
    if layer.node.op_type == "Gemm":
        return out
    pooled = helper.make_node("GlobalAveragePool", [out], [f"{out}.mean"], name=f"{out}.mean")
    model.graph.node.insert(place + 2, pooled)
    return f"{out}.mean"
