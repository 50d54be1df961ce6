"""Matrix products in 8 bits that measure their activations as they run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic

from compress import calibrate, graph
from compress.errors import CompressError
from compress.qdq import quiet
from compress.tidy import tidy


@dataclass(frozen=True)
class Dynamic:
    """One attempt."""

    name: str
    operators: tuple[str, ...] = ("MatMul", "Gemm")


LADDER = (Dynamic("dynamic"), Dynamic("dynamic-matmul", ("MatMul",)))


def quantize(source: Path, path: Path, settings: Dynamic) -> Path:
    """Write the 8-bit twin of the float file `source`."""
    model = graph.read(source)
    raw = path.with_suffix(".raw.onnx")
    try:
        with quiet():
            quantize_dynamic(
                model,
                str(raw),
                op_types_to_quantize=list(settings.operators),
                per_channel=True,
                weight_type=QuantType.QInt8,
                extra_options={"MatMulConstBOnly": True},
            )
    except (ValueError, TypeError, RuntimeError, KeyError, *calibrate.REFUSALS) as error:  # type: ignore[misc]
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        hint = "the float file can be used as it is"
        raise CompressError(f"onnxruntime cannot quantize the model: {said}", hint) from error
    return graph.save(tidy(graph.read(raw)), path)
