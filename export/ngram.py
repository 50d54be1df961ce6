"""The text student as one ONNX graph, written operator by operator: code points in, logits out.

    codepoints (n, l) -> letters -> hashes of windows -> rows of one table -> sums -> two layers

What it computes is said in docs/ngrams.md; here is how, in as few operators as may be, for a word
takes what their calls take. A code point's letter, as two halves and a flag (1: a letter), comes
from one table that onnxruntime folds at load from three small ones. One convolution hashes the
windows of every order and adds up the flags that decide which windows count; a ReLU, which
onnxruntime fuses into it, makes 0 of those that do not. A hash's last bits are the row. The mask of
windows, divided by its own norm, is 1 / sqrt(count) where a window counts: its product with the
gathered rows masks, adds up and scales at once.

Letters' halves are below 256 and multipliers below 2048, so that a processor that rounds to the 11
bits of float16 or TF32 hashes exactly; every sum is below 2**24.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.errors import ExportError

CODEPOINTS, LOGITS = "codepoints", "logits"
ORDERS = 5  # n-grams of 1 to 5 letters
PAGE = 256  # code points that share an entry of `top`
HALF = 256  # a letter is HALF * high + low
LETTERS = 2**16  # letters are below it
OPSET, IR = 18, 9
BITS_11 = 2**11  # integers up to it are exact in float16 and TF32
EXACT = 2**24  # integers up to it are exact in float32


@dataclass(frozen=True)
class Parts:
    """All that makes up a text student, as arrays."""

    top: np.ndarray  # int32 (p,): where each page of 256 code points begins in `entries`
    entries: np.ndarray  # int32 (pages * 256,): which delta a code point has, < 2**16
    delta: np.ndarray  # int32 (k,): what is added to a code point; below zero: no letter
    orders: np.ndarray  # int64 (o,): which n-grams there are, of 1 to 5, ascending
    multipliers: np.ndarray  # int64 (o, w, 2): of the halves of an n-gram's k-th letter; 0 beyond
    table: np.ndarray  # float32 (r, d), r a power of 2
    hidden_weight: np.ndarray  # float32 (h, o * d)
    output_weight: np.ndarray  # float32 (classes, h)


def to_onnx(parts: Parts, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """The whole model: `codepoints` int32 (n, length), padded with 0, to `logits` (n, classes).

    Any code point will do, also a negative one. `export.files.save` writes it.
    """
    _check(parts)
    graph = _Graph()
    _letters(graph, parts)
    _windows(graph, parts)
    _sums(graph, parts)
    _layers(graph, parts)
    model = graph.model(len(parts.output_weight))
    helper.set_model_props(model, dict(metadata))
    return model


class _Graph:
    """Nodes and constants under construction; every node has one output, or is given a list."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: object, kind: type[np.generic]) -> str:
        array = np.array(value, kind, order="C")
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, kind: str, inputs: str, outputs: str, **attributes: Any) -> None:
        """Names are separated by blanks."""
        made = helper.make_node(kind, inputs.split(), outputs.split(), **attributes)
        self.nodes.append(made)

    def model(self, classes: int) -> onnx.ModelProto:
        info = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "ngram",
            [info(CODEPOINTS, TensorProto.INT32, ["n", "length"])],
            [info(LOGITS, TensorProto.FLOAT, ["n", classes])],
            self.constants,
        )
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR)


def _letters(graph: _Graph, parts: Parts) -> None:
    """`features` float32 (n, l, 3) of code points: letter's halves, flag.

    All but the last two nodes read constants only: onnxruntime runs them once, at load.
    """
    graph.constant("pages", parts.top // PAGE, np.int32)
    graph.constant("entries", parts.entries.reshape(-1, PAGE), np.uint16)
    graph.constant("delta", parts.delta, np.int32)
    graph.constant("column", (-1, 1), np.int64)
    for name, value in {"0": 0, "1": 1, "half": HALF, "limit": len(parts.top) * PAGE}.items():
        graph.constant(name, value, np.int32)
    graph.constant("last", len(parts.top) * PAGE - 1, np.int32)
    graph.node("Gather", "entries pages", "entry.words")
    graph.node("Cast", "entry.words", "entry.pages", to=TensorProto.INT32)
    graph.node("Reshape", "entry.pages column", "entry")
    graph.node("Range", "0 limit 1", "codes.row")
    graph.node("Reshape", "codes.row column", "codes")
    graph.node("Gather", "delta entry", "step")
    graph.node("Add", "codes step", "moved")
    graph.node("Max", "moved 0", "letter")
    graph.node("Div", "letter half", "letter.high")
    graph.node("Mod", "letter half", "letter.low")
    graph.node("Min", "letter 1", "letter.flag")
    graph.node("Concat", "letter.high letter.low letter.flag", "letters.int", axis=1)
    graph.node("Cast", "letters.int", "letters", to=TensorProto.FLOAT)
    graph.node("Clip", f"{CODEPOINTS} 0 last", "clipped")
    graph.node("Gather", "letters clipped", "features")


def _windows(graph: _Graph, parts: Parts) -> None:
    """From `features`: `index` int32 (n, o, l + 1), `weights` float32 of the same shape.

    With w letters in the longest n-gram, the text has one boundary before it and w - 1 after it.
    A window's weight is 1 / sqrt(how many of its order count) where it counts, else 0: a mask of m
    ones has the norm sqrt(m), one of zeros stays zeros.
    """
    kernel, bias = _kernel(parts)
    orders, width = len(parts.orders), kernel.shape[2]
    graph.constant("kernel", kernel, np.float32)
    graph.constant("kernel.bias", bias, np.float32)
    graph.constant("split", (orders, orders), np.int64)
    graph.constant("last.row", len(parts.table) - 1, np.int32)
    graph.node("Transpose", "features", "channels", perm=[0, 2, 1])
    graph.node("Conv", "channels kernel kernel.bias", "planes.any", pads=[1, width - 1])
    graph.node("Relu", "planes.any", "planes")
    graph.node("Split", "planes split", "hash.exact mask", axis=1)
    graph.node("Cast", "hash.exact", "hash", to=TensorProto.INT32)
    graph.node("BitwiseAnd", "hash last.row", "index")
    graph.node("LpNormalization", "mask", "weights", axis=-1, p=2)


def _kernel(parts: Parts) -> tuple[np.ndarray, np.ndarray]:
    """Weights (2 * o, 3, w) and bias (2 * o,) of the convolution: hashes, then masks.

    With f_k the flag of the k-th letter of a window, f_1 counts for n = 1, f_2 for n = 2, and for
    longer ones all inside must be letters: f_2 + .. + f_{n-1} - (n - 3) is 1, or 0 and less.
    """
    orders, width = parts.multipliers.shape[:2]
    kernel = np.zeros((2 * orders, 3, width), np.float32)
    bias = np.zeros(2 * orders, np.float32)
    kernel[:orders, :2] = parts.multipliers.transpose(0, 2, 1)
    for g, n in enumerate(parts.orders.tolist(), orders):
        inside = {1: (0, 1), 2: (1, 2)}.get(n, (1, n - 1))
        kernel[g, 2, slice(*inside)] = 1
        bias[g] = 1 - (inside[1] - inside[0])
    return kernel, bias


def _sums(graph: _Graph, parts: Parts) -> None:
    """`text` float32 (n, o * d): each order's rows summed, over the root of how many they are."""
    graph.constant("table", parts.table, np.float32)
    graph.constant("axis", [2], np.int64)
    graph.node("Gather", "table index", "rows")
    graph.node("Unsqueeze", "weights axis", "weights.row")
    graph.node("MatMul", "weights.row rows", "sums")
    graph.node("Flatten", "sums", "text")


def _layers(graph: _Graph, parts: Parts) -> None:
    graph.constant("hidden.weight", parts.hidden_weight, np.float32)
    graph.constant("output.weight", parts.output_weight, np.float32)
    graph.node("Gemm", "text hidden.weight", "hidden", transB=1)
    graph.node("Relu", "hidden", "active")
    graph.node("Gemm", "active output.weight", LOGITS, transB=1)


def _check(parts: Parts) -> None:
    """`ExportError` for parts that do not fit each other or whose hash would not be exact."""
    _check_shapes(parts)
    for field in fields(parts):
        array = getattr(parts, field.name)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ExportError(f"{field.name} is not finite", "did training diverge?")
    known = len(parts.orders) and set(parts.orders.tolist()) <= set(range(1, ORDERS + 1))
    if not known or (np.diff(parts.orders) < 1).any():
        raise ExportError(f"the orders are {parts.orders}", f"some of 1 to {ORDERS}, ascending")
    beyond = np.arange(parts.multipliers.shape[1]) >= parts.orders[:, None]
    largest = int(parts.multipliers.sum((1, 2)).max()) * (HALF - 1)
    small = parts.multipliers.min() >= 0 and parts.multipliers.max() < BITS_11 and largest < EXACT
    if not small or parts.multipliers[beyond].any():
        raise ExportError(
            "the multipliers are negative, not those of n letters or too large",
            f"those below {BITS_11} keep the hash exact",
        )
    rows = len(parts.table)
    if rows < 2 or rows & (rows - 1):
        raise ExportError(f"the table has {rows} rows", "their number must be a power of 2")


def _check_shapes(parts: Parts) -> None:
    dim, hidden, classes = parts.table.shape[-1], len(parts.hidden_weight), len(parts.output_weight)
    orders = len(parts.orders)
    wanted = {
        "multipliers": (orders, parts.orders.max(initial=0), 2),
        "table": (len(parts.table), dim),
        "hidden_weight": (hidden, orders * dim),
        "output_weight": (classes, hidden),
    }
    for name, shape in wanted.items():
        if getattr(parts, name).shape != shape:
            raise ExportError(f"{name} is {getattr(parts, name).shape}", f"it must be {shape}")
    pages = len(parts.entries) // PAGE
    whole = parts.entries.size == pages * PAGE and parts.top.size and not (parts.top % PAGE).any()
    if not whole or parts.top.min() < 0 or parts.top.max() >= parts.entries.size:
        raise ExportError("top does not point at pages of entries", f"a page has {PAGE} of them")
    if parts.entries.min() < 0 or parts.entries.max() >= min(len(parts.delta), 2**16):
        raise ExportError("entries do not point at deltas", f"there are {len(parts.delta)}")
    codes = np.arange(len(parts.top) * PAGE)
    entry = parts.entries.reshape(-1, PAGE)[parts.top // PAGE].reshape(-1)
    if (codes + parts.delta[entry]).max(initial=0) >= LETTERS:
        raise ExportError("a letter is not below 65536", "its halves must be below 256")
