"""An 8-bit file is held against its float file: layer by layer, and at its end.

A layer is what lies between roundings. It is given the very numbers that the 8-bit file has before
it, so that its error is its own and no layer pays for another. Two things are looked at: whether
the file computes what its own rounded weights say (it must, to a rounding), and what 8 bits cost.

Memory: one example's activations in 8 bits (all of a batch where the file's is fixed), `CHUNK`
floats of them twice, and the weights of all layers twice more in the sessions; no disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from compress import calibrate, graph
from compress.errors import CompressError

EXAMPLES = 8  # run through both files
CHUNK = 2**24  # floats of activations that are looked at together
CHANGE = 0.15  # largest relative change of an output by 8 bits, where nothing else judges it
STEPS = 2.0  # 8-bit steps that a layer may be off what its own numbers give; a rounding is 1
EXACT = STEPS / 255  # the same for floats, of the largest: onnxruntime may round them too
TINY = 1e-12


def spread(batches: Sequence[np.ndarray], whole: bool) -> list[np.ndarray]:
    """About `EXAMPLES` examples from all over the batches, one at a time or in `whole` batches."""
    ends = np.cumsum([len(batch) for batch in batches])
    places = np.unique(np.linspace(0, ends[-1] - 1, min(EXAMPLES, ends[-1])).astype(int))
    found = [(int(i), place) for place in places for i in [np.searchsorted(ends, place, "right")]]
    if whole:
        return [batches[i] for i in dict.fromkeys(i for i, _ in found)]
    return [batches[i][place - ends[i] :][:1] for i, place in found]


class Pair(NamedTuple):
    """How a float tensor is rounded: value = (bytes - zero) * scale."""

    bytes: str
    scale: np.ndarray  # float32 ()
    zero: np.ndarray  # uint8 or int8 ()

    def floats(self, values: np.ndarray) -> np.ndarray:
        return (values.astype(np.float32) - np.float32(self.zero)) * self.scale

    def steps(self, values: np.ndarray) -> np.ndarray:
        """Floats on the scale of the bytes, cut off where those end."""
        kind = np.iinfo(self.zero.dtype)
        return np.clip(values / self.scale + np.float32(self.zero), kind.min, kind.max)


@dataclass
class Layer:
    """One tensor of the 8-bit file, and the float nodes that make it of rounded ones."""

    tensor: str
    nodes: tuple[str, ...]
    off: float = 0.0  # how far it is from what its own numbers give; 1: as far as it may
    change: float = field(default=0.0, repr=False)  # squared, over all examples
    power: float = field(default=0.0, repr=False)

    def add(self, got: np.ndarray, wanted: np.ndarray) -> None:
        """Count the change of one example's floats."""
        self.change += float(np.square(got - wanted, dtype=np.float64).sum())
        self.power += float(np.square(wanted, dtype=np.float64).sum())

    @property
    def noise(self) -> float:
        """What 8 bits cost here: relative change of the layer's output, its input being as it is.

        inf where something became of nothing.
        """
        if self.change <= TINY * TINY:
            return 0.0
        share = self.change / self.power if self.power else float("inf")
        return float(np.sqrt(share)) if np.isfinite(share) else float("inf")


def layers(exact: ModelProto, rounded: ModelProto, examples: Sequence[np.ndarray]) -> list[Layer]:
    """Every layer of `rounded` beside its float nodes in `exact`, in the graph's order.

    The two have the same names for tensors and nodes; `rounded` is a graph of QuantizeLinear and
    DequantizeLinear. `examples` are batches as the file takes them.
    """
    pairs = roundings(rounded)
    cut = cut_at(exact, pairs)
    own = with_rounded_weights(cut, rounded)
    ends = [value.name for value in exact.graph.output if value.name not in pairs]
    made = graph.producers(exact)
    wanted = [name for name in pairs if name in made] + ends
    found = {name: Layer(name, between(exact, name, pairs)) for name in wanted}
    feed = graph.inputs(exact)[0]
    opened = calibrate.session(_with_bytes(rounded, pairs.values()))
    asked = [*(pair.bytes for pair in pairs.values()), *ends]
    chunks: list[_Chunk] = []
    for example in examples:
        try:
            got = opened.run(asked, {feed: example})
        except calibrate.REFUSALS as error:
            return [_refused(exact, str(error))]
        given = dict(zip([*pairs, *ends], got, strict=True))
        chunks = chunks or [_Chunk(cut, own, names) for names in _chunks(wanted, given)]
        floats = {feed: example}
        for chunk in chunks:
            chunk.look(floats, given, pairs, found)
    return list(found.values())


def _refused(exact: ModelProto, message: str) -> Layer:
    """The layer that onnxruntime names where it cannot run a file that it could open."""
    named = [node for node in exact.graph.node if f"Name:'{node.name}'" in message]
    tensor = named[0].output[0] if named else ""
    return Layer(tensor, tuple(node.name for node in named), off=float("inf"))


Answers = dict[str, np.ndarray]  # of one example or batch, by the output's name


def answers(opened: ort.InferenceSession, examples: Iterable[np.ndarray]) -> Iterator[Answers]:
    """What a file gives for each example, one after the other."""
    feed, names = opened.get_inputs()[0].name, [value.name for value in opened.get_outputs()]
    for example in examples:
        yield dict(zip(names, calibrate.run(opened, {feed: example}), strict=True))


def outputs(exact: Iterable[Answers], found: Iterable[Answers]) -> dict[str, float]:
    """Relative change of each output over all examples; inf for another shape, type or order.

    Numbers that are no floats may change, since a class may win by little. Nothing is kept of an
    example.
    """
    ends: dict[str, Layer] = {}
    for wanted, got in zip(exact, found, strict=True):
        for name, a in wanted.items():
            end, b = ends.setdefault(name, Layer(name, ())), got.get(name)
            if b is None or list(wanted) != list(got) or (a.shape, a.dtype) != (b.shape, b.dtype):
                end.change, end.power = float("inf"), 1.0
            elif np.issubdtype(a.dtype, np.floating):
                end.add(b, a)
    return {name: end.noise for name, end in ends.items()}


class _Chunk:
    """Some layers' float nodes, once with the float weights and once with the rounded ones."""

    def __init__(self, cut: ModelProto, own: ModelProto, names: list[str]) -> None:
        self.names = names
        self.runs = [calibrate.session(sliced(model, names)) for model in (cut, own)]

    def look(
        self,
        example: dict[str, np.ndarray],
        given: dict[str, np.ndarray],
        pairs: dict[str, Pair],
        found: dict[str, Layer],
    ) -> None:
        """Add what one example shows to the layers."""
        read = {value.name for run in self.runs for value in run.get_inputs()}
        feed = {cut_name(n): pairs[n].floats(given[n]) for n in pairs if cut_name(n) in read}
        feed |= {name: array for name, array in example.items() if name in read}
        known = [{v.name: feed[v.name] for v in run.get_inputs()} for run in self.runs]
        results = [
            calibrate.run(run, k, self.names) for run, k in zip(self.runs, known, strict=True)
        ]
        for name, wanted, own in zip(self.names, *results, strict=True):
            _weigh(found[name], given[name], wanted, own, pairs.get(name))


def _weigh(
    layer: Layer, got: np.ndarray, wanted: np.ndarray, own: np.ndarray, pair: Pair | None
) -> None:
    """got: bytes, or floats where `pair` is None; wanted, own: floats of float, rounded weights."""
    if got.shape != wanted.shape or not wanted.size:
        layer.off = max(layer.off, 0.0 if got.shape == wanted.shape else float("inf"))
        return
    if pair is not None:
        off = np.abs(got.astype(np.float32) - np.round(pair.steps(own))).max() / STEPS
        got = pair.floats(got)
    elif np.issubdtype(got.dtype, np.floating):
        off = np.abs(got - own).max() / (EXACT * np.abs(own).max() + TINY)
    else:
        off = 0.0 if np.array_equal(got, own) else float("inf")
    layer.off = max(layer.off, float(off) if np.isfinite(off) else float("inf"))
    if np.issubdtype(got.dtype, np.floating):
        layer.add(got, wanted)


def roundings(rounded: ModelProto) -> dict[str, Pair]:
    """Every activation that `rounded` writes in 8 bits."""
    values = graph.constants(rounded)
    found = {}
    for node in rounded.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[0] not in values:
            scale, zero = (values.get(name) for name in node.input[1:3])
            if scale is None or zero is None or scale.ndim or zero.ndim:
                raise CompressError(f"{node.input[0]!r} has no scale of its own")
            found[node.input[0]] = Pair(node.output[0], scale, zero)
    return found


def cut_name(tensor: str) -> str:
    """The input that stands for a rounded tensor in a graph that was cut there."""
    return f"{tensor}_cut"


def cut_at(model: ModelProto, tensors: dict[str, Pair]) -> ModelProto:
    """A copy whose nodes read each of these tensors from an input of its own.

    Branches and loops read the float tensor, as the quantizer leaves it to them.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    table = {name: cut_name(name) for name in tensors}
    for node in copy.graph.node:
        node.input[:] = [table.get(name, name) for name in node.input]
    copy.graph.input.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in table.values()
    )
    return copy


def with_rounded_weights(model: ModelProto, rounded: ModelProto) -> ModelProto:
    """A copy whose nodes read the constants that the same nodes of `rounded` read."""
    copy = ModelProto()
    copy.CopyFrom(model)
    values, writer = graph.constants(rounded), graph.producers(rounded)
    twins = {node.name: node for node in rounded.graph.node}
    made: set[str] = set()
    for node in copy.graph.node:
        twin = twins.get(node.name)
        for place, name in enumerate(twin.input if twin is not None else ()):
            source = writer.get(name)
            if source is None or source.op_type != "DequantizeLinear":
                continue
            if all(n in values for n in source.input) and place < len(node.input):
                node.input[place] = name
                if name not in made:
                    array = dequantized(source, values)
                    copy.graph.initializer.append(numpy_helper.from_array(array, name))
                made.add(name)
    old = [init for init in model.graph.initializer if init.name in made]
    for init in old:  # the quantizer calls a rounded bias as the float one was
        copy.graph.initializer.remove(init)
    return copy


def dequantized(node: NodeProto, values: dict[str, np.ndarray]) -> np.ndarray:
    """What a DequantizeLinear makes of constants: float32, one scale or one for each channel."""
    data, scale = values[node.input[0]], values[node.input[1]]
    zero = values[node.input[2]] if len(node.input) > 2 else np.zeros_like(scale, data.dtype)
    axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
    if scale.ndim:
        shape = [-1 if i == axis % data.ndim else 1 for i in range(data.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return ((data.astype(np.float64) - zero) * scale).astype(np.float32)


def between(model: ModelProto, tensor: str, cuts: dict[str, Pair]) -> tuple[str, ...]:
    """Names of the nodes that `tensor` is made by, back to the cuts."""
    writer = graph.producers(model)
    stack, found = [tensor], {}
    while stack:
        node = writer.get(stack.pop())
        if node is None or node.name in found:
            continue
        found[node.name] = node.op_type
        stack.extend(name for name in node.input if name not in cuts)
        stack.extend(name for body in graph.bodies(node) for name in graph.captured(body))
    return tuple(found)


def sliced(model: ModelProto, outputs: Sequence[str]) -> ModelProto:
    """A copy with these outputs, and nothing that they do not need."""
    copy = calibrate.with_outputs(model, outputs)
    needed, kept = set(outputs), []
    for node in reversed(model.graph.node):
        if not needed.isdisjoint(node.output):
            kept.append(node)
            needed.update(graph.reads(node))
    del copy.graph.node[:]
    copy.graph.node.extend(reversed(kept))
    for values in (copy.graph.input, copy.graph.initializer):
        used = [value for value in values if value.name in needed]
        del values[:]
        values.extend(used)
    return copy


def _with_bytes(rounded: ModelProto, pairs: Iterable[Pair]) -> ModelProto:
    """A copy that gives the bytes too: onnxruntime fuses its nodes as without."""
    copy = ModelProto()
    copy.CopyFrom(rounded)
    kinds = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8}
    copy.graph.output.extend(
        helper.make_tensor_value_info(pair.bytes, kinds[pair.zero.dtype.name], None)
        for pair in pairs
    )
    return copy


def _chunks(names: list[str], sizes: dict[str, np.ndarray]) -> Iterator[list[str]]:
    chunk: list[str] = []
    total = 0
    for name in names:
        if chunk and total + sizes[name].size > CHUNK:
            yield chunk
            chunk, total = [], 0
        chunk.append(name)
        total += sizes[name].size
    if chunk:
        yield chunk
