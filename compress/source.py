"""Somebody else's ONNX file: read whole, made float32 and of a modern opset, or refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx.inliner
import onnx.version_converter
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from compress.errors import CompressError

OPSET = 17  # what the rewrites and the quantizer read; older files are raised
LARGEST = 2_000_000_000  # bytes of weights: what one file can hold
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
    "QLinearConv QLinearMatMul ConvInteger MatMulInteger DynamicQuantizeLinear".split()  # noqa: SIM905
)
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


def read(path: Path) -> Source:
    """The file at `path`; a CompressError says what in it cannot be read."""
    path = Path(path)
    shell = _shell(path)
    size = _size(path, shell)
    model = _whole(path, shell)
    model = onnx.inliner.inline_local_functions(model)
    _check_nodes(model.graph, path)
    inputs, outputs = _ports(model, path), _described(model.graph.output)
    notes = []
    if (old := _opset(model, path)) < OPSET:
        model = _raised(model, path, old)
        notes.append(f"opset {old} was raised to {OPSET}")
    if _widen(model):
        notes.append("float16 was made float32")
    return Source(path, model, inputs, outputs, size, tuple(notes))


# --- the bytes -----------------------------------------------------------------------------------


def _shell(path: Path) -> ModelProto:
    """The graph without weights that stand beside it."""
    try:
        model = onnx.load(str(path), load_external_data=False)
    except FileNotFoundError:
        raise CompressError(f"{path} does not exist", "give the path of an ONNX file") from None
    except OSError as error:
        hint = "give the path of an ONNX file"
        raise CompressError(f"{path} cannot be read: {error.strerror}", hint) from None
    except (DecodeError, ValueError) as error:
        raise CompressError(f"{path} is not an ONNX file: {error}", "export it again") from None
    if not model.graph.node:
        raise CompressError(f"{path} is not an ONNX file: it has no nodes", "export it again")
    return model


def _size(path: Path, shell: ModelProto) -> int:
    """Bytes of the file and of what stands beside it; over 2 GB is refused before it is read."""
    size = path.stat().st_size
    for tensor in _weights(shell.graph):
        if tensor.data_location == TensorProto.EXTERNAL:
            size += _bytes_of(tensor)
    if size > LARGEST:
        raise CompressError(
            f"{path} has {size / 1e9:.1f} GB of weights; the limit is {LARGEST / 1e9:.0f} GB, "
            "what one ONNX file can hold",
            "compress a smaller model, or split it into files",
        )
    return size


def _bytes_of(tensor: TensorProto) -> int:
    wide = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
    return int(np.prod(tensor.dims, dtype=np.float64)) * wide


def _whole(path: Path, shell: ModelProto) -> ModelProto:
    """With every weight inside."""
    try:
        onnx.load_external_data_for_model(shell, str(path.parent))
        onnx.checker.check_model(shell, full_check=False)
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        hint = "weights beside the file must lie in its own folder; export it again"
        raise CompressError(f"{path} is not a whole ONNX file: {said}", hint) from None
    return shell


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
        raise CompressError(
            f"{path} answers by chance: {name}", "export it in evaluation mode (net.eval())"
        )
    if node.op_type in EIGHT_BITS:
        raise CompressError(f"{path} has 8 bits already: {name}", _WHY_NOT)


def _trains(node: NodeProto) -> bool:
    return node.op_type == "BatchNormalization" and any(
        a.name == "training_mode" and a.i for a in node.attribute
    )


def _ports(model: ModelProto, path: Path) -> tuple[Port, ...]:
    constants = {init.name for init in model.graph.initializer}
    given = [value for value in model.graph.input if value.name not in constants]
    for value in given:
        if value.type.tensor_type.elem_type not in KINDS:
            kind = value.type.WhichOneof("value") or "unknown"
            elem = TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
            raise CompressError(
                f"{path}: input {value.name!r} is {elem} ({kind})",
                f"read are {', '.join(KINDS.values())}",
            )
    if not given:
        raise CompressError(f"{path} takes no input", "export it with its input as an argument")
    del model.graph.input[:]
    model.graph.input.extend(given)  # before IR 4 weights were listed among the inputs
    return _described(given)


def _described(values: object) -> tuple[Port, ...]:
    return tuple(_port(value) for value in values)  # type: ignore[attr-defined]


def _port(value: onnx.ValueInfoProto) -> Port:
    kind = value.type.tensor_type
    known = helper.tensor_dtype_to_np_dtype(kind.elem_type).name if kind.elem_type else "unknown"
    shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim)
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


def _raised(model: ModelProto, path: Path, old: int) -> ModelProto:
    """With operators of OPSET; a file that the converter cannot take is refused."""
    model.ir_version = max(model.ir_version, 4)
    try:
        return onnx.version_converter.convert_version(model, OPSET)
    except (RuntimeError, ValueError) as error:
        said = str(error).strip().splitlines()[-1]
        hint = f"export it again with opset {OPSET}"
        message = f"{path}: opset {old} cannot be raised to {OPSET}: {said}"
        raise CompressError(message, hint) from None


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
