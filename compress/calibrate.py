"""Which range each activation takes: seen on training pictures, then read by one of three rules.

onnxruntime's histogram calibrators keep every activation of every picture; here a tensor is a
histogram of fixed size, so memory does not grow with the number of pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import ModelProto, NodeProto, TensorProto, helper, shape_inference
from onnxruntime.capi import onnxruntime_pybind11_state as state

from compress.config import Attempt
from compress.errors import CompressError
from compress.graph import Input, consumers, inputs, the_input

BATCH = 32  # pictures run at once while calibrating
BINS = 2048  # histogram bins on each side of zero
PICTURES = Input("image", np.dtype(np.uint8), (None, None, None, 3))
LEVELS = 256  # of 8 bits; half of them on each side of zero where values have both signs
FLOOR = 1e-6  # share of the mass that an empty bin counts as
STEP = 32  # bins between two candidates of the entropy rule
COPIES = frozenset({"Split", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Slice"})

# What onnxruntime raises for a model or an input that it cannot take.
REFUSALS: tuple[type[Exception], ...] = tuple(
    error
    for error in vars(state).values()
    if isinstance(error, type) and issubclass(error, Exception)
)


@dataclass
class Seen:
    """What one float tensor was seen at."""

    low: float
    high: float
    histogram: np.ndarray | None = None  # int64 (2 * BINS,) over [-bound, bound]

    @property
    def bound(self) -> float:
        """Largest magnitude seen."""
        return max(abs(self.low), abs(self.high), 1e-12)


def ranges(
    model: ModelProto,
    calibration: Iterable[np.ndarray],
    attempt: Attempt,
    stay: Collection[str] = (),
) -> dict[str, tuple[float, float]]:
    """(low, high) of every activation that may be quantized, on batches of what the file reads.

    `stay` names the nodes that will be as they are.
    """
    seen = observe(model, list(calibration), attempt.calibration != "minmax", stay)
    found = {name: read_range(tensor, attempt) for name, tensor in seen.items()}
    for node in model.graph.node:
        if node.op_type in COPIES and node.input[0] in found:
            found.update(dict.fromkeys(node.output, found[node.input[0]]))
    return found


def batches(model: ModelProto, calibration: Iterable[np.ndarray]) -> list[np.ndarray]:
    """The examples in batches that the file takes: its own size where it has one (the last batch
    begins again with the first examples), one at a time where it was made for one alone.
    """
    reads = the_input(model)
    if reads.batch:
        whole = rebatch(calibration, reads.batch, reads)
        return [np.resize(batch, (reads.batch, *batch.shape[1:])) for batch in whole]
    found = list(rebatch(calibration, BATCH, reads))
    most = max(found, key=len)[:2]
    if len(most) > 1 and not _runs(model, most):
        return list(rebatch(found, 1, reads))
    return found


def _runs(model: ModelProto, batch: np.ndarray) -> bool:
    try:
        session(model).run(None, {inputs(model)[0]: batch})
    except REFUSALS:
        return False
    return True


def rebatch(
    calibration: Iterable[np.ndarray], size: int = BATCH, reads: Input = PICTURES
) -> Iterator[np.ndarray]:
    """The same examples, at most `size` at once; wrong shapes and no examples are errors."""
    empty = True
    for pictures in calibration:
        if not isinstance(pictures, np.ndarray) or not reads.takes(pictures):
            kind = f"{getattr(pictures, 'dtype', type(pictures).__name__)}"
            shape = getattr(pictures, "shape", "none")
            raise CompressError(
                f"calibration examples are {kind} of shape {shape}", f"the file reads {reads}"
            )
        for start in range(0, len(pictures), size):
            empty = False
            yield pictures[start : start + size]
    if empty:
        raise CompressError("there is no calibration picture", "give at least one batch of them")


def first_pictures(
    calibration: Iterable[np.ndarray], count: int, reads: Input = PICTURES
) -> list[np.ndarray]:
    """At most `count` examples, in batches."""
    batches: list[np.ndarray] = []
    left = count
    for pictures in rebatch(calibration, BATCH, reads):
        batches.append(pictures[:left])
        left -= len(batches[-1])
        if left == 0:
            break
    return batches


def observe(
    model: ModelProto, batches: Sequence[np.ndarray], histograms: bool, stay: Collection[str] = ()
) -> dict[str, Seen]:
    """Range, and on request the histogram, of every watched tensor over all the batches."""
    run = runner(model, watched(model, stay))
    seen: dict[str, Seen] = {}
    for batch in batches:
        for name, values in run(batch):
            _widen(seen, name, values)
    if histograms:
        for batch in batches:
            for name, values in run(batch):
                if values.size:
                    _count(seen[name], values)
    return seen


def _widen(seen: dict[str, Seen], name: str, values: np.ndarray) -> None:
    if not values.size:
        return
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(low + high):
        what = f"tensor {name!r} is not finite on the calibration pictures"
        raise CompressError(what, "did training diverge, or is there a mask of -inf?")
    old = seen.get(name)
    seen[name] = Seen(low, high) if old is None else Seen(min(low, old.low), max(high, old.high))


def _count(tensor: Seen, values: np.ndarray) -> None:
    scale = np.float32(BINS / tensor.bound * (1 - 1e-6))
    bins = (values.reshape(-1) * scale + np.float32(BINS)).astype(np.int64)
    counts = np.bincount(bins, minlength=2 * BINS)[: 2 * BINS]
    tensor.histogram = counts if tensor.histogram is None else tensor.histogram + counts


def read_range(tensor: Seen, attempt: Attempt) -> tuple[float, float]:
    """(low, high), which always holds 0 so that zero padding stays exact."""
    low, high = tensor.low, tensor.high
    if attempt.calibration == "percentile" and tensor.histogram is not None:
        low, high = percentile_range(tensor.histogram, tensor.bound, attempt.percentile)
    elif attempt.calibration == "entropy" and tensor.histogram is not None:
        bound = entropy_bound(tensor.histogram, tensor.bound)
        low, high = max(low, -bound), min(high, bound)
    return min(low, 0.0, tensor.high), max(high, 0.0, tensor.low)


def percentile_range(histogram: np.ndarray, bound: float, percent: float) -> tuple[float, float]:
    """The narrowest bin edges that hold `percent` of the counts, half of the rest cut each side."""
    share = histogram.cumsum() / histogram.sum()
    cut = (100.0 - percent) / 200.0
    edges = np.linspace(-bound, bound, len(histogram) + 1)
    low = int(np.searchsorted(share, cut, side="right"))
    high = int(np.searchsorted(share, 1.0 - cut, side="left"))
    return float(edges[low]), float(edges[min(high, len(histogram) - 1) + 1])


def entropy_bound(histogram: np.ndarray, bound: float) -> float:
    """Magnitude at which clipping loses least: smallest KL divergence to its quantized self.

    Migacz, 8-bit inference with TensorRT (2017): for each candidate the mass beyond it goes into
    the last bin (p), the rest is averaged into as many groups as there are levels over its
    non-empty bins (q). Zero is exact at every scale, so its bin counts no more than the next one.
    """
    half = len(histogram) // 2
    levels = LEVELS // 2 if histogram[:half].any() else LEVELS
    counts = (histogram[half:] + histogram[:half][::-1]).astype(np.float64)
    counts[0] = min(counts[0], counts[1])
    candidates = np.arange(levels, half + 1, STEP)
    losses = [_divergence(counts, int(n), levels) for n in candidates]
    best = len(losses) - 1 - int(np.argmin(losses[::-1]))  # the widest of equals
    return float(bound * candidates[best] / half)


def _divergence(counts: np.ndarray, kept: int, levels: int) -> float:
    q = _quantized(counts[:kept], levels)
    p = counts[:kept].copy()
    p[-1] += counts[kept:].sum()
    filled = p > 0
    if not q.any():
        return float("inf")
    q = np.maximum(q, FLOOR * q.sum())  # mass may be clipped into a bin that q leaves empty
    p, q = p[filled] / p.sum(), q[filled] / q[filled].sum()
    return float((p * np.log(p / q)).sum())


def _quantized(counts: np.ndarray, levels: int) -> np.ndarray:
    """Counts averaged over `levels` groups, each group's mass spread over its non-empty bins."""
    starts = np.linspace(0, len(counts), levels, endpoint=False).astype(int)
    filled = counts > 0
    mass = np.add.reduceat(counts, starts)
    width = np.maximum(np.add.reduceat(filled.astype(np.int64), starts), 1)
    sizes = np.diff(np.append(starts, len(counts)))
    return np.repeat(mass / width, sizes) * filled


def watched(model: ModelProto, stay: Collection[str] = ()) -> list[str]:
    """Float activations whose range must be seen.

    Not a sum that only a Relu or Clip reads (it is folded into that, if the node does not stay),
    nor a copy of an activation (it takes the range of what it copies).
    """
    readers = consumers(model)
    outputs = {value.name for value in model.graph.output}
    inferred = shape_inference.infer_shapes(model)
    typed = [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]
    floats = {v.name for v in typed if v.type.tensor_type.elem_type == TensorProto.FLOAT}
    given = [name for name in inputs(model) if name in floats]
    return given + [
        name
        for node in model.graph.node
        if not (node.op_type in COPIES and node.input[0] in floats)
        for name in node.output
        if name in floats and (name in outputs or not _folds(readers.get(name, []), stay))
    ]


def _folds(readers: list[NodeProto], stay: Collection[str]) -> bool:
    folds = len(readers) == 1 and readers[0].op_type in ("Relu", "Clip")
    return folds and readers[0].name not in stay


def with_outputs(model: ModelProto, names: Sequence[str]) -> ModelProto:
    """A copy whose outputs are exactly these tensors, of which a new one is float."""
    copy = ModelProto()
    copy.CopyFrom(model)
    old = {value.name: value for value in model.graph.output}
    del copy.graph.output[:]
    float_ = TensorProto.FLOAT
    copy.graph.output.extend(
        old.get(name) or helper.make_tensor_value_info(name, float_, None) for name in names
    )
    return copy


def runner(
    model: ModelProto, names: Sequence[str]
) -> Callable[[np.ndarray], list[tuple[str, np.ndarray]]]:
    """A batch -> (name, values) of each of these tensors."""
    opened = session(with_outputs(model, names))
    feed = inputs(model)[0]
    return lambda batch: list(zip(names, run(opened, {feed: batch}, names), strict=True))


def run(
    opened: ort.InferenceSession, feed: Mapping[str, np.ndarray], names: Sequence[str] | None = None
) -> list[np.ndarray]:
    """These outputs, or all; an input that does not fit is one clear error."""
    try:
        return list(opened.run(names, dict(feed)))
    except REFUSALS as error:
        shapes = ", ".join(str(array.shape) for array in feed.values())
        hint = "give examples of the size that the file reads"
        raise CompressError(f"examples {shapes} do not fit: {error}", hint) from error


def session(model: ModelProto | Path, *, plain: bool = False) -> ort.InferenceSession:
    """One-threaded session, `plain` for one that changes nothing in the graph; a model that
    onnxruntime refuses is one clear error.
    """
    options = ort.SessionOptions()
    if plain:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised
    content = str(model) if isinstance(model, Path) else model.SerializeToString()
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except REFUSALS as error:
        raise CompressError(
            f"onnxruntime refuses the model: {error}", "export it again, or update onnxruntime"
        ) from error
