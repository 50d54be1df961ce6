"""A text student's float file becomes an 8-bit one: its table by a codec, its layers by row.

The table is the one constant of which rows are gathered and then added up by a matrix product with
the weights of the windows. In the linear codec it has one scale and stays 8 bits in memory too:
bytes are gathered, and made floats by one operator (a scale for each row would take five more). The
dynamic codecs only store it, with a scale for each row: onnxruntime makes floats of it at load, as
it does of the dense layers (a gather in a book of 256 floats for each number would cost more than
all the rest).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from compress import calibrate, compare, graph
from compress import codec as codecs
from compress.config import Codec, Gates, Rows
from compress.errors import AS_IT_IS, CompressError
from compress.ladder import Climb, File, Judgement, Tried, try_out

CONTRACT = "it must be a text student's float file, as export/ngram.py makes it"


def climb(
    source: Path,
    out_dir: Path,
    config: Rows,
    gates: Gates,
    judge: Callable[[Path], Judgement],
) -> Climb:
    """Try every codec of `config`, also after one has passed: what the others cost is shown.

    The first one that passes every gate wins. Files stay in `out_dir` as CODEC.onnx; `judge`
    measures one of them.
    """
    tried: list[Tried] = []
    for codec in config.codecs:
        make = partial(_made, source, Path(out_dir) / f"{codec}.onnx", codec)
        tried.append(try_out(codec, {"codec": codec}, make, gates, judge))
    passed = [Path(out_dir) / f"{t.name}.onnx" for t in tried if t.verdict == "pass"]
    return Climb(tuple(tried), passed[0] if passed else None)


def _made(source: Path, path: Path, codec: Codec) -> File:
    return File(quantize(source, path, codec), {})


def quantize(fp32_path: Path, out_path: Path, codec: Codec) -> Path:
    """Write the 8-bit twin of `fp32_path`; its metadata stays. It was opened, run and compared."""
    model = graph.read(Path(fp32_path))
    exact = list(compare.answers(calibrate.session(model), texts()))
    lookup = _lookup(model, fp32_path)
    table = graph.constants(model)[lookup.gather.input[0]]
    if codec == "linear":
        _gather_bytes(model, lookup, table)
    else:
        _fold_book(model, lookup, codecs.encode(table, codec), codecs.book(codec))
    _quantize_layers(model)
    return graph.save(model, Path(out_path), partial(_check, exact))


def texts() -> list[np.ndarray]:
    """Lines of letters as code points, int32 (1, length), to compare two files on."""
    rng = np.random.default_rng(0)
    return [rng.integers(97, 123, (1, length), np.int32) for length in range(3, 48, 3)]


def _check(exact: list[compare.Answers], written: Path) -> None:
    """An error where the file does not answer the texts as the float file did."""
    changes = compare.outputs(exact, compare.answers(calibrate.session(written), texts()))
    change = max(changes.values(), default=0.0)
    if not change <= compare.CHANGE:
        what = f"8 bits change the answers to texts by {change:.0%}"
        raise CompressError(what, f"try another codec; {AS_IT_IS}")


class Lookup(NamedTuple):
    """The node that looks rows up to be added, and the constant that has the rows."""

    gather: NodeProto  # table (r, d), index -> rows (.., l, d)
    table: str


def _lookup(model: ModelProto, path: Path) -> Lookup:
    values, writer = graph.constants(model), graph.producers(model)
    found = []
    for node in model.graph.node:
        if node.op_type != "MatMul":
            continue
        gather = writer.get(node.input[1])
        if gather is None or gather.op_type != "Gather":
            continue
        table = values.get(gather.input[0])
        if table is not None and table.ndim == 2 and table.dtype == np.float32:
            found.append(Lookup(gather, gather.input[0]))
    if len(found) != 1:
        raise CompressError(f"{path} has {len(found)} tables of float32 rows", CONTRACT)
    return found[0]


def _gather_bytes(model: ModelProto, lookup: Lookup, table: np.ndarray) -> None:
    """Gather bytes, and make floats of what was gathered."""
    codes, scale = codecs.encode_whole(table)
    name, out = lookup.table, lookup.gather.output[0]
    _replace(model, name, codes)
    _add(model, f"{name}.scale", np.array(scale, np.float32))
    _add(model, f"{name}.zero", np.array(codecs.ZERO, np.uint8))
    lookup.gather.output[0] = f"{out}.bytes"
    floats = ("DequantizeLinear", [f"{out}.bytes", f"{name}.scale", f"{name}.zero"], [out])
    _insert(model, lookup.gather, helper.make_node(*floats))


def _fold_book(model: ModelProto, lookup: Lookup, rows: codecs.Rows, book: np.ndarray) -> None:
    """Make the float table of constants alone: onnxruntime does it once, at load."""
    name, node = lookup.table, helper.make_node
    _replace(model, name, rows.codes)
    _add(model, f"{name}.book", book)
    _add(model, f"{name}.scales", rows.scales[:, None])
    lookup.gather.input[0] = f"{name}.float"
    _insert(
        model,
        lookup.gather,
        node("Cast", [name], [f"{name}.places"], to=TensorProto.INT32),
        node("Gather", [f"{name}.book", f"{name}.places"], [f"{name}.values"]),
        node("Cast", [f"{name}.scales"], [f"{name}.factors"], to=TensorProto.FLOAT),
        node("Mul", [f"{name}.values", f"{name}.factors"], [f"{name}.float"]),
        before=True,
    )


def _quantize_layers(model: ModelProto) -> None:
    """int8 weights of every Gemm, with a float16 scale for each output: (outputs, inputs)."""
    values, node = graph.constants(model), helper.make_node
    for layer in [n for n in model.graph.node if n.op_type == "Gemm"]:
        name = layer.input[1]
        rows = codecs.encode(values[name], "linear")
        _replace(model, name, (rows.codes.astype(np.int16) - codecs.ZERO).astype(np.int8))
        _add(model, f"{name}.scales", rows.scales[:, None])
        layer.input[1] = f"{name}.float"
        _insert(
            model,
            layer,
            node("Cast", [name], [f"{name}.levels"], to=TensorProto.FLOAT),
            node("Cast", [f"{name}.scales"], [f"{name}.factors"], to=TensorProto.FLOAT),
            node("Mul", [f"{name}.levels", f"{name}.factors"], [f"{name}.float"]),
            before=True,
        )


def _replace(model: ModelProto, name: str, array: np.ndarray) -> None:
    constant = next(init for init in model.graph.initializer if init.name == name)
    constant.CopyFrom(numpy_helper.from_array(array, name))


def _add(model: ModelProto, name: str, array: np.ndarray) -> None:
    model.graph.initializer.append(numpy_helper.from_array(array, name))


def _insert(model: ModelProto, at: NodeProto, *nodes: NodeProto, before: bool = False) -> None:
    """Put nodes right after `at`, or right before it."""
    place = [n.output[0] for n in model.graph.node].index(at.output[0]) + (not before)
    for offset, made in enumerate(nodes):
        model.graph.node.insert(place + offset, made)
