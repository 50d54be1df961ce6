"""A file as the quantizer wants it: the same function, written the one way that it knows.

Names that cannot clash with those that onnxruntime's quantizer makes up, no functions, constants as
initializers, a bias of its own for each layer, and Gemm as 8-bit kernels read it.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

from compress import graph
from compress.errors import CompressError

OPSET = 13  # the first whose DequantizeLinear has a scale for each channel
IR = 8  # of a file that was raised: constants need not be inputs


def normalized(model: ModelProto) -> ModelProto:
    """A copy in normal form; inputs, outputs and metadata are as they were, nodes have names."""
    copy = ModelProto()
    copy.CopyFrom(model)
    model = raised(graph.inlined(copy))
    graph.name_nodes(model)
    del model.graph.value_info[:]  # a stale one makes the quantizer's shape inference fail
    lift_constants(model)
    plain_gemms(model)
    own_constants(model)
    graph.drop_unused(model)
    return model


def opset(model: ModelProto) -> int:
    """The version of ONNX's own operators that the file asks for."""
    return next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)


def raised(model: ModelProto, least: int = OPSET) -> ModelProto:
    """The same function in operators of version `least`, where it has older ones; its metadata
    stays. `CompressError` where onnx knows no way.
    """
    if opset(model) >= least:
        return model
    try:
        new = onnx.version_converter.convert_version(model, least)
    except (RuntimeError, ValueError, onnx.version_converter.ConvertError) as error:
        what = f"operators of version {opset(model)} cannot be raised to {least}: {error}"
        raise CompressError(what, f"export it again with opset {least} or later") from error
    new.ir_version = max(new.ir_version, IR)
    del new.metadata_props[:]
    new.metadata_props.extend(model.metadata_props)
    return new


def lift_constants(model: ModelProto) -> None:
    """Constant nodes become initializers, and initializers are no inputs any more."""
    dropped = set()
    for i, node in enumerate(model.graph.node):
        value = _constant(node)
        if value is not None:
            model.graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
            dropped.add(i)
    graph.drop_nodes(model, dropped)
    given = set(graph.inputs(model))
    listed = [value for value in model.graph.input if value.name not in given]
    for value in listed:
        model.graph.input.remove(value)
    if listed or dropped:
        model.ir_version = max(model.ir_version, IR)


def _constant(node: NodeProto) -> np.ndarray | None:
    """What a Constant node gives; None for another node, and for texts and sparse numbers."""
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx") or not node.attribute:
        return None
    attribute = node.attribute[0]
    if attribute.name == "value":
        return graph.array(attribute.t)
    if attribute.name in ("value_float", "value_floats"):
        return np.array(helper.get_attribute_value(attribute), np.float32)
    if attribute.name in ("value_int", "value_ints"):
        return np.array(helper.get_attribute_value(attribute), np.int64)
    return None


def plain_gemms(model: ModelProto) -> None:
    """Fold alpha into the weights, beta into the bias, and give the bias one number an output.

    8-bit kernels of onnxruntime look at no beta, and at no bias of another shape. Cases: factors
    and bias of constants (folded); anything else (left alone, see `odd_gemms`).
    """
    values = graph.constants(model)
    for node in model.graph.node:
        if node.op_type == "Gemm" and all(name in values for name in node.input[1:] if name):
            _fold(model, node, values)


def _fold(model: ModelProto, node: NodeProto, values: dict[str, np.ndarray]) -> None:
    weight, settings = values[node.input[1]], attributes(node)
    if weight.dtype != np.float32:
        return
    outputs = weight.shape[0 if settings.get("transB") else 1]
    alpha, beta = settings.get("alpha", 1.0), settings.get("beta", 1.0)
    if len(node.input) > 2 and node.input[2]:
        bias = values[node.input[2]]
        if bias.size not in (1, outputs) or bias.shape[-1:] not in ((), (1,), (outputs,)):
            return
        plain = np.broadcast_to(bias.reshape(-1), outputs) * np.float32(beta)
        if bias.shape != (outputs,) or beta != 1:
            node.input[2] = add(model, plain.astype(np.float32), node.input[2])
    if alpha != 1:
        node.input[1] = add(model, weight * np.float32(alpha), node.input[1])
    for attribute in node.attribute:
        if attribute.name in ("alpha", "beta"):
            attribute.f = 1.0


def odd_gemms(model: ModelProto) -> set[str]:
    """Names of the Gemms that 8-bit kernels would compute wrongly: they stay float."""
    values = graph.constants(model)
    found = set()
    for node in model.graph.node:
        if node.op_type != "Gemm":
            continue
        settings = attributes(node)
        bias = values.get(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
        factors = settings.get("alpha", 1.0) != 1 or settings.get("beta", 1.0) != 1
        if factors or settings.get("transA") or bias is None or bias.ndim != 1:
            found.add(node.name)
    return found


def own_constants(model: ModelProto) -> None:
    """A copy for each layer of a bias that others read too, or of weights that no layer reads so.

    The quantizer gives one constant one scale, and a bias takes its scale from its layer. Cases: a
    bias read twice (copied); weights of two layers of one kind (shared); of two kinds (copied).
    """
    values = graph.constants(model)
    uses: dict[str, set[object]] = {}
    outputs = {value.name for value in model.graph.output}
    for node in model.graph.node:
        for place, name in enumerate(graph.reads(node)):
            uses.setdefault(name, set()).add(_use(node, place))
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            weighted = node.op_type in graph.WEIGHTED and place and name in values
            if weighted and (len(uses[name]) > 1 or name in outputs):
                node.input[place] = add(model, values[name], name)


def _use(node: NodeProto, place: int) -> object:
    """Equal for two readers that the quantizer may give the same numbers."""
    if node.op_type in graph.WEIGHTED and place == 1:
        return node.op_type, bool(attributes(node).get("transB"))
    return node.name, place


def attributes(node: NodeProto) -> dict[str, Any]:
    """The settings of a node by name."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def add(model: ModelProto, array: np.ndarray, stem: str) -> str:
    """A new constant, and its name."""
    taken = names(model)
    name = next(name for name in (f"{stem}.{i}" for i in count()) if name not in taken)
    model.graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def names(model: ModelProto) -> set[str]:
    """Every name of a tensor, also inside branches and loops."""
    return graph.made_in(model.graph) | inner_names(model)


def inner_names(model: ModelProto) -> set[str]:
    """The names of the tensors inside branches and loops."""
    found: set[str] = set()
    stack = list(model.graph.node)
    while stack:
        for body in graph.bodies(stack.pop()):
            found |= graph.made_in(body)
            stack.extend(body.node)
    return found


def aliased(model: ModelProto) -> tuple[ModelProto, dict[str, str]]:
    """A copy in which no name can be one that the quantizer makes up, and the new name of each.

    It adds `_scale` and the like: so no tensor has an underscore, or is the beginning of one's name
    in a branch or loop.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    old = [name for name in dict.fromkeys(_all(copy.graph)) if name]
    inner = inner_names(copy)
    risky = {name for name in old if "_" in name or any(n.startswith(f"{name}_") for n in inner)}
    taken = inner | set(old) - risky
    fresh = (name for name in (f"t{i}" for i in count()) if name not in taken)
    table = {name: next(fresh) if name in risky else name for name in old}
    rename(copy, table)
    return copy, table


def _all(body: onnx.GraphProto) -> list[str]:
    made = [name for node in body.node for name in node.output]
    return [*(v.name for v in body.input), *(i.name for i in body.initializer), *made]


def rename(model: ModelProto, table: dict[str, str]) -> None:
    """Tensors of the outer graph under other names, wherever they stand."""
    graph.rename_inputs(model.graph.node, table)
    for node in model.graph.node:
        node.output[:] = [table.get(name, name) for name in node.output]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.name = table.get(value.name, value.name)
