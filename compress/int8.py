"""Static 8-bit quantization: a file in, its 8-bit twin out, held against it before it is written.

Activations u8, weights s8 with a scale for each output channel (never one for a whole depthwise
layer). The head (resize, layout, normalisation) is left as it is; a head that ends in
DequantizeLinear feeds the first layer its raw bytes. Logits are float.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import ModelProto, numpy_helper

from compress import biases, calibrate, compare, graph, joins, normal, qdq, rectify
from compress.compare import Layer
from compress.config import Attempt
from compress.errors import AS_IT_IS, CompressError
from compress.tidy import tidy

TRIES = 6  # times that layers are left in float before it is given up
SAME = 1e-4  # relative change of an output by the normal form: rounding, nothing more


@dataclass(frozen=True)
class Limits:
    """Largest relative changes by 8 bits; a kernel that computes something else is never let by."""

    noise: float = 0.15  # of what a layer gives, its input being as it is
    change: float = compare.CHANGE  # of an output


STRICT = Limits()


Ranges = dict[str, tuple[float, float]]  # (low, high) of activations


@dataclass(frozen=True)
class Made:
    """A file in 8 bits that was held against its float file."""

    path: Path
    float_nodes: tuple[str, ...]  # left in float: those asked for, then those that were off
    changes: dict[str, float]  # output -> its relative change on all calibration examples


@dataclass(frozen=True)
class Rounded:
    """A float file in 8 bits that was held against it, not written yet."""

    int8: ModelProto  # of QuantizeLinear and DequantizeLinear
    plain: ModelProto  # the float file, with the same names of tensors and nodes as `int8`
    ranges: Ranges  # by the float file's own names
    float_nodes: tuple[str, ...]  # as in `Made`
    small: ModelProto  # `int8` as it is written
    beside: Beside

    def save(self, path: Path) -> Made:
        """Written, opened again and compared on all examples."""
        return Made(path, self.float_nodes, self.beside.save(self.small, path))

    def with_weights(self, weights: Mapping[str, np.ndarray]) -> ModelProto:
        """The float file with other constants, which have the names of `plain`."""
        model = ModelProto()
        model.CopyFrom(self.plain)
        for tensor in model.graph.initializer:
            if tensor.name in weights:
                tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name], tensor.name))
        normal.rename(model, self.beside.names)
        return model


def quantize(
    fp32_path: Path,
    out_path: Path,
    calibration: Iterable[np.ndarray],
    attempt: Attempt,
    exclude: tuple[str, ...] = (),
) -> Path:
    """Write the int8 twin of `fp32_path`; `calibration` yields batches of what the file reads.

    `exclude` names nodes (as in the file, or as `sensitivity.rank` calls them) that stay float.
    """
    return make(fp32_path, out_path, calibration, attempt, exclude).path


def make(
    fp32_path: Path,
    out_path: Path,
    calibration: Iterable[np.ndarray],
    attempt: Attempt,
    exclude: tuple[str, ...] = (),
    **how: Any,
) -> Made:
    """`quantize`, with what was found on the way; `how`: see `rounded`.

    Nothing is written that was not opened, run and compared.
    """
    return rounded(fp32_path, calibration, attempt, exclude, **how).save(Path(out_path))


def rounded(
    fp32_path: Path,
    calibration: Iterable[np.ndarray],
    attempt: Attempt,
    exclude: tuple[str, ...] = (),
    *,
    correct: bool = False,
    join: bool = False,
    limits: Limits = STRICT,
    ranges: Ranges | None = None,
) -> Rounded:
    """The file in 8 bits; `correct`: see `biases`, `join`: see `joins`; `ranges`: instead of those
    that the attempt would find.

    A layer that is off (see `compare`) stays float, and all is done again; where that does not
    help, the `CompressError` names it.
    """
    source = graph.load(Path(fp32_path))
    model = normal.normalized(source)
    check(model, exclude)
    batches, stay = calibrate.batches(model, calibration), qdq.staying(model)
    ranges = ranges or calibrate.ranges(model, batches, attempt, stay)
    if join:
        ranges = joins.shared(model, ranges)
    ranges = rectify.shared(model, ranges, stay)
    plain, names = normal.aliased(model)
    seen = {names[name]: one for name, one in ranges.items()}
    whole = graph.the_input(model, fp32_path).batch is not None
    examples = compare.spread(batches, whole)
    beside = Beside(source, plain, _reverse(names), examples, batches, limits)
    left, reason = list(exclude), ""
    for _ in range(TRIES):
        if not weighted(model) - {*left, *stay}:
            raise CompressError(reason or _nothing_left(model), AS_IT_IS)
        int8 = qdq.eight_bits(plain, batches[0], seen, {*left, *stay})
        if correct:
            biases.correct(int8, plain, batches)
        small = beside.tidied(int8)
        nodes, reason = beside.off(int8, small, left)
        if not reason:
            return Rounded(int8, plain, ranges, tuple(left), small, beside)
        if not nodes:
            break
        left += nodes
    raise CompressError(reason, AS_IT_IS)


def weighted(model: ModelProto) -> set[str]:
    """The names of all Conv, Gemm and MatMul."""
    return {node.name for node in model.graph.node if node.op_type in graph.WEIGHTED}


def _nothing_left(model: ModelProto) -> str:
    names = ", ".join(sorted(weighted(model)))
    what = "no layer that an output needs can be in 8 bits"
    return f"{what}: {names} stay in float" if names else what


def check(model: ModelProto, exclude: Sequence[str]) -> None:
    """What can be said before any work: names that there are, weights that are numbers."""
    unknown = set(exclude) - {node.name for node in model.graph.node}
    if unknown:
        raise CompressError(f"no node is called {sorted(unknown)}", "see sensitivity.rank")
    values = graph.constants(model)
    for node in model.graph.node:
        for name in node.input if node.op_type in graph.WEIGHTED else ():
            kind = values[name].dtype if name in values else np.dtype(np.float32)
            if kind.kind == "f" and kind != np.float32:
                what = f"the weights of {node.name!r} are {kind}"
                raise CompressError(what, "give the file with float32 in it")
            if name in values and not np.isfinite(values[name]).all():
                what = f"the weights of {node.name!r} are not finite"
                raise CompressError(what, "did training diverge?")


def exact_session(source: ModelProto, example: np.ndarray) -> ort.InferenceSession:
    """The float file, opened; it must give one answer to one example."""
    opened = calibrate.session(source)
    first, again = compare.answers(opened, [example, example])
    if not all(np.array_equal(first[k], again[k], equal_nan=True) for k in first):
        raise CompressError("the file gives two answers to one input", "is there a random number?")
    return opened


class Beside:
    """A float file, beside which its 8-bit twin is put; an error if its normal form is not alike.

    `source` is the file as it was read, `plain` in normal form under plain names, `names` gives the
    file's own names for those. Layers are looked at on `examples`; `batches` are all of them.
    """

    def __init__(
        self,
        source: ModelProto,
        plain: ModelProto,
        names: dict[str, str],
        examples: list[np.ndarray],
        batches: list[np.ndarray],
        limits: Limits = STRICT,
    ) -> None:
        self.exact = exact_session(source, examples[0])
        self.plain, self.names, self.limits = plain, names, limits
        self.examples, self.batches = examples, batches
        found = compare.answers(calibrate.session(plain), examples)
        named = ({names.get(k, k): array for k, array in each.items()} for each in found)
        changes = compare.outputs(compare.answers(self.exact, examples), named)
        change = max(changes.values(), default=0.0)
        if not change <= SAME:
            what = (
                f"the float file is {change:.2g} off when it is written as the quantizer reads it"
            )
            raise CompressError(what, "please report it")

    def off(
        self, int8: ModelProto, small: ModelProto, left: Sequence[str]
    ) -> tuple[list[str], str]:
        """The nodes to leave in float now, and why; ([], "") where nothing is off."""
        layers = compare.layers(self.plain, int8, self.examples)
        bad = [layer for layer in layers if layer.off > 1 or not layer.noise <= self.limits.noise]
        reason = "; ".join(map(_reason, bad[:3]))
        if not bad:
            change = max(self.changes(small, self.examples).values(), default=0.0)
            if change <= self.limits.change:
                return [], ""
            reason = f"8 bits change the outputs by {change:.0%}"
            bad = sorted(layers, key=lambda layer: -layer.noise)[: 1 + len(left)]
        more = [name for layer in bad for name in self._relief(layer, left)]
        return list(dict.fromkeys(more)), reason

    def _relief(self, layer: Layer, left: Sequence[str]) -> list[str]:
        """Nodes whose 8 bits make this layer bad: its own, and then those that read it."""
        own = [name for name in layer.nodes if name not in left]
        readers = graph.consumers(self.plain).get(layer.tensor, [])
        return own or [node.name for node in readers if node.name not in left]

    def tidied(self, int8: ModelProto) -> ModelProto:
        """The file as it is written; an error if that gives other numbers."""
        copy = ModelProto()
        copy.CopyFrom(int8)
        tidy(copy, self.names)
        a, b = (self._first(model) for model in (int8, copy))
        if not all(np.array_equal(x, y) for x, y in zip(a, b, strict=True)):
            raise CompressError("the file changed when it was made small", "please report it")
        return copy

    def _first(self, model: ModelProto) -> list[np.ndarray]:
        """What the graph gives for the first example, each node run as it stands."""
        feed = {graph.inputs(model)[0]: self.examples[0]}
        return calibrate.run(calibrate.session(model, plain=True), feed)

    def changes(self, other: ModelProto | Path, examples: list[np.ndarray]) -> dict[str, float]:
        """Relative change of each output."""
        found = compare.answers(calibrate.session(other), examples)
        return compare.outputs(compare.answers(self.exact, examples), found)

    def save(self, small: ModelProto, path: Path) -> dict[str, float]:
        """Write the file, open it again, and say how its outputs changed on all that there is.

        Of a few examples an output may be 0, or of one sign: of them all it is what people see.
        """
        found: dict[str, float] = {}

        def look(written: Path) -> None:
            found.update(self.changes(written, self.batches))
            change = max(found.values(), default=0.0)
            if not change <= self.limits.change:
                what = f"8 bits change the outputs by {change:.0%} on the calibration examples"
                raise CompressError(what, AS_IT_IS)

        graph.save(small, path, look)
        return found


def _reverse(names: Mapping[str, str]) -> dict[str, str]:
    return {new: old for old, new in names.items()}


def _reason(layer: Layer) -> str:
    what = f"layer {' + '.join(layer.nodes[::-1]) or layer.tensor or 'unknown'}"
    if layer.off > 1:
        return f"{what}: its 8-bit kernel computes something else"
    return f"{what}: 8 bits change its output by {layer.noise:.0%}"
