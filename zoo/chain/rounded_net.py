"""An 8-bit file as a network to train: every weight and activation rounded as the file rounds it.

Jacob et al. 2018, "Quantization and training of neural networks for efficient integer-arithmetic-
only inference", section 3: the forward pass rounds, and the float weights behind it are what
learns. A rounding has no gradient, so it is passed straight through (Bengio et al. 2013, section
4), but not where a value was cut off at the end of its range. Ranges of activations are the file's
own and stay; a weight's scale follows its largest magnitude, as the quantizer sets it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from onnx import ModelProto, NodeProto
from torch import Tensor, nn

from compress import graph, normal, processor
from zoo.errors import InputError
from zoo.measure import torch_graph

INT32 = 2.0**31
Values = dict[str, Any]  # tensors by name


class RoundedNet(nn.Module):
    """`net(pictures)`: what the graph reads -> its first output, as the 8-bit file gives it.

    `int8` is a graph of QuantizeLinear and DequantizeLinear, `plain` its float file, with the same
    names of nodes and tensors. Parameters are the weights and biases of all layers; they begin as
    `plain` has them. An operator that is not known is an `InputError`.
    """

    def __init__(self, int8: ModelProto, plain: ModelProto) -> None:
        super().__init__()
        self._input, self._output = int8.graph.input[0].name, int8.graph.output[0].name
        self._trained: dict[str, str] = {}  # a parameter's name by the constant's in `plain`
        self._kept: dict[str, str] = {}  # a buffer's name by the constant's in `int8`
        self._integers: Values = {}  # shapes and axes: on the processor
        self._steps = list(_Reader(int8, plain, self._train, self._keep))
        gathered = {node.input[1] for node in int8.graph.node if node.op_type == "Gather"}
        for name, tensor in torch_graph.constants(int8, torch.device("cpu")).items():
            if tensor.dtype == torch.int64 and name not in gathered:
                self._integers[name] = tensor
            elif name not in self._trained:
                self._keep(name, tensor)

    def weights(self) -> dict[str, np.ndarray]:
        """What is trained, float32, by its name in the float file."""
        found = {name: getattr(self, key).detach().cpu() for name, key in self._trained.items()}
        return {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in found.items()}

    def forward(self, inputs: Tensor) -> Tensor:
        values: Values = {"": None, self._input: inputs} | self._integers
        for name, key in (self._kept | self._trained).items():
            values[name] = getattr(self, key)
        for step in self._steps:
            if isinstance(step, torch_graph.Step):
                torch_graph.run([step], values)
            else:
                step.run(values)
        return values[self._output]

    def _train(self, name: str, array: np.ndarray) -> None:
        if name not in self._trained:
            self._trained[name] = f"weight{len(self._trained)}"
            self.register_parameter(self._trained[name], nn.Parameter(torch.tensor(array)))

    def _keep(self, name: str, tensor: Tensor) -> None:
        if name not in self._kept:
            self._kept[name] = f"constant{len(self._kept)}"
            self.register_buffer(self._kept[name], tensor, persistent=False)


class _Round(torch.autograd.Function):
    """x -> round(x / scale), cut off at [low, high], times scale; halves go to the even number."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, low: float, high: float) -> Tensor:
        codes = (x / scale).round_()
        ctx.save_for_backward((codes >= low) & (codes <= high))
        return codes.clamp_(low, high).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (inside,) = ctx.saved_tensors
        return grads[0] * inside, None, None, None


class _Pair(NamedTuple):
    """An activation's QuantizeLinear, and the DequantizeLinear after it."""

    reads: str
    gives: list[str]  # of every DequantizeLinear
    scale: str
    low: float  # the smallest code and the largest, from the zero point on
    high: float

    def run(self, values: Values) -> None:
        made = _Round.apply(values[self.reads], values[self.scale], self.low, self.high)
        values.update(dict.fromkeys(self.gives, made))


class _Weight(NamedTuple):
    """The weights of a layer: a channel's scale is its largest magnitude over `levels`."""

    reads: str  # what is trained
    gives: str
    axis: int | None  # of the output channels; None: one scale for all
    levels: int
    floor: str  # the least scales: such as let a large bias fit into 32 bits

    def run(self, values: Values) -> None:
        weight = values[self.reads]
        scale = self.scale(weight.detach(), values[self.floor])
        values[f"{self.gives} scale"] = scale.reshape(-1)
        values[self.gives] = _Round.apply(weight, scale, -math.inf, math.inf)

    def scale(self, weight: Tensor, floor: Tensor) -> Tensor:
        others = [axis for axis in range(weight.ndim) if axis != self.axis]
        largest = weight.abs().amax(others, keepdim=True)
        found = (largest.double() / self.levels).float()
        found = torch.where(found < torch.finfo(torch.float32).tiny, 1.0, found)
        return torch.maximum(found, floor.reshape(found.shape))


class _Bias(NamedTuple):
    """The bias of a layer: its scale is that of what the layer reads times its weights'."""

    reads: str
    gives: str
    weight: str  # what that `_Weight` gives
    scale: float

    def run(self, values: Values) -> None:
        scale = values[f"{self.weight} scale"] * self.scale
        values[self.gives] = _Round.apply(values[self.reads], scale, -INT32, INT32)


class _Reader:
    """The steps of a graph: first its weights, then its biases, then all else in its order."""

    def __init__(
        self,
        int8: ModelProto,
        plain: ModelProto,
        train: Callable[[str, np.ndarray], None],
        keep: Callable[[str, Tensor], None],
    ) -> None:
        self.nodes, self.train, self.keep = int8.graph.node, train, keep
        self.codes, self.floats = graph.constants(int8), graph.constants(plain)
        self.writer, self.readers = graph.producers(int8), graph.consumers(int8)
        self.twins = {node.name: node for node in plain.graph.node}
        self.levels = processor.largest_weight()

    def __iter__(self) -> Iterator[torch_graph.Step | _Pair | _Weight | _Bias]:
        layers = [node for node in self.nodes if node.op_type in graph.WEIGHTED]
        weights = {w.gives: w for node in layers for w in self._of(node, 1, self._weight)}
        biases = {b.gives: b for node in layers for b in self._of(node, 2, self._bias)}
        made = weights.keys() | biases.keys()
        yield from (*weights.values(), *biases.values())
        for node in self.nodes:
            if node.op_type == "QuantizeLinear":
                yield self._pair(node)
                made |= {name for one in self._after(node) for name in one.output}
            elif made.isdisjoint(node.output):
                yield torch_graph.step(node)

    def _of(self, node: NodeProto, place: int, read: Callable[..., Any]) -> Iterator[Any]:
        """A layer's constant is trained; one in 8 bits is a step."""
        twin = self.twins.get(node.name)
        name = twin.input[place] if twin is not None and len(twin.input) > place else ""
        if name not in self.floats or self.floats[name].dtype != np.float32:
            return
        source = self.writer.get(node.input[place])
        if source is not None and source.input[0] in self.codes:
            self.train(name, self.floats[name])
            yield read(node, name, source)
        elif node.input[place] == name:
            self.train(name, self.floats[name])

    def _weight(self, node: NodeProto, name: str, source: NodeProto) -> _Weight:
        there = self.codes[source.input[1]]
        axis = normal.attributes(source).get("axis", 1) if there.size > 1 else None
        axis = axis % self.floats[name].ndim if axis is not None else None
        floor = f"{source.output[0]} floor"
        made = _Weight(name, source.output[0], axis, self.levels, floor)
        weight = torch.tensor(self.floats[name])
        free = made.scale(weight, torch.zeros(there.size)).reshape(-1)
        least = torch.tensor(there).reshape(-1)
        self.keep(floor, torch.where(least > free * (1 + 1e-6), least, 0.0))
        return made

    def _bias(self, node: NodeProto, name: str, source: NodeProto) -> _Bias:
        weight = self.writer[node.input[1]]
        of_weight, of_bias = self.codes[weight.input[1]], self.codes[source.input[1]]
        scales = (one.input[1] for one in self.nodes if one.op_type == "DequantizeLinear")
        known = (self.codes[one] for one in scales if one in self.codes)
        for scale in known:
            if scale.size == 1 and np.array_equal(scale * of_weight, of_bias):
                return _Bias(name, source.output[0], weight.output[0], float(scale.item()))
        raise InputError(f"the bias of {node.name!r} is not on the scale of its layer")

    def _pair(self, node: NodeProto) -> _Pair:
        zero = self.codes[node.input[2]] if len(node.input) > 2 else np.zeros((), np.uint8)
        codes, scale = np.iinfo(zero.dtype), self.codes[node.input[1]]
        for after in self._after(node):
            if not (self.codes[after.input[1]] == scale).all():
                raise InputError(f"{node.input[0]!r} is rounded on one scale and read on another")
        gives = [name for after in self._after(node) for name in after.output]
        low, high = float(codes.min - int(zero)), float(codes.max - int(zero))
        return _Pair(node.input[0], gives, node.input[1], low, high)

    def _after(self, node: NodeProto) -> list[NodeProto]:
        """Who reads the bytes."""
        found = self.readers.get(node.output[0], [])
        odd = [one.op_type for one in found if one.op_type != "DequantizeLinear"]
        if odd:
            raise InputError(f"the PyTorch runtime has no operator {odd[0]} of bytes")
        return found
