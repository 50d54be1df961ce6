"""Static 8-bit quantization by onnxruntime's own quantizer, with the ranges of `calibrate`.

Activations u8, weights s8 with a scale for each output channel (never one for a whole depthwise
layer). The head (resize, layout, normalisation) is left as it is; a head that ends in
DequantizeLinear feeds the first layer its raw bytes. Logits are float.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from compress import calibrate, graph
from compress.config import Attempt
from compress.errors import CompressError
from compress.tidy import tidy

LAYERS = ["Conv", "Gemm", "MatMul", "Add", "Mul", "Relu", "Clip"]
POOLS = ["MaxPool", "AveragePool", "GlobalAveragePool"]
COPIES = ["Concat", "Split", "Slice", "Gather", "Pad", "Reshape", "Flatten", "Transpose"]
QUANTIZED = [*LAYERS, *POOLS, *COPIES, "Squeeze", "Unsqueeze"]
MOVES = frozenset({"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Slice", "Gather"})


def quantize(
    fp32_path: Path,
    out_path: Path,
    calibration: Iterable[np.ndarray],
    attempt: Attempt,
    exclude: tuple[str, ...] = (),
) -> Path:
    """Write the int8 twin of `fp32_path`; `calibration` yields uint8 (b, h, w, 3).

    `exclude` names nodes (as in the file, or as `sensitivity.rank` calls them) that stay float.
    """
    model = prepared(Path(fp32_path))
    batches = list(calibrate.rebatch(calibration))
    seen = calibrate.ranges(model, batches, attempt)
    int8 = run_quantizer(model, batches[0][:1], overrides(model, seen), exclude)
    free_logits(int8)
    feed_bytes(int8)
    shield_float(int8, exclude)
    return graph.save(tidy(int8), Path(out_path))


def prepared(path: Path) -> ModelProto:
    """The float model as the quantizer wants it: named nodes, no stale shapes."""
    model = graph.load(path)
    del model.graph.value_info[:]  # a stale one makes the quantizer's shape inference fail
    graph.name_nodes(model)
    return model


def run_quantizer(
    model: ModelProto,
    picture: np.ndarray,
    tensor_overrides: dict[str, list[dict[str, Any]]],
    exclude: tuple[str, ...],
) -> ModelProto:
    """onnxruntime's quantizer in a folder of its own; `picture` only satisfies its calibrator."""
    unknown = set(exclude) - {node.name for node in model.graph.node}
    if unknown:
        raise CompressError(f"no node is called {sorted(unknown)}", "see sensitivity.rank")
    with TemporaryDirectory() as folder, quiet():
        source, out = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, str(source))  # the quantizer of onnxruntime 1.20 wants a file
        try:
            quantize_static(
                str(source),
                str(out),
                _OneBatch({graph.image_inputs(model)[0]: picture}),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=QUANTIZED,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=[*exclude, *sorted(graph.head(model))],
                extra_options={"TensorQuantOverrides": tensor_overrides},
            )
        except (ValueError, TypeError, RuntimeError, *calibrate.REFUSALS) as error:  # type: ignore[misc]
            hint = "see `onnxruntime.quantization`; the float file can be used as it is"
            raise CompressError(f"onnxruntime cannot quantize the model: {error}", hint) from error
        return onnx.load(str(out))


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
    return table


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
        if after[0].op_type == "DequantizeLinear" and _same_scale(source, node, values):
            names[after[0].output[0]] = node.input[0]
            dropped.update((node.output[0], after[0].output[0]))
    graph.rename_inputs(model.graph.node, names)
    _drop_writers(model, dropped)


def _same_scale(a: NodeProto, b: NodeProto, values: dict[str, np.ndarray]) -> bool:
    pairs = zip(a.input[1:], b.input[1:], strict=False)
    return len(a.input) == len(b.input) and all(
        x in values and y in values and np.array_equal(values[x], values[y]) for x, y in pairs
    )


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


def shield_float(model: ModelProto, exclude: tuple[str, ...]) -> None:
    """Keep onnxruntime from quantizing the excluded layers after all, when it opens the file.

    Since 1.20 it rounds a float weight, with one scale for all its channels, where the layer reads
    a DequantizeLinear of one scale. The same DequantizeLinear with its scale written once for each
    channel is left alone. Cases: Conv, Gemm and MatMul fed by 8 bits; a layer fed by float (kept).
    """
    values, writer = graph.constants(model), graph.producers(model)
    for i in reversed(range(len(model.graph.node))):
        node = model.graph.node[i]
        source = writer.get(node.input[0]) if node.name in exclude else None
        if source is None or source.op_type != "DequantizeLinear":
            continue
        channels = channels_in(node, values[node.input[1]])
        wide = [source.input[0], *(f"{node.name}/{k}" for k in ("scale", "zero"))]
        for name, old in zip(wide[1:], source.input[1:], strict=True):
            array = np.full(channels, values[old], dtype=values[old].dtype)
            model.graph.initializer.append(numpy_helper.from_array(array, name))
        node.input[0] = f"{node.name}/wide"
        model.graph.node.insert(
            i, helper.make_node("DequantizeLinear", wide, [node.input[0]], axis=1)
        )


def channels_in(node: NodeProto, weight: np.ndarray) -> int:
    """Size of axis 1 of what a Conv, Gemm or MatMul reads (n, channels, ...)."""
    attributes = {a.name: a.i for a in node.attribute}
    if node.op_type == "Conv":
        return int(weight.shape[1] * attributes.get("group", 1))
    return int(weight.shape[1] if attributes.get("transB") else weight.shape[0])


def _drop_writers(model: ModelProto, tensors: set[str]) -> None:
    graph.drop_nodes(model, {i for i, n in enumerate(model.graph.node) if set(n.output) & tensors})


class _OneBatch(CalibrationDataReader):
    def __init__(self, feed: dict[str, np.ndarray]) -> None:
        self._feeds: Iterator[dict[str, np.ndarray]] = iter([feed])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


@contextmanager
def quiet() -> Iterator[None]:
    """The quantizer's advice to run its pre-processing, which the export stage has replaced."""
    root = logging.getLogger()
    root.addFilter(_not_advice)
    try:
        yield
    finally:
        root.removeFilter(_not_advice)


def _not_advice(record: logging.LogRecord) -> bool:
    return "pre-processing" not in record.getMessage()
