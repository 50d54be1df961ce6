"""Torch student to one self-contained ONNX file."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from torch import nn

from export.errors import ExportError
from export.files import save
from export.head import LOGITS, PLANES, graft

OPSET = 20  # antialiased Resize is there from 18 on


def to_onnx(
    module: nn.Module, path: str | Path, *, image_size: int, metadata: Mapping[str, str]
) -> Path:
    """Write a student as ONNX: `image` uint8 (n, h, w, 3) of any size to `logits` (n, classes).

    The module's child `input` (resize and normalise) is replaced by the same thing in ONNX
    operators; metadata stands in the file as it is given. The module itself is left alone.
    """
    return save(finish(core(module, image_size), image_size, metadata), path)


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
    """Long names, stack traces and sources of every node, of which the exporter writes more than of weights."""
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
    """The network behind its `input` child, on normalised planes float32 (n, 3, size, size)."""
    if not isinstance(getattr(module, "input", None), nn.Module):
        raise ExportError(
            f"{type(module).__name__} has no child called 'input'",
            "a student's first child, `input`, resizes and normalises the picture",
        )
    network = copy.deepcopy(module).cpu().float().eval()
    network.input = nn.Identity()
    planes = torch.zeros(2, 3, image_size, image_size)
    with _silence():
        try:
            program = torch.onnx.export(
                network,
                (planes,),
                dynamo=True,
                external_data=False,
                verbose=False,
                opset_version=OPSET,
                input_names=[PLANES],
                output_names=[LOGITS],
                dynamic_shapes=({0: torch.export.Dim("n")},),
            )
        except torch.onnx.OnnxExporterError as error:
            reason = str(error).strip().splitlines() or ["no reason given"]
            raise ExportError(
                f"torch cannot export {type(module).__name__}: {reason[0]}",
                "forward must be traceable: no branches on values, any number of pictures",
            ) from error
    if program is None:
        raise ExportError(f"torch gave no program for {type(module).__name__}")
    return program.model_proto


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the exporter's notices (missing torchvision, its own deprecations) to itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.setLevel(level)
