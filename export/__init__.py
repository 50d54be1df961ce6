"""A torch student in, one ONNX file out that is the whole model, proved equal (torch and onnx).

export.to_onnx(module, "student.onnx", image_size=32, metadata={}, pictures=real)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from export.errors import ExportError

if TYPE_CHECKING:
    from export.onnx_file import to_onnx as to_onnx

__all__ = ["ExportError", "to_onnx"]


def __getattr__(name: str) -> Any:
    """`import export` loads no torch: `to_onnx` is imported when it is used."""
    if name != "to_onnx":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from export.onnx_file import to_onnx

    return to_onnx
