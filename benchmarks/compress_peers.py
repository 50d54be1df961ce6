"""Another tool's 8-bit file of a float one: run by the interpreter of the environment it is in.

    python benchmarks/compress_peers.py TOOL model.onnx calibration.npz out.onnx

The .npz holds an array (n, ...) for each input, or `pictures` uint8 (n, h, w, 3) with the `mean`
and `std` (3), of pixels in [0, 1], that the model is used to. Prints the tool's version and what it
cost in CPU seconds, as JSON. Every tool gets what its own manual advises for a processor: nothing
here is meant to lose. This file imports nothing of this project.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx

Feed = dict[str, np.ndarray]
Quantizer = Callable[[Path, Path, Path], None]  # float file, calibration, 8-bit file


def feeds(model: Path, calibration: Path) -> Iterator[Feed]:
    """One example a time, as the model reads it."""
    graph = onnx.load(str(model), load_external_data=False).graph
    kept = np.load(calibration)
    if "pictures" not in kept:
        names = [value.name for value in graph.input]
        for k in range(len(kept[names[0]])):
            length = int(kept["attention_mask"][k].sum())  # without the padding behind
            yield {name: kept[name][k : k + 1, :length] for name in names}
        return
    mean, std = kept["mean"].astype(np.float32), kept["std"].astype(np.float32)
    for picture in kept["pictures"]:
        planes = ((picture.astype(np.float32) / 255 - mean) / std).transpose(2, 0, 1)
        yield {graph.input[0].name: np.ascontiguousarray(planes[None])}


def is_text(calibration: Path) -> bool:
    """Whether the model is an encoder of texts."""
    return "pictures" not in np.load(calibration)


def tidied(model: Path, calibration: Path, folder: str) -> Path:
    """After onnxruntime's own pre-processing, as its manual says to do first.

    Its symbolic shape inference refuses the encoder ("Incomplete symbolic shape inference").
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    plain, out = Path(folder) / "plain.onnx", Path(folder) / "tidied.onnx"
    loaded = onnx.load(str(model))
    del loaded.graph.value_info[:]  # the exporter's, which the tool's shape inference disputes
    onnx.save(loaded, str(plain))
    quant_pre_process(str(plain), str(out), skip_symbolic_shape=is_text(calibration))
    return out


def ort_static(model: Path, calibration: Path, out: Path) -> None:
    """onnxruntime: QDQ, a scale a channel, u8 activations and s8 weights."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._feeds = feeds(model, calibration)

        def get_next(self) -> Feed | None:
            return next(self._feeds, None)

    with tempfile.TemporaryDirectory() as folder:
        quantize_static(
            str(tidied(model, calibration, folder)),
            str(out),
            Reader(),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def ort_dynamic(model: Path, calibration: Path, out: Path) -> None:
    """onnxruntime: ranges found at every call; no calibration."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        tidy = str(tidied(model, calibration, folder))
        quantize_dynamic(tidy, str(out), per_channel=True, weight_type=QuantType.QInt8)


def ort_transformer(model: Path, calibration: Path, out: Path) -> None:
    """onnxruntime: its optimizer of transformers, then ranges found at every call."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers.optimizer import optimize_model

    with tempfile.TemporaryDirectory() as folder:
        fused = Path(folder) / "fused.onnx"
        optimize_model(str(model), "bert", num_heads=12, hidden_size=384).save_model_to_file(
            str(fused)
        )
        quantize_dynamic(str(fused), str(out), per_channel=True, weight_type=QuantType.QInt8)


def olive(model: Path, calibration: Path, out: Path, **settings: Any) -> None:
    """Olive's pass OnnxStaticQuantization."""
    os.environ["OLIVE_DISABLE_TELEMETRY"] = "1"
    import torch
    from olive.data.config import DataConfig
    from olive.data.registry import Registry
    from olive.model import ONNXModelHandler
    from olive.passes.olive_pass import create_pass_from_dict
    from olive.passes.onnx.quantization import OnnxStaticQuantization

    class Examples(torch.utils.data.Dataset):
        def __init__(self) -> None:
            self._feeds = list(feeds(model, calibration))

        def __len__(self) -> int:
            return len(self._feeds)

        def __getitem__(self, k: int) -> tuple[Feed, int]:
            return {name: array[0] for name, array in self._feeds[k].items()}, 0

    @Registry.register_dataset("compress_peers")
    def examples(**_: Any) -> Examples:
        return Examples()

    data = DataConfig(
        name="calibration",
        type="DummyDataContainer",
        load_dataset_config={"type": "compress_peers"},
        pre_process_data_config={"type": "skip_pre_process"},
        post_process_data_config={"type": "skip_post_process"},
        dataloader_config={"type": "default_dataloader", "batch_size": 1},
    )
    with tempfile.TemporaryDirectory() as folder:
        made = create_pass_from_dict(
            OnnxStaticQuantization, {"data_config": data, **settings}, disable_search=True
        ).run(ONNXModelHandler(str(model)), str(Path(folder) / "out"))
        onnx.save(onnx.load(made.model_path), str(out))


def olive_tuned(model: Path, calibration: Path, out: Path) -> None:
    """The same with what suits a processor: a scale a channel, u8 activations."""
    olive(model, calibration, out, per_channel=True, activation_type="uint8")


def nncf(model: Path, calibration: Path, out: Path, **settings: Any) -> None:
    """NNCF."""
    import nncf

    if is_text(calibration):
        settings["model_type"] = nncf.ModelType.TRANSFORMER
    examples = list(feeds(model, calibration))
    made = nncf.quantize(
        onnx.load(str(model)), nncf.Dataset(examples), subset_size=len(examples), **settings
    )
    onnx.save(made, str(out))


def nncf_mixed(model: Path, calibration: Path, out: Path) -> None:
    """NNCF with asymmetric activations."""
    from nncf import QuantizationPreset

    nncf(model, calibration, out, preset=QuantizationPreset.MIXED)


# name: (package whose version is told, what makes the file)
TOOLS: dict[str, tuple[str, Quantizer]] = {
    "ort-static": ("onnxruntime", ort_static),
    "ort-dynamic": ("onnxruntime", ort_dynamic),
    "ort-transformer": ("onnxruntime", ort_transformer),
    "olive": ("olive-ai", olive),
    "olive-tuned": ("olive-ai", olive_tuned),
    "nncf": ("nncf", nncf),
    "nncf-mixed": ("nncf", nncf_mixed),
}


def main() -> int:
    if len(sys.argv) != 5 or sys.argv[1] not in TOOLS:
        print(
            f"{(__doc__ or '').splitlines()[2].strip()}; TOOL: {', '.join(TOOLS)}", file=sys.stderr
        )
        return 2
    package, quantize = TOOLS[sys.argv[1]]
    began = time.process_time()
    with contextlib.redirect_stdout(sys.stderr):  # the tools talk
        quantize(*map(Path, sys.argv[2:]))
    spent = round(time.process_time() - began, 1)
    print(json.dumps({"version": importlib.metadata.version(package), "cpu_seconds": spent}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
