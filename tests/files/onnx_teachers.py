"""ONNX classifiers as people have them: the mean colour of a normalised picture, times WEIGHTS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

CLASSES = 3
WEIGHTS = np.random.default_rng(0).normal(0, 1, (3, CLASSES)).astype(np.float32)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def pictures(n: int, size: int = 8) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, size, size, 3), np.uint8)


def expected(images: np.ndarray, top: float = 1, mean: Any = MEAN, std: Any = STD) -> np.ndarray:
    """What a file answers to pictures uint8 (n, h, w, 3) that are prepared so, by hand."""
    values = (images.astype(np.float64) / 255 * top - np.array(mean)) / np.array(std)
    return values.mean((1, 2)) @ WEIGHTS


def onnx_file(
    path: Path,
    kind: str = "FLOAT",
    shape: tuple[int | str | None, ...] = ("n", 3, "h", "w"),
    *,
    channels_last: bool = False,
    outputs: tuple[tuple[str, int], ...] = (("logits", CLASSES),),
    weights: np.ndarray = WEIGHTS,
    bias: float | np.ndarray = 0.0,
    softmax: bool = False,
    ones: bool = False,
    beside: str = "",
) -> Path:
    """The file. Every output is mean @ weights + bias, cut to its width; beside: their place."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    batch = shape[0]
    axes = np.array([1, 2] if channels_last else [2, 3])
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["products"]),
        helper.make_node("Add", ["products", "bias"], ["answers"]),
    ]
    values = {
        "bias": np.array(bias, np.float32),
        "axes": axes,
        "weights": weights,
        "zero": np.array([0]),
        "one": np.array([1]),
    }
    said = "answers"
    if softmax:
        nodes.append(helper.make_node("Softmax", [said], ["shares"], axis=1))
        said = "shares"
    infos = []
    for name, width in outputs:
        values[f"{name}.width"] = np.array([width])
        inside = [said, "zero", f"{name}.width", "one"]
        flat = f"{name}.flat" if ones else name
        nodes.append(helper.make_node("Slice", inside, [flat]))
        if ones:
            values["ones"] = np.array([2, 3])
            nodes.append(helper.make_node("Unsqueeze", [flat, "ones"], [name]))
        end = [1, 1] if ones else []
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, width, *end]))
    given = helper.make_tensor_value_info("image", getattr(TensorProto, kind), list(shape))
    constants = [numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "teacher", [given], infos, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    place = {"save_as_external_data": True, "location": beside, "size_threshold": 60}
    onnx.save(model, path, **(place if beside else {}))
    return path
