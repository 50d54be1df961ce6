"""The attempts for somebody else's file, from the fastest to the safest.

A network of convolutions is quantized with the ranges seen on the examples (static); one of matrix
products measures its activations as it runs (dynamic).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

from compress import calibrate, dynamic, graph, ladder, sensitivity
from compress.config import LADDER, Attempt
from compress.errors import CompressError
from compress.examples import Examples
from compress.int8 import STRICT, Limits
from compress.ladder import File
from compress.rewrite import quantize_entries
from compress.rewrite.graph import load_ir

PRODUCTS = ("MatMul", "Gemm")
# Answers are judged on examples of their own, so that here only a layer, or an output, is stopped
# of which 8 bits keep next to nothing; what they cost below that is for the gates to say.
LIMITS = Limits(noise=0.5, change=0.5)
CAREFUL = Attempt("careful")  # with `STRICT` limits: what is off by more stays in float


@dataclass(frozen=True)
class Rung:
    """One attempt: `make` writes the file at `path`."""

    name: str
    settings: dict[str, Any]
    path: Path
    make: Callable[[], File]
    whole: bool = True  # it wants every layer in 8 bits, though some may not bear it


def of(model: ModelProto, calibration: Examples, folder: Path) -> Iterator[Rung]:
    """The attempts for this network; files are written into `folder`."""
    weights = _weights(model)
    if not weights:
        raise CompressError("the file has no Conv, Gemm or MatMul with constant weights")
    convs = weights.get("Conv", 0)
    products = sum(weights.get(kind, 0) for kind in PRODUCTS)
    one = len(graph.inputs(model)) == 1
    if one and convs >= products:
        yield from _static(model, calibration, folder)
    elif products:
        yield from _dynamic(model, folder)
        if one:
            yield from _static(model, calibration, folder)
    else:
        raise CompressError("a network of convolutions with several inputs is not read yet")


def _weights(model: ModelProto) -> dict[str, int]:
    """Numbers in the constant weights, by kind of node."""
    sizes = {init.name: int(np.prod(init.dims)) for init in model.graph.initializer}
    found: dict[str, int] = {}
    for node in model.graph.node:
        if node.op_type in graph.WEIGHTED and node.input[1] in sizes:
            found[node.op_type] = found.get(node.op_type, 0) + sizes[node.input[1]]
    return found


def _static(model: ModelProto, calibration: Examples, folder: Path) -> Iterator[Rung]:
    shared = _Static(model, calibration, folder)
    for attempt in LADDER:
        yield shared.rung(attempt, LIMITS, join=True)
    yield shared.rung(CAREFUL, STRICT, join=False)


class _Static:
    """What the attempts of one ladder share."""

    def __init__(self, model: ModelProto, calibration: Examples, folder: Path) -> None:
        self.folder, self.source = folder, folder / "float.onnx"
        (name,) = graph.inputs(model)
        self.batches = [feed[name] for feed in calibration.feeds()]
        graph.save(entered(model, calibration), self.source)

    @cached_property
    def ranked(self) -> list[str]:
        """Layers, the most damaging first."""
        return [name for name, _ in sensitivity.rank(self.source, self.batches)]

    def rung(self, attempt: Attempt, limits: Limits, join: bool) -> Rung:
        path = self.folder / f"{attempt.name}.onnx"
        settings = ladder.settings_of(attempt, self.batches)
        settings |= {"bias_correction": True, "joined_ranges": join, "max_noise": limits.noise}
        given = (self.source, path, self.batches, attempt, lambda: self.ranked)
        make = partial(ladder.make_attempt, *given, correct=True, join=join, limits=limits)
        whole = attempt.float_layers == 0 and limits is LIMITS
        return Rung(attempt.name, settings, path, make, whole)


def entered(model: ModelProto, calibration: Examples) -> ModelProto:
    """The float file with the 8 bits that its first convolutions will read."""
    from compress.rewrite.entry import entries

    names = [str(value.name) for value in entries(load_ir(model))]
    return quantize_entries(model, ranges(model, names, calibration)) if names else model


def ranges(
    model: ModelProto, names: list[str], calibration: Examples
) -> dict[str, tuple[float, float]]:
    """(low, high) of these tensors over all examples."""
    made = [name for name in names if name not in graph.inputs(model)]
    session = calibrate.session(calibrate.with_outputs(model, made)) if made else None
    found: dict[str, tuple[float, float]] = {}
    for feed in calibration.feeds():
        arrays = {name: feed[name] for name in names if name in feed}
        if session is not None:
            arrays |= dict(zip(made, calibrate.run(session, feed, made), strict=True))
        for name, array in arrays.items():
            low, high = found.get(name, (np.inf, -np.inf))
            found[name] = min(low, float(array.min())), max(high, float(array.max()))
    return found


def _dynamic(model: ModelProto, folder: Path) -> Iterator[Rung]:
    source = graph.save(model, folder / "float.onnx")
    for settings in dynamic.LADDER:
        path = folder / f"{settings.name}.onnx"
        about = {k: v for k, v in asdict(settings).items() if k != "name"}
        yield Rung(settings.name, about, path, partial(_dynamic_file, source, path, settings))


def _dynamic_file(source: Path, path: Path, settings: dynamic.Dynamic) -> File:
    return File(dynamic.quantize(source, path, settings), {})
