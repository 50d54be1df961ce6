"""Exact changes to the graph of a student: the same function, fewer and faster nodes.

`optimize` serves every file; `prepare_int8` adds what only 8-bit kernels like. Each pass is a file:
a function from `onnx_ir.Model` to `onnx_ir.Model` whose docstring lists the cases of its tests.
"""

from __future__ import annotations

import onnx

from export.rewrite.gathers import gather_shuffles
from export.rewrite.graph import run
from export.rewrite.names import shorten_names
from export.rewrite.norms import fold_norms
from export.rewrite.pixels import fold_pixels
from export.rewrite.pooling import pool_means
from export.rewrite.shuffles import fold_shuffles
from export.rewrite.stem import widen_stem
from export.rewrite.widths import pad_widths


def optimize(model: onnx.ModelProto) -> onnx.ModelProto:
    """Same outputs, faster as fp32 and as int8; the argument is left alone."""
    passes = (fold_norms, fold_pixels, pool_means, fold_shuffles, pad_widths, gather_shuffles)
    return run(model, (*passes, shorten_names))


def prepare_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """What `optimize` made, ready for the quantizer: the picture's bytes are read by fours.

    At its head stands `DequantizeLinear(bytes, 1/64, 128)`: to a quantizer the picture is quantized
    already; all after it is float NCHW.
    """
    return run(model, (widen_stem, shorten_names))
