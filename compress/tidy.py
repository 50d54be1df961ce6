"""What is in an int8 file beside its weights, made small; the function stays the same bit for bit.

onnxruntime's quantizer leaves exporter names, shapes and a vector of zeros for every weight: 350 KB
around 350 KB of weights on a ShuffleNet v2 x0.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

from onnx import ModelProto, TensorProto, helper, numpy_helper

from compress import graph, normal

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
NOTES = ("onnx.", "pkg.torch")  # metadata of quantizer and exporter


def tidy(model: ModelProto, names: Mapping[str, str] | None = None) -> ModelProto:
    """Every pass of this file, in order; `model` is changed and returned.

    `names` gives an input or output another name than the one that it has.
    """
    drop_notes(model)
    drop_zero_points(model)
    share_constants(model)
    graph.drop_unused(model)
    shorten_names(model, names or {})
    return model


def drop_notes(model: ModelProto) -> None:
    """Shapes of inner tensors, node names, doc strings, exporter metadata; ours stay."""
    kept = {p.key: p.value for p in model.metadata_props if not p.key.startswith(NOTES)}
    helper.set_model_props(model, kept)
    model.doc_string = model.graph.doc_string = ""
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    for node in model.graph.node:
        node.ClearField("name")
        node.ClearField("doc_string")
        node.ClearField("metadata_props")


def drop_zero_points(model: ModelProto) -> None:
    """A Conv's weights and bias need no zero points that are all 0: it is the default.

    Cases: int8 weights, int32 biases of a Conv (dropped); uint8 constants and activations (kept);
    Gemm and MatMul (kept: onnxruntime 1.31 does not fuse them without).
    """
    values, readers = graph.constants(model), graph.consumers(model)
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or len(node.input) < 3:
            continue
        if any(reader.op_type != "Conv" for reader in readers.get(node.output[0], [])):
            continue
        data, zero = values.get(node.input[0]), values.get(node.input[2])
        if data is not None and data.dtype.kind == "i" and zero is not None and not zero.any():
            del node.input[2]


def share_constants(model: ModelProto) -> None:
    """One copy of equal constants, all stored as raw bytes.

    Weights and biases are left apart: onnxruntime fuses each with the one layer that reads it.
    """
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    names: dict[str, str] = {}
    for init in list(model.graph.initializer):
        array = numpy_helper.to_array(init)
        init.CopyFrom(numpy_helper.from_array(array, init.name))
        if array.size <= 1 or init.data_type == TensorProto.FLOAT:
            key = (init.data_type, tuple(init.dims), init.raw_data)
            names[init.name] = first.setdefault(key, init.name)
    graph.rename_inputs(model.graph.node, names)


def shorten_names(model: ModelProto, names: Mapping[str, str]) -> None:
    """Inner tensors become 0, 1, ... in base 62; inputs and outputs keep their names, or get the
    one that `names` has for them. No inner name is one of theirs, nor of a branch or a loop.
    """
    fixed = [value.name for value in (*model.graph.input, *model.graph.output)]
    table = {"": ""} | {name: names.get(name, name) for name in fixed}
    taken = normal.inner_names(model) | set(table.values())
    short = (name for name in map(base62, count(len(table))) if name not in taken)
    made = [name for node in model.graph.node for name in (*node.input, *node.output)]
    for name in (*(init.name for init in model.graph.initializer), *made):
        if name not in table:
            table[name] = next(short)
    normal.rename(model, table)


def base62(number: int) -> str:
    """Shortest name for a number >= 0: 0, 1, ... Z, 10, ..."""
    digits = DIGITS[number % 62]
    while number := number // 62:
        digits = DIGITS[number % 62] + digits
    return digits
