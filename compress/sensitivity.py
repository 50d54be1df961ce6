"""How much each layer suffers when its weights alone are rounded to 8 bits."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from compress import calibrate, graph, normal, processor

PICTURES = 32  # measured on: enough to rank layers, few enough to take seconds


def rank(fp32_path: Path, calibration: Iterable[np.ndarray]) -> list[tuple[str, float]]:
    """(node name, damage) of every Conv, Gemm and MatMul, the most damaging first.

    Damage is the relative squared change of an example's outputs, measured on the first examples of
    `calibration` (batches of what the file reads) with that layer's weights rounded and all else
    float: what leaving the layer out gives back. Activations between 8-bit layers stay rounded.
    """
    model = normal.normalized(graph.load(Path(fp32_path)))
    pictures = _first(model, calibration, PICTURES)
    layers, weights = weighted(model)
    run = calibrate.session(with_weight_inputs(model, weights))
    name, damages = graph.inputs(model)[0], []

    def answers(changed: dict[str, np.ndarray]) -> np.ndarray:
        feeds = ({name: batch, **weights, **changed} for batch in pictures)
        return np.concatenate([_flat(calibrate.run(run, feed)) for feed in feeds])

    exact = answers({})
    for node in layers:
        rounded = fake_quantized(weights[node.input[1]], channel_axis(node))
        damages.append((node.name, relative_error(answers({node.input[1]: rounded}), exact)))
    return sorted(damages, key=lambda pair: -pair[1])


def _flat(outputs: list[np.ndarray]) -> np.ndarray:
    """All float outputs of a batch side by side: (n, numbers)."""
    floats = [out for out in outputs if np.issubdtype(out.dtype, np.floating)]
    count = len(floats[0]) if floats and floats[0].ndim else 1
    rows = [out.reshape(count, -1) for out in floats if out.ndim and len(out) == count]
    return np.concatenate(rows or [np.zeros((1, 1))], axis=1)


def _first(model: ModelProto, calibration: Iterable[np.ndarray], count: int) -> list[np.ndarray]:
    """The first `count` examples in batches, as far as they are of one size."""
    reads = graph.the_input(model)
    batches = calibrate.first_pictures(calibration, count, reads)
    size = batches[0].shape[1:]
    alike = list(takewhile(lambda batch: batch.shape[1:] == size, batches))
    return calibrate.batches(model, [np.concatenate(alike)])


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
    """`weight` rounded to the levels of 8-bit files, with one scale for each index of `axis`."""
    others = tuple(i for i in range(weight.ndim) if i != axis % weight.ndim)
    scale = np.abs(weight).max(axis=others, keepdims=True) / np.float32(processor.largest_weight())
    scale = np.where(scale == 0, np.float32(1), scale)
    return (np.round(weight / scale) * scale).astype(np.float32)


def relative_error(logits: np.ndarray, exact: np.ndarray) -> float:
    """Median over pictures of the squared change over the squared norm; logits (n, classes).

    A median, because a few pictures with huge logits would outweigh all the others in a mean.
    """
    change = ((logits - exact).astype(np.float64) ** 2).sum(1)
    power = (exact.astype(np.float64) ** 2).sum(1)
    return float(np.median(change / np.maximum(power, 1e-30)))
