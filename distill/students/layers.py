"""Pieces that the convolutional students share."""

from __future__ import annotations

from collections import OrderedDict

import torch
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
    """(n, c, h, w): channels as (groups, c / groups), transposed, flat (ShuffleNet, sec. 3.1).

    The layout in memory stays what it was: one that changes makes all that follows slower, forth
    and back.
    """
    n, c, h, w = x.shape
    if is_channels_last(x):
        split = x.permute(0, 2, 3, 1).reshape(n, h, w, groups, c // groups)
        return split.transpose(3, 4).reshape(n, h, w, c).permute(0, 3, 1, 2)
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


def shuffled_pair(a: Tensor, b: Tensor) -> Tensor:
    """`channel_shuffle(cat([a, b], 1), 2)` of two (n, c, h, w): a's and b's channels by turns."""
    if not is_channels_last(b):
        return channel_shuffle(torch.cat([a, b], 1), 2)
    pair = [keep_layout(one).permute(0, 2, 3, 1) for one in (a, b)]
    return torch.stack(pair, 4).flatten(3).permute(0, 3, 1, 2)


def is_channels_last(x: Tensor) -> bool:
    """Whether the channels of (n, c, h, w) lie side by side in memory, and nothing else can be."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def keep_layout(x: Tensor) -> Tensor:
    """x; its gradient comes back with the channels side by side, as layers before it need it."""
    if x.requires_grad:
        x = x.view_as(x)  # a hook on x itself would change it for its other readers
        x.register_hook(_channels_last)
    return x


def _channels_last(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)


class Head(nn.Module):
    """Global average pool and a linear classifier: (n, c, h, w) to logits (n, classes)."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.mean((2, 3)))
