"""Makes tests/files/tiny: a whole published student of a few kilobytes that tells colours apart.

    python tests/files/make_tiny.py

The files are kept in the repository, so that the tests of the runtime need no onnx. The network is
the contract in small: antialiased resize to 8 x 8 on uint8, (x - 128) / 64, a 1x1 convolution, the
mean over all pixels. Its logits are 4 r - 2 g - 2 b and so on, where r, g and b are the mean red,
green and blue after normalisation: red pictures are red.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from zoo.files import sha256
from zoo.records.card import Card, DataFacts, Input, StudentFacts, Variant, to_json
from zoo.records.measures import Score

FOLDER = Path(__file__).parent / "tiny"
SIZE = 8  # pixels
LABELS = ["red", "green", "blue"]
WEIGHT = np.array([[4, -2, -2], [-2, 4, -2], [-2, -2, 4]], np.float32)[:, :, None, None]
METADATA = {
    "studentzoo.format": "1",
    "studentzoo.name": "colours-tiny.test",
    "studentzoo.task": "image-classification",
    "studentzoo.labels": json.dumps(LABELS),
    "studentzoo.input": json.dumps(
        {"name": "image", "dtype": "uint8", "layout": "NHWC", "color": "RGB", "size": SIZE}
    ),
    "studentzoo.licence": "Apache-2.0",
    "studentzoo.recipe": "0" * 64,
}


def head() -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Nodes from `image` to `x`, float (n, 3, 8, 8)."""
    nodes = [
        helper.make_node(
            "Resize",
            ["image", "", "", "sizes"],
            ["small"],
            mode="linear",
            antialias=1,
            axes=[1, 2],
            coordinate_transformation_mode="half_pixel",
        ),
        helper.make_node("Cast", ["small"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["float", "centre"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["normal"]),
        helper.make_node("Transpose", ["normal"], ["x"], perm=[0, 3, 1, 2]),
    ]
    constants = [
        numpy_helper.from_array(np.array([SIZE, SIZE], np.int64), "sizes"),
        numpy_helper.from_array(np.float32(128), "centre"),
        numpy_helper.from_array(np.float32(64), "scale"),
    ]
    return nodes, constants


def tail(x: str, weight: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Conv", [x, weight], ["scores"]),
        helper.make_node("GlobalAveragePool", ["scores"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["logits"]),
    ]


def fp32() -> onnx.ModelProto:
    nodes, constants = head()
    return model(nodes + tail("x", "weight"), [*constants, array("weight", WEIGHT)])


def int8() -> onnx.ModelProto:
    """The same with 8-bit weights per channel and 8-bit activations at the convolution's input."""
    nodes, constants = head()
    scale = np.abs(WEIGHT).max(axis=(1, 2, 3)) / 127
    rounded = np.round(WEIGHT / scale[:, None, None, None]).astype(np.int8)
    constants += [
        array("w8", rounded),
        array("w_scale", scale.astype(np.float32)),
        array("w_zero", np.zeros(3, np.int8)),
        array("x_scale", np.float32(1 / 64)),
        array("x_zero", np.uint8(128)),
    ]
    nodes += [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["x8"]),
        helper.make_node("DequantizeLinear", ["x8", "x_scale", "x_zero"], ["xq"]),
        helper.make_node("DequantizeLinear", ["w8", "w_scale", "w_zero"], ["wq"], axis=0),
    ]
    return model(nodes + tail("xq", "wq"), constants)


def array(name: str, value: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(value), name)


def model(nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(LABELS)])],
        constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(made, METADATA)
    onnx.checker.check_model(made, full_check=True)
    return made


def logits(path: Path, images: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"image": images})[0]


def card(files: dict[str, Path]) -> Card:
    """A card with every field, of a student that was never trained; its scores are made up."""
    sure = Score("top-1 accuracy", "made colours", "test", 4, 1.0, 0.51, 1.0)
    return Card(
        format=1,
        name=METADATA["studentzoo.name"],
        task=METADATA["studentzoo.task"],
        summary="Tells red, green and blue pictures apart; made by hand for the tests.",
        licence=METADATA["studentzoo.licence"],
        created="2025-01-01",
        code_commit="0" * 40,
        labels=tuple(LABELS),
        input=Input(**json.loads(METADATA["studentzoo.input"])),
        student=StudentFacts("colours", {}, WEIGHT.size, WEIGHT.size * SIZE * SIZE),
        teacher=None,
        data=DataFacts("made", "", "CC0-1.0", "0" * 64, 0, 0, 4),
        recipe_sha256=METADATA["studentzoo.recipe"],
        run_sha256="0" * 64,
        variants={
            name: Variant(path.name, sha256(path), path.stat().st_size, sure, None, 1.0, None, None)
            for name, path in files.items()
        },
        seeds=None,
        attempts=(),
        gates={},
        latency=(),
    )


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    files = {"fp32": FOLDER / "model.fp32.onnx", "int8": FOLDER / "model.int8.onnx"}
    onnx.save(fp32(), files["fp32"])
    onnx.save(int8(), files["int8"])
    inputs = np.random.default_rng(0).integers(0, 256, (4, 10, 12, 3), np.uint8)
    np.savez_compressed(
        FOLDER / "golden.npz",
        inputs=inputs,
        fp32=logits(files["fp32"], inputs),
        int8=logits(files["int8"], inputs),
        tolerance_fp32=np.float32(1e-3),
        tolerance_int8=np.float32(0.1),
    )
    (FOLDER / "card.json").write_text(to_json(card(files)), encoding="utf-8")


if __name__ == "__main__":
    main()
