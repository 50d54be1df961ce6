"""onnxruntime's own quantizer, with the ranges of `calibrate`, and what is mended after it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnx.shape_inference
from onnx import ModelProto, NodeProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from compress import calibrate, compare, graph, normal, processor, rectify
from compress.errors import AS_IT_IS, CompressError

LAYERS = ["Conv", "Gemm", "MatMul", "Add", "Mul", "Relu", "Clip"]
POOLS = ["MaxPool", "AveragePool", "GlobalAveragePool"]
COPIES = ["Concat", "Split", "Slice", "Gather", "Pad", "Reshape", "Flatten", "Transpose"]
QUANTIZED = [*LAYERS, *POOLS, *COPIES, "Squeeze", "Unsqueeze"]
FOLDED = frozenset({"Relu", "Clip"})
SHIELDED = frozenset({"Conv", "ConvTranspose", "Gemm"})
HIGHEST, WHOLE = 255, 1e-4  # the largest byte; how far from a whole number of steps one may be
MOVES = frozenset({"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Slice", "Gather"})

# What onnxruntime's quantizer raises for a graph that it was not made for.
FAULTS: tuple[type[Exception], ...] = (
    ValueError,
    TypeError,
    RuntimeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
    *calibrate.REFUSALS,
)


def eight_bits(
    model: ModelProto,
    batch: np.ndarray,
    ranges: dict[str, tuple[float, float]],
    left: Collection[str],
) -> ModelProto:
    """The graph of QuantizeLinear and DequantizeLinear; the nodes in `left` stay as they are.

    `model` is in normal form under plain names (see `normal`); `batch` is one that it takes.
    """
    int8 = run_quantizer(_made_outputs(model), batch, overrides(model, ranges), left)
    _give_outputs(int8, model)
    graph.sort(int8)
    free_logits(int8)
    _check_ranges(model, int8, ranges)
    free_tails(int8)
    feed_bytes(int8)
    rectify.in_bytes(int8)
    shield_float(int8)
    graph.drop_unused(int8)
    return int8


def _made_outputs(model: ModelProto) -> ModelProto:
    """A copy without the outputs that no node makes: the quantizer would quantize them."""
    made = graph.producers(model)
    return calibrate.with_outputs(model, [v.name for v in model.graph.output if v.name in made])


def _give_outputs(int8: ModelProto, model: ModelProto) -> None:
    """All of the outputs again, with the constants among them."""
    del int8.graph.output[:]
    int8.graph.output.extend(model.graph.output)
    there = graph.made_in(int8.graph)
    wanted = {value.name for value in model.graph.output} - there
    int8.graph.initializer.extend(i for i in model.graph.initializer if i.name in wanted)


def staying(model: ModelProto) -> set[str]:
    """Nodes that the quantizer must not touch: it, or an 8-bit kernel, would get them wrong.

    A Relu or Clip goes into the range of its output. Cases: one that gives an output of the graph,
    which has no range (stays); whose input or output a branch or a loop reads too (stays); whose
    limits are not known, or have not 0 between them, as each range has (stays); any other (goes).
    """
    outputs = {value.name for value in model.graph.output}
    inner = {n for node in model.graph.node for b in graph.bodies(node) for n in graph.captured(b)}
    found, values = normal.odd_gemms(model), graph.constants(model)
    for node in model.graph.node:
        if node.op_type in FOLDED:
            seen = node.output[0] in outputs | inner or node.input[0] in inner
            if seen or not _holds_zero(node, values):
                found.add(node.name)
    return found


def _holds_zero(node: NodeProto, values: dict[str, np.ndarray]) -> bool:
    """Whether a Relu or Clip lets 0 through, as far as can be known."""
    limits = [values.get(name) for name in node.input[1:] if name]
    if any(limit is None or limit.size != 1 for limit in limits):
        return False
    low = values[node.input[1]].item() if len(node.input) > 1 and node.input[1] else 0.0
    high = values[node.input[2]].item() if len(node.input) > 2 and node.input[2] else 0.0
    return bool(low <= 0 <= high)


def run_quantizer(
    model: ModelProto,
    batch: np.ndarray,
    tensor_overrides: dict[str, list[dict[str, Any]]],
    left: Collection[str],
) -> ModelProto:
    """onnxruntime's quantizer in a folder of its own; `batch` only satisfies its calibrator."""
    with TemporaryDirectory() as folder, quiet():
        source, out = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, str(source))  # the quantizer of onnxruntime 1.20 wants a file
        try:
            quantize_static(
                str(source),
                str(out),
                _OneBatch({graph.inputs(model)[0]: batch}),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=QUANTIZED,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                reduce_range=processor.weight_bits() < 8,
                nodes_to_exclude=sorted({*left, *graph.head(model)}),
                extra_options={"TensorQuantOverrides": tensor_overrides},
            )
        except FAULTS as error:
            what = f"onnxruntime cannot quantize the model: {error}"
            raise CompressError(what, AS_IT_IS) from error
        return onnx.load(str(out))


def _check_ranges(model: ModelProto, int8: ModelProto, ranges: Collection[str]) -> None:
    """No activation has a range that was not measured."""
    guessed = compare.roundings(int8).keys() - set(ranges)
    if guessed:
        made_by = [n.name for n in model.graph.node if guessed.intersection(n.output)]
        raise CompressError(f"what {made_by} give has no range", "leave them in float")


def overrides(
    model: ModelProto, ranges: dict[str, tuple[float, float]]
) -> dict[str, list[dict[str, Any]]]:
    """The measured ranges, and the head's own scale and zero point, as the quantizer reads them."""
    table: dict[str, list[dict[str, Any]]] = {
        name: [{"rmin": np.float32(low), "rmax": np.float32(high)}]
        for name, (low, high) in ranges.items()
    }
    values, writer = graph.constants(model), graph.producers(model)
    for node in model.graph.node:
        if node.op_type in graph.WEIGHTED:
            source = bytes_behind(node.input[0], writer)
            if source is not None and source.input[1] in values:
                table[node.input[0]] = [_scale_of(source, values)]
    return table | _factors(model, values)


def _factors(model: ModelProto, values: dict[str, np.ndarray]) -> dict[str, list[dict[str, Any]]]:
    """A step for every constant that is only multiplied with and lies on one: it stays exact."""
    readers, table = graph.consumers(model), {}
    for name, array in values.items():
        if array.dtype == np.float32 and {n.op_type for n in readers.get(name, [])} == {"Mul"}:
            step = whole_step(array)
            if step is not None:
                table[name] = [{"scale": np.array(step), "zero_point": np.array(0, np.uint8)}]
    return table


def whole_step(array: np.ndarray) -> np.float32 | None:
    """The largest number that all of a few positive ones are multiples of, 255 times at most."""
    found = np.unique(array)
    if not 0 < found.size < HIGHEST or not found[0] > 0 or not np.isfinite(found[-1]):
        return None
    for steps in range(1, HIGHEST + 1):
        step = found[-1] / np.float32(steps)
        if np.abs(found / step - np.round(found / step)).max() < WHOLE:
            return np.float32(step)
    return None


def _scale_of(dequantize: NodeProto, values: dict[str, np.ndarray]) -> dict[str, Any]:
    scale = values[dequantize.input[1]].astype(np.float32)
    name = dequantize.input[2] if len(dequantize.input) > 2 else ""
    zero = values[name] if name else np.uint8(0)
    return {"scale": np.array(scale), "zero_point": np.array(zero, dtype=np.uint8)}


def bytes_behind(tensor: str, writer: dict[str, NodeProto]) -> NodeProto | None:
    """The DequantizeLinear that `tensor` comes from, through nodes that only move values."""
    node = writer.get(tensor)
    while node is not None and node.op_type in MOVES:
        node = writer.get(node.input[0])
    return node if node is not None and node.op_type == "DequantizeLinear" else None


def feed_bytes(model: ModelProto) -> None:
    """Drop every Quantize-Dequantize pair that only repeats the DequantizeLinear before it.

    Cases: same scale and zero point (dropped); another scale (kept); a pair whose bytes something
    else reads as well (kept).
    """
    values, writer = graph.constants(model), graph.producers(model)
    readers = graph.consumers(model)
    dropped: set[str] = set()
    names: dict[str, str] = {}
    for node in model.graph.node:
        source = writer.get(node.input[0]) if node.op_type == "QuantizeLinear" else None
        after = readers.get(node.output[0], [])
        if source is None or source.op_type != "DequantizeLinear" or len(after) != 1:
            continue
        if after[0].op_type == "DequantizeLinear" and graph.same_scale(source, node, values):
            names[after[0].output[0]] = node.input[0]
            dropped.update((node.output[0], after[0].output[0]))
    graph.rename_inputs(model.graph.node, names)
    _drop_writers(model, dropped)


def free_logits(model: ModelProto) -> None:
    """Drop the Quantize-Dequantize pair before each graph output: logits stay float."""
    writer = graph.producers(model)
    names: dict[str, str] = {}
    dropped: set[str] = set()
    for output in model.graph.output:
        last = writer.get(output.name)
        before = writer.get(last.input[0]) if last and last.op_type == "DequantizeLinear" else None
        if last is not None and before is not None and before.op_type == "QuantizeLinear":
            names[before.input[0]] = output.name
            dropped.update((output.name, before.output[0]))
    _drop_writers(model, dropped)
    graph.rename_inputs(model.graph.node, names)
    for node in model.graph.node:
        node.output[:] = [names.get(name, name) for name in node.output]


def free_tails(model: ModelProto) -> None:
    """Drop the pair before a Relu or Clip that gives an output: it reads floats, as it writes them.

    Cases: the pair's only reader (dropped); a pair that another node reads as well (kept).
    """
    writer, readers = graph.producers(model), graph.consumers(model)
    outputs = {value.name for value in model.graph.output}
    names: dict[str, str] = {}
    dropped: set[str] = set()
    for node in model.graph.node:
        if node.op_type not in FOLDED or node.output[0] not in outputs:
            continue
        last = writer.get(node.input[0])
        pair = writer.get(last.input[0]) if last and last.op_type == "DequantizeLinear" else None
        alone = len(readers[node.input[0]]) == 1 and node.input[0] not in outputs
        if pair is not None and pair.op_type == "QuantizeLinear" and alone:
            names[node.input[0]] = pair.input[0]
            dropped.add(node.input[0])
            if len(readers[pair.output[0]]) == 1:
                dropped.add(pair.output[0])
    _drop_writers(model, dropped)
    graph.rename_inputs(model.graph.node, names)


def shield_float(model: ModelProto) -> None:
    """Keep onnxruntime from quantizing the layers left in float after all, when it opens the file.

    Since 1.20 it rounds a float weight, with one scale for all its channels, where the layer reads
    a DequantizeLinear of one scale. The same DequantizeLinear with its scale written once for each
    channel is left alone. Cases: a layer fed by 8 bits (shielded); one fed by float, one whose
    weights are in 8 bits, one whose number of channels is not known (left alone).
    """
    values, writer = graph.constants(model), graph.producers(model)
    for i in reversed(range(len(model.graph.node))):
        node = model.graph.node[i]
        if node.op_type not in SHIELDED or node.input[1] not in values:
            continue
        source = writer.get(node.input[0])
        if source is None or source.op_type != "DequantizeLinear" or values[source.input[1]].ndim:
            continue
        axis, channels = channels_in(node, values[node.input[1]])
        wide = [source.input[0], *(f"{node.name}_{i}_{k}" for k in ("wide_scale", "wide_zero"))]
        for name, old in zip(wide[1:], source.input[1:], strict=True):
            array = np.full(channels, values[old], dtype=values[old].dtype)
            model.graph.initializer.append(numpy_helper.from_array(array, name))
        node.input[0] = f"{node.name}_{i}_wide"
        model.graph.node.insert(
            i, helper.make_node("DequantizeLinear", wide, [node.input[0]], axis=axis)
        )


def channels_in(node: NodeProto, weight: np.ndarray) -> tuple[int, int]:
    """Axis and size of the channels that a layer reads: (n, channels, ...), (..., channels)."""
    settings = normal.attributes(node)
    if node.op_type == "Conv":
        return 1, int(weight.shape[1] * settings.get("group", 1))
    if node.op_type == "ConvTranspose":
        return 1, int(weight.shape[0])
    axis = 0 if settings.get("transA") else 1
    return axis, int(weight.shape[1] if settings.get("transB") else weight.shape[0])


def _drop_writers(model: ModelProto, tensors: set[str]) -> None:
    graph.drop_nodes(model, {i for i, n in enumerate(model.graph.node) if set(n.output) & tensors})


class _OneBatch(CalibrationDataReader):
    def __init__(self, feed: dict[str, np.ndarray]) -> None:
        self._feeds: Iterator[dict[str, np.ndarray]] = iter([feed])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


@contextmanager
def quiet() -> Iterator[None]:
    """The quantizer's notices: run its pre-processing, it does not know an operator."""
    root = logging.getLogger()
    root.addFilter(_is_error)
    try:
        yield
    finally:
        root.removeFilter(_is_error)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
