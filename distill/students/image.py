"""The head that every vision student shares: raw bytes in, normalised planes out."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def resized(planes: Tensor, size: int) -> Tensor:
    """uint8 (n, 3, h, w) to whole numbers in [0, 255], (n, 3, size, size).

    Bilinear, antialiased; what has the size passes untouched.
    """
    if planes.shape[2:] == (size, size):
        return planes
    planes = planes if planes.is_cpu else planes.float()  # CUDA resizes floats only
    planes = F.interpolate(planes, [size, size], mode="bilinear", antialias=True)
    return planes.round().clamp(0, 255)


class ImageInput(nn.Module):
    """Resize (bilinear, antialiased) to a square and normalise: the only preprocessing there is.

    uint8 (n, h, w, 3) RGB, any h and w >= 1, becomes float32 (n, 3, size, size), each
    `(pixel - 128) / 64`: in uint8 quantization a zero point and a scale, so that an 8-bit student
    reads the raw bytes and zero padding stays exact. A picture of the right size passes untouched.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, image: Tensor) -> Tensor:
        planes = resized(image.permute(0, 3, 1, 2), self.size)
        return (planes.float() - 128.0) / 64.0
