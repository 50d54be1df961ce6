"""Reading, checking and writing the graphs of this stage; small questions about their nodes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, inliner, numpy_helper

from compress.errors import CompressError

WEIGHTED = frozenset({"Conv", "Gemm", "MatMul"})
LARGEST = 2**31 - 1  # bytes of a protobuf message
BROKEN = (DecodeError, onnx.checker.ValidationError, ValueError, RuntimeError)


@dataclass(frozen=True)
class Input:
    """The one tensor that a file reads."""

    name: str
    dtype: np.dtype
    shape: tuple[int | None, ...] | None  # None: a size, or the number of axes, is not said

    @property
    def batch(self) -> int | None:
        """How many examples the file takes at once; None: any number."""
        return self.shape[0] if self.shape else None

    def takes(self, array: np.ndarray) -> bool:
        """Whether `array`, a batch of any length, is of the type and sizes that the file reads."""
        if array.dtype != self.dtype or not array.ndim:
            return False
        shape = self.shape if self.shape is not None else (None,) * array.ndim
        pairs = zip(shape[1:], array.shape[1:], strict=False)
        return len(shape) == array.ndim and all(a in (None, b) for a, b in pairs)

    def __str__(self) -> str:
        sizes = "any shape" if self.shape is None else f"({', '.join(map(_size, self.shape))})"
        return f"{self.name!r}, {self.dtype} of {sizes}"


def _size(size: int | None) -> str:
    return "?" if size is None else str(size)


def load(path: Path) -> ModelProto:
    """The model in `path`, checked to be one that can be quantized; its functions are inlined."""
    model = inlined(read(path))
    the_input(model, path)
    kinds = {node.op_type for node in model.graph.node}
    if not kinds & WEIGHTED:
        raise CompressError(f"{path} has no Conv, Gemm or MatMul", "there is nothing to quantize")
    if any(node.op_type == "QuantizeLinear" for node in body(model)):
        raise CompressError(f"{path} is in 8 bits already", "give the float file")
    odd = [v.name for v in model.graph.output if not v.type.HasField("tensor_type")]
    odd += [init.values.name for init in model.graph.sparse_initializer]
    if odd:
        raise CompressError(f"{path}: {odd} are no plain tensors", "export it without them")
    return model


def inlined(model: ModelProto) -> ModelProto:
    """The same model, its nodes calling no functions of its own."""
    return inliner.inline_local_functions(model) if model.functions else model


def read(path: Path) -> ModelProto:
    """The whole model in `path` and the files of weights beside it, whatever it takes."""
    return read_all(path)[0]


def read_all(path: Path) -> tuple[ModelProto, list[Path]]:
    """The same, and those files."""
    path = Path(path)
    try:
        model = onnx.load_model_from_string(_content(path))
        if not model.graph.node:
            raise CompressError(f"{path} is not an ONNX file: it has no nodes", "export it again")
        beside = _read_beside(model, path)
        _check_form(model)
    except BROKEN as error:
        reason = " ".join(str(error).split())[:300]
        raise CompressError(f"{path} is not an ONNX file: {reason}", "export it again") from error
    return model, beside


def _check_form(model: ModelProto) -> None:
    """Names, order and settings of the nodes, as onnx wants them; an output may have any shape."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for value in (*copy.graph.input, *copy.graph.output):
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.shape.SetInParent()
    onnx.checker.check_model(copy)


def _content(path: Path) -> bytes:
    if not path.exists():
        raise CompressError(f"{path} does not exist", "give the path of an ONNX file")
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "no file"
        raise CompressError(f"{path} is {kind}", "give the path of the ONNX file in it")
    try:
        check_size(path.stat().st_size, path)
        return path.read_bytes()
    except OSError as error:
        raise CompressError(f"cannot read {path}: {error.strerror}", "may you read it?") from error


def _read_beside(model: ModelProto, path: Path) -> list[Path]:
    """Weights that stand in other files of the same folder; which files these are."""
    size, names = path.stat().st_size, _locations(model)
    for name in names:
        if not (path.parent / name).is_file():
            hint = f"put {name} beside it, or export the model as one file"
            raise CompressError(f"{path} has its weights in {name}, which is missing", hint)
        size += (path.parent / name).stat().st_size
    check_size(size, path)
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except OSError as error:
        raise CompressError(f"cannot read the weights of {path}: {error}", "may you?") from error
    return [path.parent / name for name in names]


def _locations(model: ModelProto) -> list[str]:
    """The files of weights that the file names, from its folder."""
    entries = (entry for tensor in _tensors(model.graph) for entry in tensor.external_data)
    return sorted({entry.value for entry in entries if entry.key == "location"})


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        yield from (a.t for a in node.attribute if a.HasField("t"))
        for body in bodies(node):
            yield from _tensors(body)


def weight_bytes(model: ModelProto) -> int:
    """Of the constants, as they are in memory."""
    sizes = {kind: helper.tensor_dtype_to_np_dtype(kind).itemsize for kind in _kinds(model)}
    return sum(int(np.prod(i.dims)) * sizes[i.data_type] for i in model.graph.initializer)


def _kinds(model: ModelProto) -> set[int]:
    return {init.data_type for init in model.graph.initializer}


def check_size(size: int, path: Path) -> None:
    """Refuse what no protobuf message can hold."""
    if size > LARGEST:
        hint = "a file and its weights may have 2 GB together, in float32"
        raise CompressError(f"{path} has {size:,} bytes", hint)


def the_input(model: ModelProto, path: Path | str = "the file") -> Input:
    """The one input that is no constant."""
    names = inputs(model)
    if len(names) != 1:
        raise CompressError(f"{path} has {len(names)} inputs: {names}", "it must have one")
    kind = next(v for v in model.graph.input if v.name == names[0]).type.tensor_type
    dims = (
        tuple(max(d.dim_value, 0) or None for d in kind.shape.dim)
        if kind.HasField("shape")
        else None
    )
    if not kind.elem_type or dims == ():
        raise CompressError(
            f"{path}: input {names[0]!r} is no batch", "its first axis is the batch"
        )
    return Input(names[0], np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type)), dims)


def inputs(model: ModelProto) -> list[str]:
    """Names of the graph's inputs that are not initializers."""
    constants = {init.name for init in model.graph.initializer}
    constants |= {init.values.name for init in model.graph.sparse_initializer}
    return [value.name for value in model.graph.input if value.name not in constants]


def save(
    model: ModelProto, path: Path, check: Callable[[Path], object] = lambda written: None
) -> Path:
    """Write `model` to `path`: whole, and after `check` has looked at what was written, or not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(model.SerializeToString())
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            check(Path(temporary))
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        hint = "is it in a folder that may be written, with space left?"
        raise CompressError(f"cannot write {path}: {error.strerror}", hint) from error
    return path


def check_target(path: Path, read: Iterable[Path]) -> None:
    """Refuse, before any work, what cannot be written, and where a file stands that is read."""
    hint = "is it in a folder that may be written, with space left?"
    try:
        for file in read:
            if path.exists() and path.samefile(file):
                raise CompressError(f"{path} would be written over {file}", "name another file")
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if path.is_dir() or not folder.is_dir():
            raise CompressError(f"cannot write {path}: a folder cannot be a file", "name a file")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise CompressError(f"cannot write {path}: {folder} cannot be written", hint)
    except OSError as error:
        raise CompressError(f"cannot write {path}: {error.strerror}", hint) from error


def copy(source: Path, path: Path) -> Path:
    """The file at `source` at `path` too: whole or not at all."""
    return save(read(source), path)


def constants(model: ModelProto) -> dict[str, np.ndarray]:
    """Every initializer by its name."""
    return {init.name: array(init) for init in model.graph.initializer}


def array(tensor: TensorProto) -> np.ndarray:
    """The numbers of a constant; one that has too few of them is an error."""
    try:
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError) as error:
        what = f"constant {tensor.name!r} cannot be read: {error}"
        raise CompressError(what, "export the file again") from error


def producers(model: ModelProto) -> dict[str, NodeProto]:
    """The node that writes each tensor."""
    return {name: node for node in model.graph.node for name in node.output if name}


def consumers(model: ModelProto) -> dict[str, list[NodeProto]]:
    """The nodes that read each tensor, by themselves or in their branches and loops."""
    readers: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in reads(node):
            readers.setdefault(name, []).append(node)
    return readers


def bodies(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs inside an If, a Loop, a Scan."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def reads(node: NodeProto) -> Iterator[str]:
    """Every tensor of the graph around it that `node` reads; "" for an input that is left out."""
    yield from node.input
    for body in bodies(node):
        yield from captured(body)


def captured(body: GraphProto) -> Iterator[str]:
    """What a graph inside a node reads of the graphs around it."""
    own = made_in(body)
    for node in body.node:
        yield from (name for name in reads(node) if name and name not in own)
    yield from (value.name for value in body.output if value.name not in own)


def made_in(body: GraphProto) -> set[str]:
    """The tensors that are a graph's own."""
    given = {value.name for value in body.input} | {init.name for init in body.initializer}
    return given | {name for node in body.node for name in node.output}


def same_scale(a: NodeProto, b: NodeProto, values: Mapping[str, np.ndarray]) -> bool:
    """Whether two nodes read constants alike for their scale and zero point."""
    pairs = zip(a.input[1:], b.input[1:], strict=False)
    return len(a.input) == len(b.input) and all(
        x in values and y in values and np.array_equal(values[x], values[y]) for x, y in pairs
    )


def rename_inputs(nodes: Iterable[NodeProto], names: Mapping[str, str]) -> None:
    """Let every node read `names[x]` where it read `x`, in its branches and loops too."""
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        for body in bodies(node):
            own = made_in(body)
            outer = {old: new for old, new in names.items() if old not in own}
            rename_inputs(body.node, outer)
            for value in body.output:
                value.name = outer.get(value.name, value.name)


def drop_nodes(model: ModelProto, dropped: set[int]) -> None:
    """Remove the nodes at these positions."""
    kept = [node for i, node in enumerate(model.graph.node) if i not in dropped]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def drop_unused(model: ModelProto) -> None:
    """Constants that nothing reads, nodes that nothing needs."""
    needed = {output.name for output in model.graph.output}
    dropped: set[int] = set()
    for i in reversed(range(len(model.graph.node))):
        node = model.graph.node[i]
        if needed.isdisjoint(node.output):
            dropped.add(i)
        else:
            needed.update(reads(node))
    drop_nodes(model, dropped)
    kept = [init for init in model.graph.initializer if init.name in needed]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def sort(model: ModelProto) -> None:
    """Each node after those whose tensors it reads, also in its branches; else as they stand."""
    nodes = list(model.graph.node)
    writer = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    order: dict[int, None] = {}
    for start in range(len(nodes)):
        stack = [start]
        while stack:
            i = stack[-1]
            needed = {writer[name] for name in reads(nodes[i]) if name in writer}
            ahead = [k for k in needed if k not in order and k not in stack]
            if ahead:
                stack += sorted(ahead, reverse=True)
            else:
                order[stack.pop()] = None
    kept = [NodeProto.FromString(nodes[i].SerializeToString()) for i in order]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def head(model: ModelProto) -> set[str]:
    """Names of the nodes before the first weighted layer: resize, layout, normalisation.

    Nodes must have names (`name_nodes`). A node belongs to the head when nothing that it reads
    comes, over any path, from a Conv, Gemm or MatMul.
    """
    return {node.name for node in model.graph.node} - {node.name for node in body(model)}


def body(model: ModelProto) -> Iterator[NodeProto]:
    """The weighted layers, and every node that reads what comes from one."""
    inside: set[str] = set()
    for node in model.graph.node:
        if node.op_type in WEIGHTED or any(name in inside for name in reads(node)):
            inside.update(node.output)
            yield node


def name_nodes(model: ModelProto) -> None:
    """Give every node a name of its own; names that are unique already stay."""
    taken: set[str] = set()
    for i, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{i}"
        taken.add(node.name)
