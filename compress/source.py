"""Somebody else's ONNX file: read whole, made float32 and of a modern opset, or refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from compress import graph, normal
from compress.errors import CompressError

OPSET = 17  # what the rewrites and the quantizer read; older files are raised
OURS = ("", "ai.onnx")
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)
KINDS = {  # what an input may be
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.UINT8: "uint8",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.BOOL: "bool",
}
DICE = frozenset(
    "RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli Multinomial".split()  # noqa: SIM905
)
EIGHT_BITS = frozenset(
    {
        *("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"),
        *("QuantizeLinear", "DynamicQuantizeLinear"),
    }
)
_BY_CHANCE = "export it in evaluation mode (net.eval())"
_WHY_NOT = "its own float file may be compressed; see docs/compress.md for what is read"


@dataclass(frozen=True)
class Port:
    """An input or output of the file."""

    name: str
    kind: str  # a numpy dtype
    shape: tuple[int | None, ...]  # None: any


@dataclass(frozen=True)
class Source:
    """The file in memory: weights inside, opset 17 or later, float32 where it had float16."""

    path: Path
    model: ModelProto
    inputs: tuple[Port, ...]  # as the file has them
    outputs: tuple[Port, ...]
    size_bytes: int  # with the weights beside it
    notes: tuple[str, ...]  # what was changed to read it
    files: tuple[Path, ...]  # that were read: itself, and those with its weights


def read(path: Path) -> Source:
    """The file at `path`; a CompressError says what in it cannot be read."""
    path = Path(path)
    whole, beside = graph.read_all(path)
    model = graph.inlined(whole)
    size = model.ByteSize()
    _check_nodes(model.graph, path)
    old = _opset(model, path)
    normal.lift_constants(model)
    _check_dropouts(model, path)
    inputs, outputs = _ports(model, path), _described(model.graph.output)
    notes = []
    if old < OPSET:
        model = normal.raised(model, OPSET)
        normal.lift_constants(model)
        notes.append(f"opset {old} was raised to {OPSET}")
    if _widen(model):
        notes.append("float16 was made float32")
    graph.check_size(graph.weight_bytes(model), path)
    _check_numbers(model, path)
    return Source(path, model, inputs, outputs, size, tuple(notes), (path, *beside))


# --- what stands in it ---------------------------------------------------------------------------


def _weights(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from _weights(attribute.g)


def _check_nodes(graph: GraphProto, path: Path) -> None:
    foreign = sorted({f"{n.domain}.{n.op_type}" for n in graph.node if n.domain not in OURS})
    if foreign:
        raise CompressError(
            f"{path} has operators of other domains: {', '.join(foreign[:8])}",
            "only operators of ONNX itself are read: export without a runtime's own operators",
        )
    if graph.sparse_initializer:
        raise CompressError(f"{path} has sparse weights", "export it with dense ones")
    for node in graph.node:
        _check_node(node, path)


def _check_node(node: NodeProto, path: Path) -> None:
    name = f"{node.op_type} {node.name!r}"
    if any(a.HasField("g") or a.graphs for a in node.attribute):
        raise CompressError(f"{path} has control flow: {name}", "export it without branches")
    if node.op_type in DICE or _trains(node):
        raise CompressError(f"{path} answers by chance: {name}", _BY_CHANCE)
    if node.op_type in EIGHT_BITS:
        raise CompressError(f"{path} has 8 bits already: {name}", _WHY_NOT)


def _check_dropouts(model: ModelProto, path: Path) -> None:
    """A Dropout that is told to train by its third input, or might be."""
    told = {i.name: i for i in model.graph.initializer}
    for node in model.graph.node:
        switch = node.input[2] if node.op_type == "Dropout" and len(node.input) > 2 else ""
        if switch and (switch not in told or graph.array(told[switch]).any()):
            raise CompressError(f"{path} answers by chance: Dropout {node.name!r}", _BY_CHANCE)


def _check_numbers(model: ModelProto, path: Path) -> None:
    """nan is no weight, also where no example meets it; inf stands in masks."""
    for init in model.graph.initializer:
        if init.data_type in FLOATS and np.isnan(graph.array(init)).any():
            raise CompressError(f"{path}: constant {init.name!r} has nan", "did training diverge?")


def _trains(node: NodeProto) -> bool:
    return node.op_type == "BatchNormalization" and any(
        a.name == "training_mode" and a.i for a in node.attribute
    )


def _ports(model: ModelProto, path: Path) -> tuple[Port, ...]:
    given = model.graph.input
    for value in given:
        if value.type.tensor_type.elem_type not in KINDS:
            kind = value.type.WhichOneof("value") or "unknown"
            elem = TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
            raise CompressError(
                f"{path}: input {value.name!r} is {elem} ({kind})",
                f"read are {', '.join(KINDS.values())}",
            )
        if not value.type.tensor_type.HasField("shape"):
            raise CompressError(
                f"{path}: input {value.name!r} says nothing of its shape",
                "export it again, with the number of its axes",
            )
    if not given:
        raise CompressError(f"{path} takes no input", "export it with its input as an argument")
    return _described(given)


def _described(values: object) -> tuple[Port, ...]:
    return tuple(_port(value) for value in values)  # type: ignore[attr-defined]


def _port(value: onnx.ValueInfoProto) -> Port:
    kind = value.type.tensor_type
    known = helper.tensor_dtype_to_np_dtype(kind.elem_type).name if kind.elem_type else "unknown"
    shape = tuple(d.dim_value if d.dim_value > 0 else None for d in kind.shape.dim)
    return Port(value.name, known, shape)


# --- made alike ----------------------------------------------------------------------------------


def _opset(model: ModelProto, path: Path) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in OURS]
    if not versions or not 7 <= versions[0] <= onnx.defs.onnx_opset_version():
        raise CompressError(
            f"{path} is of opset {versions[0] if versions else 'unknown'}",
            f"opset 7 to {onnx.defs.onnx_opset_version()} are read: export it again",
        )
    return versions[0]


def _widen(model: ModelProto) -> bool:
    """float16 becomes float32 everywhere, inputs and outputs too; False where there is none."""
    halves = False
    for tensor in _weights(model.graph):
        if tensor.data_type == TensorProto.FLOAT16:
            wide = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
            halves = True
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type in ("Cast", "EyeLike") and attribute.i == TensorProto.FLOAT16:
                attribute.i, halves = TensorProto.FLOAT, True
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16:
            value.type.tensor_type.elem_type, halves = TensorProto.FLOAT, True
    if halves:
        del model.graph.value_info[:]
    return halves
