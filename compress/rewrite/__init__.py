"""Exact changes to a graph: the same function, fewer and faster nodes.

`optimize` serves every file; `prepare_int8` adds what only 8-bit kernels like. Each pass is a file:
a function from `onnx_ir.Model` to `onnx_ir.Model` whose docstring lists the cases of its tests.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from compress.rewrite import entry
from compress.rewrite.averages import convolve_averages
from compress.rewrite.gathers import gather_shuffles
from compress.rewrite.graph import run
from compress.rewrite.names import shorten_names
from compress.rewrite.norms import fold_norms
from compress.rewrite.pixels import fold_pixels
from compress.rewrite.pooling import pool_means
from compress.rewrite.producers import make_shuffled
from compress.rewrite.shuffles import fold_shuffles
from compress.rewrite.stem import widen_stem
from compress.rewrite.ungroup import ungroup
from compress.rewrite.widths import pad_widths

FLOAT_PASSES = (
    fold_norms,
    fold_pixels,
    pool_means,
    ungroup,
    fold_shuffles,
    gather_shuffles,
    make_shuffled,
    pad_widths,
)


def optimize(model: onnx.ModelProto) -> onnx.ModelProto:
    """Same outputs, faster as fp32 and as int8; the argument is left alone."""
    return run(model, (*FLOAT_PASSES, shorten_names))


def prepare_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """What `optimize` made, ready for the quantizer: the picture's bytes are read by fours, and
    averages are convolutions.

    At its head stands `DequantizeLinear(bytes, 1/64, 128)`: to a quantizer the picture is quantized
    already; all after it is float NCHW.
    """
    return run(model, (widen_stem, convolve_averages, shorten_names))


def quantize_entries(
    model: onnx.ModelProto, ranges: Mapping[str, tuple[float, float]]
) -> onnx.ModelProto:
    """Ready for the quantizer where the first convolutions read floats: (low, high) of each."""
    return run(model, (entry.quantize_entries(ranges), shorten_names))
