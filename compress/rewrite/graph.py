"""What every pass needs of a graph (`onnx_ir.Model`): constants, attributes, new nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes.common import LiftConstantsToInitializersPass, RemoveUnusedNodesPass

Pass = Callable[[ir.Model], ir.Model]


def run(model: onnx.ModelProto, passes: Iterable[Pass]) -> onnx.ModelProto:
    """A new model after every pass in turn; shapes are inferred afresh for each."""
    for apply in passes:
        changed = apply(load_ir(model))
        changed = RemoveUnusedNodesPass()(changed).model
        model = ir.serde.serialize_model(changed)
    constants = {tensor.name for tensor in model.graph.initializer}
    for info in [info for info in model.graph.value_info if info.name in constants]:
        model.graph.value_info.remove(info)
    return model


def load_ir(model: onnx.ModelProto) -> ir.Model:
    """As passes read it: shapes inferred afresh, constants as initializers."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    loaded = ir.serde.deserialize_model(onnx.shape_inference.infer_shapes(bare, data_prop=True))
    return LiftConstantsToInitializersPass(lift_all_constants=True)(loaded).model


def substitute(old: ir.Value, new: ir.Value) -> None:
    """Let every reader of one tensor, and the graph's output, take another of the same shape."""
    name = old.name if old.is_graph_output() else new.name
    new.shape, new.type = old.shape, old.type
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    new.name = name


def constant(value: ir.Value | None) -> np.ndarray | None:
    """The array behind an initializer, None for everything that is computed."""
    if value is None or value.const_value is None:
        return None
    return value.const_value.numpy()


def dims(value: ir.Value | None) -> tuple[int | None, ...]:
    """The shape with None for what is only known at run time; () when nothing is known."""
    if value is None or value.shape is None:
        return ()
    return tuple(d if isinstance(d, int) else None for d in value.shape)


def width(value: ir.Value | None) -> int | None:
    """How many channels a tensor (n, channels, ...) has, None where it is not known."""
    return (*dims(value), None, None)[1]


def number(node: ir.Node, name: str, default: int = 0) -> int:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


def numbers(node: ir.Node, name: str) -> tuple[int, ...]:
    attribute = node.attributes.get(name)
    return () if attribute is None else tuple(attribute.as_ints())


def is_conv(node: ir.Node | None, group: int = 1) -> bool:
    """A convolution of this many groups whose weights are constants."""
    return (
        node is not None
        and node.op_type == "Conv"
        and number(node, "group", 1) == group
        and all(constant(v) is not None for v in node.inputs[1:] if v is not None)
    )


def is_depthwise(node: ir.Node | None) -> bool:
    """One filter a channel: as many groups as inputs and outputs."""
    if node is None or node.op_type != "Conv":
        return False
    channels = width(node.inputs[0])
    return (
        channels is not None and is_conv(node, channels) and dims(node.inputs[1])[:1] == (channels,)
    )


def initializer(model: ir.Model, array: np.ndarray, stem: str) -> ir.Value:
    """A new constant of the graph under a name that is not taken yet."""
    taken, name, count = model.graph.initializers, stem, 0
    while name in taken:
        count += 1
        name = f"{stem}.{count}"
    tensor = ir.tensor(np.asarray(array, order="C"), name=name)
    value = ir.Value(name=name, const_value=tensor)
    value.shape, value.type = ir.Shape(array.shape), ir.TensorType(tensor.dtype)
    model.graph.register_initializer(value)
    return value


def set_constant(model: ir.Model, node: ir.Node, index: int, array: np.ndarray) -> None:
    """Give one input of one node a new array; other readers of the old one keep it."""
    old = node.inputs[index]
    stem = old.name if old is not None and old.name else f"{node.name}.{index}"
    node.replace_input_with(index, initializer(model, array, stem))
