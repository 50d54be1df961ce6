"""A torch student in, one ONNX file out that is the whole model, proved equal (torch and onnx).

export.to_onnx(module, "student.onnx", image_size=32, metadata={}, pictures=real)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from export.errors import ExportError

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

__all__ = ["ExportError", "to_onnx"]


def to_onnx(
    module: nn.Module,
    path: str | Path,
    *,
    image_size: int,
    metadata: Mapping[str, str],
    pictures: np.ndarray | None = None,
) -> Path:
    """Raw pixels in, logits out, in one file; see `export.onnx_file.to_onnx`."""
    from export import onnx_file

    return onnx_file.to_onnx(
        module, path, image_size=image_size, metadata=metadata, pictures=pictures
    )
