"""Torch student to one self-contained ONNX file."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from export import parity
from export.answers import FAULTS, logits_of, reason
from export.errors import ExportError
from export.files import save
from export.head import LOGITS, PLANES, graft
from export.own_input import normalisation, resized

LOGGERS = ("torch.onnx", "torch.fx.experimental.symbolic_shapes", "torch.export", "torch._dynamo")
OTHER_SIZE = "is image_size the one that it was made for?"
ON_BYTES = (
    "a module takes pictures uint8 (n, h, w, 3) and normalises them, in forward or in a child "
    "called `input`; one that takes planes goes into a module that makes them of pictures"
)
OPSET = 20  # antialiased Resize is there from 18 on


def to_onnx(
    module: nn.Module,
    path: str | Path,
    *,
    image_size: int,
    metadata: Mapping[str, str],
    pictures: np.ndarray | None = None,
) -> Path:
    """Write a student as ONNX: `image` uint8 (n, h, w, 3) of any size to `logits` (n, classes).

    The module takes such pictures too. Its child `input` (resize and normalise) is replaced by the
    same thing in ONNX operators, its own mean, scale and order of colours among it; a module
    without one stands in the file whole, and gets pictures resized to image_size. metadata stands
    in the file as it is given. The module itself is left alone.

    The file was opened, run and compared with the module as it was handed in before it is there:
    on random bytes and on `pictures`, real ones uint8 (n, h, w, 3), resized to image_size;
    `ExportError` if it is off.
    """
    model = finish(core(module, image_size), image_size, metadata)
    student = copy.deepcopy(module).cpu().float().eval()
    tried = list(np.random.default_rng(0).integers(0, 256, (5, image_size, image_size, 3), "u1"))
    tried += [] if pictures is None else _squares(pictures, image_size)
    return save(model, path, lambda file: parity.check_share(student, file, tried, str(path)))


def _squares(pictures: np.ndarray, size: int) -> list[np.ndarray]:
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3:
        what = f"pictures are {pictures.dtype} {pictures.shape}"
        raise ExportError(what, "they must be uint8 (n, h, w, 3)")
    return list(resized(torch.from_numpy(pictures), size).numpy())


def plain_export(module: nn.Module, path: str | Path, *, image_size: int) -> Path:
    """What torch.onnx.export alone gives: float32 (n, 3, size, size) in, nothing rewritten."""
    return save(core(module, image_size), path)


def finish(plain: onnx.ModelProto, image_size: int, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """The whole model around what `core` gave: the head for pictures, metadata, no debris."""
    model = graft(plain, image_size)
    _drop_notes(model)
    onnx.helper.set_model_props(model, dict(metadata))
    return model


def _drop_notes(model: onnx.ModelProto) -> None:
    """Long names, stack traces and sources, of which the exporter writes more than of weights."""
    model.producer_name, model.producer_version = "studentzoo", ""
    model.ClearField("doc_string")
    for item in (model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        item.ClearField("doc_string")
        item.ClearField("metadata_props")
    del model.graph.value_info[:]
    _number_tensors(model.graph)


def _number_tensors(graph: onnx.GraphProto) -> None:
    """Constants are called `w12`, computed tensors `t12`; inputs and outputs keep their names."""
    short = {"": ""} | {value.name: value.name for value in (*graph.input, *graph.output)}
    for constant in graph.initializer:
        constant.name = short.setdefault(constant.name, f"w{len(short)}")
    for number, node in enumerate(graph.node):
        node.name = f"{node.op_type}{number}"
        for names in (node.input, node.output):
            names[:] = [short.setdefault(name, f"t{len(short)}") for name in names]


def core(module: nn.Module, image_size: int) -> onnx.ModelProto:
    """The network behind its `input` child, on normalised planes float32 (n, 3, size, size).

    Without such a child it is the whole module, on uint8 (n, size, size, 3).
    """
    name = type(module).__name__
    network = copy.deepcopy(module).cpu().float().eval()
    example = torch.zeros(2, image_size, image_size, 3, dtype=torch.uint8)
    if isinstance(getattr(module, "input", None), nn.Module):
        network.input = normalisation(network.get_submodule("input"), image_size, name)
        example = torch.zeros(2, 3, image_size, image_size)
    with _silence():
        network = _giving_logits(network, example, name)
        try:
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                external_data=False,
                verbose=False,
                opset_version=OPSET,
                input_names=[PLANES],
                output_names=[LOGITS],
                dynamic_shapes=({0: torch.export.Dim("n")},),
            )
        except torch.onnx.OnnxExporterError as error:
            raise ExportError(
                f"torch cannot export {name}: {reason(error)}",
                "forward must be traceable: no branches on values, any number of pictures",
            ) from error
    if program is None:
        raise ExportError(f"torch gave no program for {name}")
    return program.model_proto


class _Logits(nn.Module):
    """The one tensor of what a network gives."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        return logits_of(self.network(planes))


def _giving_logits(network: nn.Module, planes: torch.Tensor, name: str) -> nn.Module:
    """The network, or it and what takes the tensor out of what it gives; it was run once."""
    try:
        with torch.inference_mode():
            answer = network(planes)
    except FAULTS as error:
        on_bytes = planes.dtype == torch.uint8
        kind = "bytes" if on_bytes else "planes"
        what = f"forward of {name} fails on {kind} {tuple(planes.shape)}: {reason(error)}"
        raise ExportError(what, ON_BYTES if on_bytes else OTHER_SIZE) from error
    logits = logits_of(answer)
    if logits.ndim != 2 or len(logits) != len(planes) or not logits.is_floating_point():
        what = f"forward of {name} gives {logits.dtype} {tuple(logits.shape)} of {len(planes)}"
        raise ExportError(
            f"{what} pictures".replace("torch.", ""), "it must give logits float (n, classes)"
        )
    return network if isinstance(answer, torch.Tensor) else _Logits(network)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the exporter's notices (missing torchvision, its own deprecations, half a graph on
    stdout where it fails) to itself.
    """
    loggers = {name: logging.getLogger(name) for name in LOGGERS}
    levels = {name: logger.level for name, logger in loggers.items()}
    for logger in loggers.values():
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"), _no_prints():
            yield
    finally:
        for name, logger in loggers.items():
            logger.setLevel(levels[name])


@contextmanager
def _no_prints() -> Iterator[None]:
    talk = io.StringIO()
    with redirect_stdout(talk), redirect_stderr(talk):
        yield
