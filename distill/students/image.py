"""The head that every vision student shares: raw bytes in, normalised planes out."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


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
        planes = image.permute(0, 3, 1, 2)
        if planes.shape[2:] != (self.size, self.size):
            planes = planes if planes.is_cpu else planes.float()  # CUDA resizes floats only
            target = [self.size, self.size]
            planes = F.interpolate(planes, target, mode="bilinear", antialias=True)
            planes = planes.round().clamp(0, 255)
        return (planes.float() - 128.0) / 64.0
