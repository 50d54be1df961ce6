"""The text student as one ONNX graph, written operator by operator: code points in, logits out.

    codepoints (n, l) -> letters -> windows of 1 to 5 -> rows of one table -> sums -> two layers

What it computes is said in docs/ngrams.md; here is how, in few operators. A code point's letter,
its flag (1: a letter) and its script's row come from one table that onnxruntime folds at load from
three small ones. One convolution with kernels of zeros and ones lays the five letters of every
window beside each other, copies the script and adds up the flags that decide which windows count.
The hash is a matrix product in float64, where every sum below 2**53 is exact, four times as fast as
one of integers. The mask of windows, divided by its own norm, is 1 / sqrt(count) where a window
counts: its product with the gathered rows masks, adds up and scales at once.

The convolution sees letters as two numbers below 512, so that a processor that rounds to the 11
bits of float16 or TF32 copies them exactly.
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
HALF = 512  # a letter is HALF * high + low
OPSET, IR = 18, 9
EXACT = 2**53  # integers below it are exact in float64
NO_REMAINDER = 2**31  # divides no script's row


@dataclass(frozen=True)
class Parts:
    """All that makes up a text student, as arrays."""

    top: np.ndarray  # int32 (p,): where each page of 256 code points begins in `entries`
    entries: np.ndarray  # uint8 (pages * 256,): which delta and script a code point has
    delta: np.ndarray  # int32 (256,): what is added to a code point; below zero: no letter
    scripts: np.ndarray  # int64 (256,): row of `table` of an entry's script; 0: none
    orders: np.ndarray  # int64 (o,): which n-grams there are, of 1 to 5, ascending
    multipliers: np.ndarray  # int64 (o, 5): of an n-gram's k-th letter, >= 0; 0 beyond the n-th
    rows: np.ndarray  # int64 (o,): how many rows of `table` each order has
    offsets: np.ndarray  # int64 (o,): where they begin
    table: np.ndarray  # float32 (r, d); row 0 is zeros
    hidden_weight: np.ndarray  # float32 (h, g * d), g groups: the scripts if there are, the orders
    output_weight: np.ndarray  # float32 (classes, h)

    @property
    def groups(self) -> list[int]:
        """The orders, after 0 for the scripts where they have rows."""
        return [0] * bool(self.scripts.any()) + self.orders.tolist()


def to_onnx(parts: Parts, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """The whole model: `codepoints` int32 (n, length), padded with 0, to `logits` (n, classes).

    Any code point will do, also a negative one. `export.files.save` writes it.
    """
    _check(parts)
    graph = _Graph()
    _letters(graph, parts)
    _windows(graph, parts.groups)
    _index(graph, parts)
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
    """`features` float32 (n, l, 4) of code points: letter's halves, flag, row of its script.

    Without scripts there are three. All but the last two nodes read constants only: onnxruntime
    runs them once, at load.
    """
    graph.constant("pages", parts.top // PAGE, np.int32)
    graph.constant("entries", parts.entries.reshape(-1, PAGE), np.uint8)
    graph.constant("delta", parts.delta, np.int32)
    graph.constant("column", (-1, 1), np.int64)
    for name, value in {"0": 0, "1": 1, "half": HALF, "limit": len(parts.top) * PAGE}.items():
        graph.constant(name, value, np.int32)
    graph.constant("last", len(parts.top) * PAGE - 1, np.int32)
    graph.node("Gather", "entries pages", "entry.bytes")
    graph.node("Cast", "entry.bytes", "entry.pages", to=TensorProto.INT32)
    graph.node("Reshape", "entry.pages column", "entry")
    graph.node("Range", "0 limit 1", "codes.row")
    graph.node("Reshape", "codes.row column", "codes")
    graph.node("Gather", "delta entry", "step")
    graph.node("Add", "codes step", "moved")
    graph.node("Max", "moved 0", "letter")
    graph.node("Div", "letter half", "letter.high")
    graph.node("Mod", "letter half", "letter.low")
    graph.node("Min", "letter 1", "letter.flag")
    names = "letter.high letter.low letter.flag"
    if parts.scripts.any():
        graph.constant("scripts", parts.scripts, np.int32)
        graph.node("Gather", "scripts entry", "letter.script")
        names += " letter.script"
    graph.node("Concat", names, "letters.int", axis=1)
    graph.node("Cast", "letters.int", "letters", to=TensorProto.FLOAT)
    graph.node("Clip", f"{CODEPOINTS} 0 last", "clipped")
    graph.node("Gather", "letters clipped", "features")


def _windows(graph: _Graph, groups: list[int]) -> None:
    """From `features`: `window` float32 (n, c, l + 1) and `mask` (n, g, l + 1).

    With w letters in the longest n-gram, the text has one boundary before it and w - 1 after it. A
    window is w high halves, w low halves and, with scripts, the script of the first; the mask is 1
    where a script or an n-gram counts, else 0 or less.
    """
    kernel, bias = _kernel(groups)
    graph.constant("kernel", kernel, np.float32)
    graph.constant("kernel.bias", bias, np.float32)
    graph.constant("split", (len(bias) - len(groups), len(groups)), np.int64)
    graph.node("Transpose", "features", "channels", perm=[0, 2, 1])
    graph.node("Conv", "channels kernel kernel.bias", "planes", pads=[1, max(groups) - 1])
    graph.node("Split", "planes split", "window mask.sums", axis=1)
    graph.constant("zero", 0, np.float32)
    graph.constant("one", 1, np.float32)
    graph.node("Clip", "mask.sums zero one", "mask")


def _kernel(groups: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Weights (c + g, features, w) and bias (c + g,) of the convolution.

    With f_k the flag of the k-th letter of a window, f_1 counts for scripts and for n = 1, f_1 +
    f_2 for n = 2 (not both ends are boundaries), and for longer ones all inside must be letters:
    f_2 + .. + f_{n-1} - (n - 3).
    """
    width, scripts = max(groups), 0 in groups
    copies = 2 * width + scripts
    kernel = np.zeros((copies + len(groups), 3 + scripts, width), np.float32)
    bias = np.zeros(len(kernel), np.float32)
    for k in range(width):
        kernel[k, 0, k] = kernel[width + k, 1, k] = 1
    kernel[copies - 1, 3:, 0] = 1
    flags, least = kernel[copies:, 2], bias[copies:]
    for g, n in enumerate(groups):
        if n < 3:
            flags[g, : max(1, n)] = 1
        else:
            flags[g, 1 : n - 1] = 1
            least[g] = 3 - n
    return kernel, bias


def _index(graph: _Graph, parts: Parts) -> None:
    """`index` int64 (n, g, l + 1): the row of every window, whether it counts or not."""
    groups, first = len(parts.groups), len(parts.groups) - len(parts.orders)
    width = max(parts.groups)
    multipliers = np.zeros((1, groups, 2 * width + first))
    multipliers[0, :first, -1] = 1  # the script is its own row
    multipliers[0, first:, :width] = parts.multipliers[:, :width] * HALF
    multipliers[0, first:, width : 2 * width] = parts.multipliers[:, :width]
    divisor = np.full((groups, 1), NO_REMAINDER, np.int64)
    offset = np.zeros((groups, 1), np.int64)
    divisor[first:, 0], offset[first:, 0] = parts.rows, parts.offsets
    graph.constant("multipliers", multipliers, np.float64)
    graph.constant("divisor", divisor, np.int64)
    graph.constant("offset", offset, np.int64)
    graph.node("Cast", "window", "window.exact", to=TensorProto.DOUBLE)
    graph.node("MatMul", "multipliers window.exact", "hash.exact")
    graph.node("Cast", "hash.exact", "hash", to=TensorProto.INT64)
    graph.node("Mod", "hash divisor", "remainder")
    graph.node("Add", "remainder offset", "index")


def _sums(graph: _Graph, parts: Parts) -> None:
    """`text` float32 (n, g * d): each group's rows summed, over the root of how many they are.

    A mask of m ones has the norm sqrt(m); one of zeros stays zeros.
    """
    graph.constant("table", parts.table, np.float32)
    graph.constant("axis", [2], np.int64)
    graph.node("Gather", "table index", "rows")
    graph.node("LpNormalization", "mask", "weights", axis=-1, p=2)
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
    largest = len(parts.top) * PAGE * int(parts.multipliers.sum(1).max())
    known = len(parts.orders) and set(parts.orders.tolist()) <= set(range(1, ORDERS + 1))
    if not known or (np.diff(parts.orders) < 1).any():
        raise ExportError(f"the orders are {parts.orders}", f"some of 1 to {ORDERS}, ascending")
    beyond = np.arange(ORDERS) >= parts.orders[:, None]
    if parts.multipliers.min() < 0 or parts.multipliers[beyond].any() or largest >= EXACT:
        raise ExportError(
            "the multipliers are negative, not those of n letters or too large",
            "five of them below 2**30 keep the hash exact",
        )
    ends = parts.offsets + parts.rows
    if parts.rows.min() < 1 or parts.offsets.min() < 1 or ends.max() > len(parts.table):
        raise ExportError(
            f"rows {parts.offsets} to {ends} are not in a table of {parts.table.shape}"
        )
    if parts.scripts.min() < 0 or parts.scripts.max() >= len(parts.table) or parts.table[0].any():
        raise ExportError("scripts must be rows of the table, and its row 0 zeros")


def _check_shapes(parts: Parts) -> None:
    dim, hidden, classes = parts.table.shape[-1], len(parts.hidden_weight), len(parts.output_weight)
    wanted = {
        "delta": (256,),
        "scripts": (256,),
        "multipliers": (len(parts.orders), ORDERS),
        "rows": parts.orders.shape,
        "offsets": parts.orders.shape,
        "table": (len(parts.table), dim),
        "hidden_weight": (hidden, len(parts.groups) * dim),
        "output_weight": (classes, hidden),
    }
    for name, shape in wanted.items():
        if getattr(parts, name).shape != shape:
            raise ExportError(f"{name} is {getattr(parts, name).shape}", f"it must be {shape}")
    pages = len(parts.entries) // PAGE
    whole = parts.entries.size == pages * PAGE and not (parts.top % PAGE).any()
    if not whole or parts.top.min() < 0 or parts.top.max() >= parts.entries.size:
        raise ExportError("top does not point at pages of entries", f"a page has {PAGE} of them")
