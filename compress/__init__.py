"""A float ONNX file in, a smaller and faster 8-bit one out (onnx, onnxruntime; no torch)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compress.foreign import Report, Speed

__all__ = ["compress"]


def compress(
    path: Path, pictures: Sequence[Any], *, out: Path, speed: Callable[[Path], Speed], **more: Any
) -> Report:
    """Anybody's ONNX file to 8 bits, or refused; see `compress.foreign.compress`."""
    from compress import foreign

    return foreign.compress(path, pictures, out=out, speed=speed, **more)
