"""The file that comes out is called as the one that came in: names, types, order, metadata."""

from __future__ import annotations

from onnx import ModelProto, TensorProto, helper

from compress import graph
from compress.errors import AS_IT_IS, CompressError
from compress.source import Source


def same_contract(model: ModelProto, given: Source) -> ModelProto:
    """`model`, changed and returned, with the inputs and outputs of the file that came in.

    Cases: float16 in and out; several outputs; an output that was lost is an error.
    """
    for there, ports in ((model.graph.input, given.inputs), (model.graph.output, given.outputs)):
        found, wanted = [value.name for value in there], [port.name for port in ports]
        if found != wanted:
            lost = ", ".join(name for name in wanted if name not in found)
            raise CompressError(
                f"the 8-bit file has no {lost}" if lost else "the 8-bit file has another order",
                AS_IT_IS,
            )
    halves = [p.name for p in (*given.inputs, *given.outputs) if p.kind == "float16"]
    if halves:
        _narrow(model, set(halves))
    kept = {p.key: p.value for p in given.model.metadata_props} | {
        p.key: p.value for p in model.metadata_props
    }
    helper.set_model_props(model, kept)
    return model


def _narrow(model: ModelProto, halves: set[str]) -> None:
    """float16 at these inputs and outputs, float32 inside."""
    inner = {name: f"{name}.float32" for name in halves}
    graph.rename_inputs(model.graph.node, inner)
    for node in model.graph.node:
        node.output[:] = [inner.get(name, name) for name in node.output]
    for value in model.graph.input:
        if value.name in halves:
            value.type.tensor_type.elem_type = TensorProto.FLOAT16
            cast = helper.make_node("Cast", [value.name], [inner[value.name]], to=TensorProto.FLOAT)
            model.graph.node.insert(0, cast)
    for value in model.graph.output:
        if value.name in halves:
            value.type.tensor_type.elem_type = TensorProto.FLOAT16
            names = [inner[value.name]], [value.name]
            model.graph.node.append(helper.make_node("Cast", *names, to=TensorProto.FLOAT16))
