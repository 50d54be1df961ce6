"""A head for somebody else's file: bytes of a picture of any size in, what the file reads out.

`headed` writes it, `prove` runs it on pictures beside what zoo itself makes of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from zoo.errors import InputError
from zoo.foreign.preprocess import Preprocess

if TYPE_CHECKING:
    from compress.source import Port
    from zoo.foreign.examples import Planes

IMAGE = "image"
_PREPARED = re.compile(r"head\._*prepared")
PROVED = 32  # pictures that a head is proved on
FARTHEST, MEAN = 3.0, 0.6  # levels of 255 that a pixel may be off, and all of them on average
OPSET = 18  # antialiased Resize is there from here on
LUMA = (0.299, 0.587, 0.114)  # ITU-R 601-2, as Pillow makes grey


def headed(
    path: Path, port: Port, how: Preprocess, size: tuple[int, int], nchw: bool, out: Path
) -> Path:
    """Write the file at `path` with a head for uint8 (n, h, w, 3) RGB, any h and w, to `out`."""
    from compress import graph, normal, source

    model = normal.raised(source.read(path).model, OPSET)
    if IMAGE in normal.names(model) and port.name != IMAGE:
        raise InputError(f"{path} has a tensor called {IMAGE!r} of its own", "rename it")
    head = _Head(how, size, nchw, _prefix(normal.names(model)))
    inner = f"{head.prefix}prepared"
    graph.rename_inputs(model.graph.node, {port.name: inner})
    head.add(port.kind == "uint8", inner)
    nodes = [*head.nodes, *model.graph.node]
    del model.graph.node[:], model.graph.input[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(head.constants)
    shape = [port.shape[0] or "n", "h", "w", 3]
    model.graph.input.append(helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, shape))
    return graph.save(model, out)


def _prefix(taken: set[str]) -> str:
    """What no name of the file begins with."""
    tries = ("head." + "_" * k for k in count())
    return next(one for one in tries if not any(name.startswith(one) for name in taken))


def prove(file: Path, paths: Sequence[Path], rows: Planes) -> None:
    """Run the head of the file that `headed` wrote on pictures as they are, of all sizes, beside
    `rows`; an InputError where it reads one of them otherwise than zoo does.

    A resize may round a level up or down, and a grey one of three colours more.
    """
    from compress import calibrate, compare, graph
    from zoo.inputs import image

    model = graph.read(file)
    (given,) = graph.inputs(model)
    made = [name for node in model.graph.node for name in node.output]
    prepared = max((name for name in made if _PREPARED.fullmatch(name)), key=len)
    head = compare.sliced(model, [prepared])
    kind = TensorProto.UINT8 if rows.port.kind == "uint8" else TensorProto.FLOAT
    head.graph.output[0].type.tensor_type.elem_type = kind
    opened = calibrate.session(head)
    batch = rows.port.shape[0] or 1
    scale = 1.0 if kind == TensorProto.UINT8 else np.array(rows.how.scale, np.float32)
    for k in np.unique(np.linspace(0, len(paths) - 1, PROVED).astype(int)):
        pixels, sides = image.read_sides(paths[k], 1)
        if pixels.shape[1::-1] != sides:
            continue  # too large for a graph: it is shrunk before
        feed = {given: np.repeat(pixels[None], batch, 0)}
        found = calibrate.run(opened, feed)[0][0].astype(np.float32)
        off = np.abs(found - rows[int(k)].astype(np.float32))
        levels = (off.transpose(1, 2, 0) if rows.nchw else off) / scale
        if not (levels.max() <= FARTHEST and levels.mean() <= MEAN):
            raise InputError(
                f"{paths[k]}: with --raw it would be read otherwise, by {levels.max():.1f} of 255 "
                f"levels at most and {levels.mean():.2f} on average",
                "leave --raw out; please report it with the picture",
            )


class _Head:
    """Nodes under construction; names begin with `prefix`."""

    def __init__(self, how: Preprocess, size: tuple[int, int], nchw: bool, prefix: str) -> None:
        self.how, self.size, self.nchw, self.prefix = how, size, nchw, prefix
        self.nodes: list[NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: list[str], out: str = "", **attributes: Any) -> str:
        out = out or f"{self.prefix}{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [out], name=out, **attributes))
        return out

    def constant(self, array: object, kind: type = np.int64) -> str:
        name = f"{self.prefix}c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, kind), name))
        return name

    def add(self, bytes_: bool, out: str) -> None:
        """Everything up to the tensor `out`."""
        picture = self._cropped(IMAGE) if self.how.crop is not None else IMAGE
        picture = self._resized(picture)
        if bytes_ and self.how.color == "RGB":
            self._laid(picture, out)
            return
        whole = self._whole_zero()
        if not bytes_ and self.how.color == "RGB" and whole is not None:
            planes = self._laid(picture)
            grid = [self.constant(self.how.scale[0], np.float32), self.constant(whole, np.uint8)]
            self.node("DequantizeLinear", [planes, *grid], out)
            return
        floats = self._coloured(self.node("Cast", [picture], to=TensorProto.FLOAT))
        if bytes_:
            bytes_out = self.node("Round", [floats])
            self._laid(self.node("Cast", [bytes_out], to=TensorProto.UINT8), out)
            return
        scaled = self.node("Mul", [floats, self.constant(self.how.scale, np.float32)])
        shifted = self.node("Add", [scaled, self.constant(self.how.shift, np.float32)])
        self._laid(shifted, out)

    def _whole_zero(self) -> int | None:
        """The byte that becomes 0.0, where there is one and all channels are alike."""
        scale, shift = self.how.scale, self.how.shift
        if len(set(scale)) != 1 or len(set(shift)) != 1:
            return None
        zero = -shift[0] / scale[0]
        return round(zero) if abs(zero - round(zero)) < 1e-3 and 0 <= zero <= 255 else None

    def _laid(self, picture: str, out: str = "") -> str:
        """Channels first or last, as the file reads them."""
        if self.nchw:
            return self.node("Transpose", [picture], out, perm=[0, 3, 1, 2])
        return self.node("Identity", [picture], out)

    def _cropped(self, picture: str) -> str:
        """The middle square, of a share of the shorter side."""
        shape = self.node("Shape", [picture], start=1, end=3)
        shorter = self.node("ReduceMin", [shape], keepdims=1)
        part = self.constant([self.how.crop], np.float64)
        floats = self.node("Mul", [self.node("Cast", [shorter], to=TensorProto.DOUBLE), part])
        side = self.node("Cast", [self.node("Floor", [floats])], to=TensorProto.INT64)
        side = self.node("Max", [side, self.constant([1])])
        rest = self.node("Sub", [shape, side])
        start = self.node("Div", [rest, self.constant([2])])
        end = self.node("Add", [start, side])
        return self.node("Slice", [picture, start, end, self.constant([1, 2])])

    def _resized(self, picture: str) -> str:
        batch = self.node("Shape", [picture], start=0, end=1)
        sizes = self.node("Concat", [batch, self.constant([*self.size, 3])], axis=0)
        given = [picture, "", "", sizes]
        return self.node("Resize", given, mode="linear", antialias=1, exclude_outside=1)

    def _coloured(self, floats: str) -> str:
        """Float (n, h, w, 3) in the order of the file's channels, or (n, h, w, 1)."""
        if self.how.color == "BGR":
            return self.node("Gather", [floats, self.constant([2, 1, 0])], axis=3)
        if self.how.color == "gray":
            weighted = self.node("Mul", [floats, self.constant(LUMA, np.float32)])
            return self.node("ReduceSum", [weighted, self.constant([3])], keepdims=1)
        return floats
