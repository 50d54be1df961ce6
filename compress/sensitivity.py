"""How much each layer suffers when its weights alone are rounded to 8 bits."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from compress import calibrate, graph

PICTURES = 32  # measured on: enough to rank layers, few enough to take seconds


def rank(fp32_path: Path, calibration: Iterable[np.ndarray]) -> list[tuple[str, float]]:
    """(node name, damage) of every Conv, Gemm and MatMul, the most damaging first.

    Damage is the relative squared change of a picture's logits, measured on the first pictures of
    `calibration` (uint8 (b, h, w, 3)) with that layer's weights rounded and all else float: what
    leaving the layer out gives back. Activations between 8-bit layers stay rounded all the same.
    """
    model = graph.load(Path(fp32_path))
    graph.name_nodes(model)
    pictures = _first(calibration, PICTURES)
    layers, weights = weighted(model)
    run = calibrate.session(with_weight_inputs(model, weights))
    feed = {graph.image_inputs(model)[0]: pictures, **weights}
    exact = run.run(None, feed)[0]
    damages = []
    for node in layers:
        rounded = fake_quantized(weights[node.input[1]], channel_axis(node))
        logits = run.run(None, feed | {node.input[1]: rounded})[0]
        damages.append((node.name, relative_error(logits, exact)))
    return sorted(damages, key=lambda pair: -pair[1])


def _first(calibration: Iterable[np.ndarray], count: int) -> np.ndarray:
    """The first `count` pictures, as far as they are of one size."""
    batches = calibrate.first_pictures(calibration, count)
    size = batches[0].shape[1:]
    return np.concatenate(list(takewhile(lambda batch: batch.shape[1:] == size, batches)))


def weighted(model: ModelProto) -> tuple[list[NodeProto], dict[str, np.ndarray]]:
    """The nodes with constant float weights, and those weights by name."""
    values = graph.constants(model)
    nodes = [
        node
        for node in model.graph.node
        if node.op_type in graph.WEIGHTED
        and node.input[1] in values
        and values[node.input[1]].dtype == np.float32
    ]
    return nodes, {node.input[1]: values[node.input[1]] for node in nodes}


def with_weight_inputs(model: ModelProto, weights: dict[str, np.ndarray]) -> ModelProto:
    """A copy that reads these weights as inputs, so that one session serves every variant."""
    copy = ModelProto()
    copy.CopyFrom(model)
    kept = [init for init in copy.graph.initializer if init.name not in weights]
    del copy.graph.initializer[:]
    copy.graph.initializer.extend(kept)
    listed = {value.name for value in copy.graph.input}
    copy.graph.input.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape)
        for name, array in weights.items()
        if name not in listed
    )
    return copy


def channel_axis(node: NodeProto) -> int:
    """Axis of the output channels in the layer's weight."""
    if node.op_type == "Conv":
        return 0
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return 0 if transposed else -1


def fake_quantized(weight: np.ndarray, axis: int) -> np.ndarray:
    """`weight` rounded to 255 levels around 0 with one scale for each index of `axis`."""
    others = tuple(i for i in range(weight.ndim) if i != axis % weight.ndim)
    scale = np.abs(weight).max(axis=others, keepdims=True) / np.float32(127)
    scale = np.where(scale == 0, np.float32(1), scale)
    return (np.round(weight / scale) * scale).astype(np.float32)


def relative_error(logits: np.ndarray, exact: np.ndarray) -> float:
    """Median over pictures of the squared change over the squared norm; logits (n, classes).

    A median, because a few pictures with huge logits would outweigh all the others in a mean.
    """
    change = ((logits - exact).astype(np.float64) ** 2).sum(1)
    power = (exact.astype(np.float64) ** 2).sum(1)
    return float(np.median(change / np.maximum(power, 1e-30)))
