"""Pieces that the convolutional students share."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

STEMS = ("imagenet", "small")


def conv_norm(
    i: int, o: int, kernel: int = 1, stride: int = 1, groups: int = 1, relu: bool = True
) -> nn.Sequential:
    """Convolution without bias, batch norm, and ReLU if asked: (n, i, h, w) to (n, o, h', w')."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["conv"] = nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=False)
    parts["norm"] = nn.BatchNorm2d(o)
    if relu:
        parts["relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(parts)


def stem(kind: str, channels: int) -> nn.Sequential:
    """First layers: `imagenet` quarters the side (stride-2 conv, max-pool), `small` keeps it."""
    if kind not in STEMS:
        raise ValueError(f"stem must be one of {STEMS}, not {kind!r}")
    if kind == "small":
        return conv_norm(3, channels, 3)
    return nn.Sequential(conv_norm(3, channels, 3, 2), nn.MaxPool2d(3, 2, 1))


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """(n, c, h, w): channels as (groups, c / groups), transposed, flat (ShuffleNet, sec. 3.1)."""
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class Head(nn.Module):
    """Global average pool and a linear classifier: (n, c, h, w) to logits (n, classes)."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.mean((2, 3)))
