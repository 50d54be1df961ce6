"""An fp32 ONNX file as a PyTorch function, for timing it on a GPU; the operators our files hold.

Integer tensors (shapes, sizes, axes) stay on the processor, so nothing waits for the GPU in
between. Needs torch and onnx (extra `train`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper
from torch import Tensor

from zoo.errors import InputError
from zoo.students.session import ONNX_HINT

TYPES = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.UINT8: torch.uint8,
    TensorProto.INT8: torch.int8,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
}
Values = list[Any]  # a node's inputs: tensors, None where left out
Attributes = dict[str, Any]


def read(source: Path | bytes) -> ModelProto:
    """The model of a file or of its bytes."""
    try:
        if isinstance(source, bytes):
            return onnx.load_from_string(source)
        return onnx.load(str(source))
    except (DecodeError, OSError) as error:
        raise InputError(f"not an ONNX file: {error}", ONNX_HINT) from error


def is_float(source: Path | bytes) -> bool:
    """Whether no activation is quantized."""
    return all(node.op_type != "QuantizeLinear" for node in read(source).graph.node)


class TorchGraph:
    """`graph(pictures)`: uint8 (n, h, w, 3) on any device -> logits (n, classes) on `device`."""

    def __init__(self, source: Path | bytes, device: str = "cpu") -> None:
        model = read(source)
        self._device = torch.device(device)
        self._constants = constants(model, self._device)
        image = next(v for v in model.graph.input if v.name not in self._constants)
        self._input = image.name
        self.reads_bytes = image.type.tensor_type.elem_type == TensorProto.UINT8
        self._output = model.graph.output[0].name
        self._steps = [step(node) for node in model.graph.node]

    @torch.inference_mode()
    def __call__(self, pictures: Tensor) -> Tensor:
        values: dict[str, Any] = dict(self._constants, **{"": None})
        values[self._input] = pictures.to(self._device)
        run(self._steps, values)
        return values[self._output]


def constants(model: ModelProto, device: torch.device) -> dict[str, Tensor]:
    tensors = {}
    for init in model.graph.initializer:
        tensor = torch.from_numpy(numpy_helper.to_array(init).copy())
        tensors[init.name] = tensor if tensor.dtype == torch.int64 else tensor.to(device)
    gathered = {n.input[1] for n in model.graph.node if n.op_type == "Gather"}
    for name in gathered & tensors.keys():  # indices follow the data that they pick from
        tensors[name] = tensors[name].to(device)
    return tensors


class Step(NamedTuple):
    """A node."""

    operator: str  # a key of OPERATORS
    inputs: list[str]  # names of tensors, "" where one is left out
    outputs: list[str]
    attributes: Attributes


def run(steps: Iterable[Step], values: dict[str, Any]) -> None:
    """Every step; what it makes joins `values`, tensors by name."""
    for operator, inputs, outputs, attributes in steps:
        made = OPERATORS[operator]([values[name] for name in inputs], attributes)
        made = made if isinstance(made, tuple | list) else (made,)
        values.update(zip(outputs, made, strict=False))


def step(node: NodeProto) -> Step:
    """A node as it is run; an operator that is not known is an `InputError`."""
    if node.op_type not in OPERATORS:
        raise InputError(
            f"the PyTorch runtime has no operator {node.op_type}",
            "measure on the processor, or install onnxruntime-gpu",
        )
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    attributes["outputs"] = len(node.output)
    return Step(node.op_type, list(node.input), list(node.output), attributes)


def _option(x: Values, index: int, a: Attributes, name: str, default: Any = None) -> Any:
    """What is an input in newer versions of an operator and was an attribute in older ones."""
    if len(x) > index and x[index] is not None:
        return x[index].tolist()
    return a.get(name, default)


def _conv(x: Values, a: Attributes) -> Tensor:
    spatial = x[1].ndim - 2
    data, padding = _padded(x[0], a.get("pads", [0] * 2 * spatial), 0.0)
    bias = x[2] if len(x) > 2 else None
    strides, dilations = a.get("strides", [1] * spatial), a.get("dilations", [1] * spatial)
    convolve = F.conv2d if spatial == 2 else F.conv1d
    return convolve(data, x[1], bias, strides, padding, dilations, a.get("group", 1))


def _padded(data: Tensor, pads: list[int], value: float) -> tuple[Tensor, list[int]]:
    """Padding that is the same on both sides is left to the operator, any other is done here."""
    half = len(pads) // 2
    if pads[:half] == pads[half:]:
        return data, list(pads[:half])
    both = [p for i in reversed(range(half)) for p in (pads[i], pads[half + i])]
    return F.pad(data, both, value=value), [0] * half


def _max_pool(x: Values, a: Attributes) -> Tensor:
    data, padding = _padded(x[0], a.get("pads", [0, 0, 0, 0]), float("-inf"))
    strides, dilations = a.get("strides", [1, 1]), a.get("dilations", [1, 1])
    ceil = bool(a.get("ceil_mode", 0))
    return F.max_pool2d(data, a["kernel_shape"], strides, padding, dilations, ceil)


def _average_pool(x: Values, a: Attributes) -> Tensor:
    data, padding = _padded(x[0], a.get("pads", [0, 0, 0, 0]), 0.0)
    counted = bool(a.get("count_include_pad", 0))
    ceil = bool(a.get("ceil_mode", 0))
    return F.avg_pool2d(data, a["kernel_shape"], a.get("strides", [1, 1]), padding, ceil, counted)


def _gemm(x: Values, a: Attributes) -> Tensor:
    left = x[0].T if a.get("transA") else x[0]
    right = x[1].T if a.get("transB") else x[1]
    product = (left @ right) * a.get("alpha", 1.0)
    return product + a.get("beta", 1.0) * x[2] if len(x) > 2 else product


def _clip(x: Values, a: Attributes) -> Tensor:
    low = x[1] if len(x) > 1 else a.get("min")
    high = x[2] if len(x) > 2 else a.get("max")
    return x[0].clamp(low, high)


def _split(x: Values, a: Attributes) -> tuple[Tensor, ...]:
    axis = a.get("axis", 0)
    sizes = _option(x, 1, a, "split")
    if sizes is None:
        return torch.chunk(x[0], a["outputs"], dim=axis)
    return torch.split(x[0], sizes, dim=axis)


def _gather(x: Values, a: Attributes) -> Tensor:
    axis = a.get("axis", 0) % x[0].ndim
    flat = x[0].index_select(axis, x[1].to(x[0].device).reshape(-1))
    return flat.reshape(*x[0].shape[:axis], *x[1].shape, *x[0].shape[axis + 1 :])


def _reshape(x: Values, a: Attributes) -> Tensor:
    wanted = x[1].tolist()
    if not a.get("allowzero"):
        wanted = [x[0].shape[i] if size == 0 else size for i, size in enumerate(wanted)]
    return x[0].reshape(wanted)


def _resize(x: Values, a: Attributes) -> Tensor:
    """Linear, half-pixel, over two axes; uint8 is rounded as onnxruntime rounds it."""
    data = x[0]
    sizes = _sizes(x, list(data.shape), a)
    changed = [i for i in range(data.ndim) if sizes[i] != data.shape[i]]
    if not changed:
        return data
    height, width = _plane(data.ndim, changed)
    moved = data.movedim((height, width), (-2, -1)).to(torch.float32)
    antialias = bool(a.get("antialias", 0))
    flat = moved.reshape(1, -1, *moved.shape[-2:])
    new = F.interpolate(
        flat, (sizes[height], sizes[width]), mode="bilinear", antialias=antialias
    ).reshape(*moved.shape[:-2], sizes[height], sizes[width])
    new = new.round().clamp(0, 255).to(data.dtype) if data.dtype == torch.uint8 else new
    return new.movedim((-2, -1), (height, width))


def _sizes(x: Values, shape: list[int], a: Attributes) -> list[int]:
    axes = a.get("axes") or range(len(shape))
    if len(x) > 3 and x[3] is not None:
        given = x[3].tolist()
    else:
        scales = x[2].tolist()
        given = [int(shape[axis] * scale) for axis, scale in zip(axes, scales, strict=True)]
    for axis, size in zip(axes, given, strict=True):
        shape[axis] = size
    return shape


def _plane(rank: int, changed: list[int]) -> tuple[int, int]:
    """The two neighbouring axes that hold every changed one."""
    first = min(min(changed), rank - 2)
    if len(changed) == 1 and changed[0] == 2 and rank == 4:
        first = 1  # NHWC's width, or NCHW's height: with its neighbour either way
    return first, first + 1


def _pad(x: Values, a: Attributes) -> Tensor:
    pads = _option(x, 1, a, "pads")
    value = float(x[2]) if len(x) > 2 and x[2] is not None else a.get("value", 0.0)
    axes = _option(x, 3, a, "axes", range(x[0].ndim))
    both = [0] * 2 * x[0].ndim  # torch lists the last axis first
    for i, axis in enumerate(axes):
        place = 2 * (x[0].ndim - 1 - axis % x[0].ndim)
        both[place], both[place + 1] = pads[i], pads[len(axes) + i]
    return F.pad(x[0], both, value=value)


def _dequantize(x: Values, a: Attributes) -> Tensor:
    scale, zero = x[1], x[2] if len(x) > 2 else torch.zeros((), device=x[1].device)
    if scale.ndim:
        shape = [1] * x[0].ndim
        shape[a.get("axis", 1)] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape) if zero.ndim else zero
    return (x[0].to(torch.float32) - zero.to(torch.float32)) * scale


def _slice(x: Values, a: Attributes) -> Tensor:
    axes = _option(x, 3, a, "axes", range(len(x[1])))
    steps = _option(x, 4, a, "steps", [1] * len(x[1]))
    cut = [slice(None)] * x[0].ndim
    for axis, start, end, step in zip(axes, x[1].tolist(), x[2].tolist(), steps, strict=True):
        cut[axis] = slice(start, end, step)
    return x[0][tuple(cut)]


def _reduce_mean(x: Values, a: Attributes) -> Tensor:
    axes = _option(x, 1, a, "axes") or None
    return x[0].mean(axes, keepdim=bool(a.get("keepdims", 1)))


def _squeeze(x: Values, a: Attributes) -> Tensor:
    axes = _option(x, 1, a, "axes")
    return x[0].squeeze() if axes is None else x[0].squeeze(axes)


def _unsqueeze(x: Values, a: Attributes) -> Tensor:
    out = x[0]
    for axis in sorted(_option(x, 1, a, "axes")):
        out = out.unsqueeze(axis)
    return out


def _flatten(x: Values, a: Attributes) -> Tensor:
    axis = a.get("axis", 1)
    return x[0].reshape(math.prod(x[0].shape[:axis]), -1)


def _transpose(x: Values, a: Attributes) -> Tensor:
    return x[0].permute(a.get("perm") or list(reversed(range(x[0].ndim))))


def _constant(_: Values, a: Attributes) -> Tensor:
    if "value" in a:
        return torch.from_numpy(numpy_helper.to_array(a["value"]).copy())
    key = next(k for k in ("value_int", "value_ints", "value_float", "value_floats") if k in a)
    return torch.tensor(a[key])


def _constant_of_shape(x: Values, a: Attributes) -> Tensor:
    value = numpy_helper.to_array(a["value"]) if "value" in a else np.zeros(1, np.float32)
    return torch.from_numpy(value.copy()).expand(x[0].tolist())


def _shape(x: Values, a: Attributes) -> Tensor:
    return torch.tensor(x[0].shape[a.get("start", 0) : a.get("end")], dtype=torch.int64)


OPERATORS: dict[str, Callable[[Values, Attributes], Any]] = {
    "Add": lambda x, _: x[0] + x[1],
    "AveragePool": _average_pool,
    "Cast": lambda x, a: x[0].to(TYPES[a["to"]]),
    "Clip": _clip,
    "Concat": lambda x, a: torch.cat(x, dim=a["axis"]),
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Conv": _conv,
    "DequantizeLinear": _dequantize,
    "Div": lambda x, _: x[0] / x[1],
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x, _: x[0].mean((2, 3), keepdim=True),
    "Identity": lambda x, _: x[0],
    "MatMul": lambda x, _: x[0] @ x[1],
    "MaxPool": _max_pool,
    "Mul": lambda x, _: x[0] * x[1],
    "Pad": _pad,
    "ReduceMean": _reduce_mean,
    "Relu": lambda x, _: x[0].relu(),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Sub": lambda x, _: x[0] - x[1],
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
