"""Matrix products in 8 bits: of weights and of activations, whose range is measured in each run; or
of weights alone, a scale for each block of them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from compress import codec, graph, normal, processor
from compress.errors import AS_IT_IS, CompressError
from compress.qdq import FAULTS, quiet
from compress.tidy import tidy

NUMBERS = 2**16  # that a table must have to be worth the nodes


@dataclass(frozen=True)
class Dynamic:
    """One attempt."""

    name: str
    operators: tuple[str, ...] = ("MatMul", "Gemm")
    block: int = 0  # weights that share a scale, activations too while they run; 0: an output's all


# The last one keeps what a few large activations cost the others: a place of a text, and a block of
# its numbers, have scales of their own. Its operator is onnxruntime's own, of 1.22 or later.
LADDER = (
    Dynamic("dynamic"),
    Dynamic("dynamic-matmul", ("MatMul",)),
    Dynamic("weights-blocked", ("MatMul",), 128),
)
INT8 = 4  # the operator's `accuracy_level`: products of bytes


def quantize(source: Path, path: Path, settings: Dynamic) -> Path:
    """Write the 8-bit twin of the float file `source`."""
    model, names = normal.aliased(graph.read(source))
    graph.name_nodes(model)
    embed(model)
    raw = path.with_suffix(".raw.onnx")
    try:
        with quiet():
            if settings.block:
                graph.save(_blocked(model, settings.block), raw)
            else:
                quantize_dynamic(
                    model,
                    str(raw),
                    op_types_to_quantize=list(settings.operators),
                    per_channel=True,
                    weight_type=QuantType.QInt8,
                    reduce_range=processor.weight_bits() < 8,
                    extra_options={"MatMulConstBOnly": True},
                )
    except FAULTS as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CompressError(f"onnxruntime cannot quantize the model: {said}", AS_IT_IS) from error
    back = {new: old for old, new in names.items()}
    return graph.save(tidy(graph.read(raw), back), path)


def _blocked(model: ModelProto, block: int) -> ModelProto:
    """The products with constant matrices as MatMulNBits of 8 bits."""
    with _logging_as_it_was():
        try:
            from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
        except ImportError as error:
            raise CompressError("this onnxruntime has no products of blocks", AS_IT_IS) from error
        how = {"block_size": block, "is_symmetric": True, "accuracy_level": INT8}
        made = MatMulNBitsQuantizer(model, bits=8, **how)
        made.process()
    return made.model.model


@contextmanager
def _logging_as_it_was() -> Iterator[None]:
    """The module sets up the whole process' logging when it is imported, and tells every node."""
    root = logging.getLogger()
    handlers, level, off = root.handlers[:], root.level, root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(off)
        root.handlers[:] = handlers
        root.setLevel(level)


def embed(model: ModelProto) -> list[str]:
    """Tables of rows that a Gather looks up, in 8 bits with a scale a row; names of the nodes.

    Cases: a table of 65,536 numbers or more, of words or of places (8 bits); a smaller one, or one
    that others read too, stays.
    """
    values, readers = graph.constants(model), graph.consumers(model)
    done = []
    for node in list(model.graph.node):
        table = values.get(node.input[0]) if node.op_type == "Gather" else None
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        if table is None or table.dtype != np.float32 or table.ndim != 2 or axis != 0:
            continue
        if table.size >= NUMBERS and len(readers[node.input[0]]) == 1:
            _look_up(model, node, table)
            done.append(node.name)
    graph.drop_unused(model)
    return done


def _look_up(model: ModelProto, node: NodeProto, table: np.ndarray) -> None:
    rows = codec.encode(table, "linear")
    name, out, index = node.input[0], node.output[0], node.input[1]
    for suffix, array in (("codes", rows.codes), ("scales", rows.scales[:, None])):
        model.graph.initializer.append(numpy_helper.from_array(array, f"{name}.{suffix}"))
    zero = numpy_helper.from_array(np.array(codec.ZERO, np.uint8), f"{name}.zero")
    one = numpy_helper.from_array(np.array(1, np.float32), f"{name}.one")
    model.graph.initializer.extend([zero, one])
    make = helper.make_node
    made = [
        make("Gather", [f"{name}.codes", index], [f"{out}.codes"]),
        make("DequantizeLinear", [f"{out}.codes", one.name, zero.name], [f"{out}.levels"]),
        make("Gather", [f"{name}.scales", index], [f"{out}.halves"]),
        make("Cast", [f"{out}.halves"], [f"{out}.scales"], to=TensorProto.FLOAT),
        make("Mul", [f"{out}.levels", f"{out}.scales"], [out]),
    ]
    place = list(model.graph.node).index(node)
    model.graph.node.remove(node)
    for offset, new in enumerate(made):
        new.name = new.output[0]
        model.graph.node.insert(place + offset, new)
