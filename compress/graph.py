"""Reading, checking and writing the graphs of this stage; small questions about their nodes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from compress.errors import CompressError

WEIGHTED = frozenset({"Conv", "Gemm", "MatMul"})
CONTRACT = "the input must be one uint8 tensor (n, h, w, 3), as `zoo build` exports it"


def load(path: Path) -> ModelProto:
    """The model in `path`, checked to take one uint8 picture batch and to hold a weighted layer."""
    model = read(path)
    _check_contract(model, path)
    return model


def read(path: Path) -> ModelProto:
    """The model in `path`, whatever it takes."""
    try:
        model = onnx.load(str(path))
    except FileNotFoundError:
        raise CompressError(f"{path} does not exist", "give the path of an ONNX file") from None
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise CompressError(f"{path} is not an ONNX file: {error}", "export it again") from error
    if not model.graph.node:
        raise CompressError(f"{path} is not an ONNX file: it has no nodes", "export it again")
    return model


def _check_contract(model: ModelProto, path: Path) -> None:
    inputs = image_inputs(model)
    if len(inputs) != 1:
        raise CompressError(f"{path} has {len(inputs)} inputs: {inputs}", CONTRACT)
    kind = model.graph.input[0].type.tensor_type
    shape = [d.dim_value for d in kind.shape.dim]
    if kind.elem_type != TensorProto.UINT8 or len(shape) != 4 or shape[3] not in (0, 3):
        name = TensorProto.DataType.Name(kind.elem_type).lower()
        raise CompressError(f"{path}: input {inputs[0]!r} is {name} of shape {shape}", CONTRACT)
    if not any(node.op_type in WEIGHTED for node in model.graph.node):
        raise CompressError(f"{path} has no Conv, Gemm or MatMul", "there is nothing to quantize")


def image_inputs(model: ModelProto) -> list[str]:
    """Names of the graph's inputs that are not initializers."""
    constants = {init.name for init in model.graph.initializer}
    return [value.name for value in model.graph.input if value.name not in constants]


def save(model: ModelProto, path: Path) -> Path:
    """Write `model` to `path`: whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(model.SerializeToString())
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def copy(source: Path, path: Path) -> Path:
    """The file at `source` at `path` too: whole or not at all."""
    return save(read(source), path)


def constants(model: ModelProto) -> dict[str, np.ndarray]:
    """Every initializer by its name."""
    return {init.name: numpy_helper.to_array(init) for init in model.graph.initializer}


def producers(model: ModelProto) -> dict[str, NodeProto]:
    """The node that writes each tensor."""
    return {name: node for node in model.graph.node for name in node.output if name}


def consumers(model: ModelProto) -> dict[str, list[NodeProto]]:
    """The nodes that read each tensor."""
    readers: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers


def rename_inputs(nodes: Iterable[NodeProto], names: dict[str, str]) -> None:
    """Let every node read `names[x]` where it read `x`."""
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]


def drop_nodes(model: ModelProto, dropped: set[int]) -> None:
    """Remove the nodes at these positions."""
    kept = [node for i, node in enumerate(model.graph.node) if i not in dropped]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def head(model: ModelProto) -> set[str]:
    """Names of the nodes before the first weighted layer: resize, layout, normalisation.

    Nodes must have names (`name_nodes`). A node belongs to the head when nothing that it reads
    comes, over any path, from a Conv, Gemm or MatMul.
    """
    inside: set[str] = set()
    found: set[str] = set()
    for node in model.graph.node:
        if node.op_type in WEIGHTED or any(name in inside for name in node.input):
            inside.update(node.output)
        else:
            found.add(node.name)
    return found


def name_nodes(model: ModelProto) -> None:
    """Give every node a name of its own; names that are unique already stay."""
    taken: set[str] = set()
    for i, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{i}"
        taken.add(node.name)
