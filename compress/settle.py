"""What depends on the input's size alone becomes a constant (exact at the sizes that are read).

Exporters write the shapes of reshapes as a computation over the input's own shape. The computation
is done here, once for each size that the file may be given: what comes out alike every time is a
constant, a reshape whose target differs in one place only takes -1 there, and the rest stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import ModelProto, helper, numpy_helper

from compress import calibrate, graph
from compress.examples import Feed

LARGEST = 65_536  # numbers that a constant may newly have


def settle(model: ModelProto, feeds: Sequence[Feed]) -> ModelProto:
    """A new model; `feeds` differ in every size that is free.

    Cases: reshapes by Shape, Gather, Concat with a free batch; constants that only constants make;
    a target that differs in two places, and what is computed of the input's values, stay.
    """
    made = ModelProto()
    made.CopyFrom(model)
    names = _of_size(made)
    if names:
        _apply(made, names, _evaluated(made, names, feeds))
        _free_reshapes(made, set(names), feeds)
    return made


def _of_size(model: ModelProto) -> list[str]:
    """Tensors that are made of shapes and constants alone, in the order of the graph."""
    known = {init.name for init in model.graph.initializer} | {""}
    found: list[str] = []
    for node in model.graph.node:
        if node.op_type in ("Shape", "Size") or all(name in known for name in node.input):
            known.update(node.output)
            found += [name for name in node.output if name]
    return found


def _evaluated(
    model: ModelProto, names: Sequence[str], feeds: Sequence[Feed]
) -> dict[str, list[np.ndarray]]:
    """The values of these tensors at every feed."""
    probe = ModelProto()
    probe.CopyFrom(model)
    kept = {output.name for output in probe.graph.output}
    new = [helper.make_empty_tensor_value_info(name) for name in names if name not in kept]
    probe.graph.output.extend(new)
    session = calibrate.session(probe)
    runs = [calibrate.run(session, feed, list(names)) for feed in feeds]
    return {name: [run[k] for run in runs] for k, name in enumerate(names)}


def _apply(model: ModelProto, names: Sequence[str], found: dict[str, list[np.ndarray]]) -> None:
    outputs = {output.name for output in model.graph.output}
    fixed = {
        name: values[0]
        for name, values in found.items()
        if name not in outputs and values[0].size <= LARGEST and _alike(values)
    }
    dropped = {
        i
        for i, node in enumerate(model.graph.node)
        if node.output and all(name in fixed or not name for name in node.output)
    }
    written = {name for i in dropped for name in model.graph.node[i].output if name}
    graph.drop_nodes(model, dropped)
    for name in written:
        model.graph.initializer.append(numpy_helper.from_array(fixed[name], name))


def _alike(values: Sequence[np.ndarray]) -> bool:
    return all(v.dtype == values[0].dtype and np.array_equal(v, values[0]) for v in values)


def _free_reshapes(model: ModelProto, names: set[str], feeds: Sequence[Feed]) -> None:
    """A target that still varies gets -1 in the one place where what comes out differs."""
    nodes = [n for n in model.graph.node if n.op_type == "Reshape" and n.input[1] in names]
    made = _evaluated(model, [node.output[0] for node in nodes], feeds) if nodes else {}
    for node in nodes:
        shapes = [values.shape for values in made[node.output[0]]]
        if len({len(shape) for shape in shapes}) != 1:
            continue
        table = np.array(shapes, np.int64)
        differs = (table != table[0]).any(0)
        if differs.sum() == 1 and table.all():
            name = f"{node.output[0]}.target"
            target = np.where(differs, -1, table[0])
            model.graph.initializer.append(numpy_helper.from_array(target, name))
            node.input[1] = name


def pinned(model: ModelProto, shapes: dict[str, tuple[int | None, ...]]) -> ModelProto:
    """A copy whose inputs are of these shapes, None for what stays free."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.value_info[:]
    for value in made.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, shapes[value.name], strict=True):
            if size is not None:
                dim.dim_value = size
    return made
