"""ShuffleNet v1 (Zhang et al. 2018): grouped 1x1 convolutions with a channel shuffle between."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.students.image import ImageInput
from distill.students.layers import Head, channel_shuffle, conv_norm
from distill.students.layers import stem as make_stem

# groups: channels of stages 2, 3, 4 at width 1 (the paper's table 1)
_CHANNELS = {
    1: (144, 288, 576),
    2: (200, 400, 800),
    3: (240, 480, 960),
    4: (272, 544, 1088),
    8: (384, 768, 1536),
}
_REPEATS = (4, 8, 4)


class Unit(nn.Module):
    """Grouped 1x1, shuffle, depthwise 3x3, grouped 1x1; added to x, or at stride 2 beside its pool.

    first: the unit after the stem, whose first 1x1 is not grouped (section 3.2). shuffle: without
    it the groups never meet inside a unit (the paper's ablation).
    """

    def __init__(
        self,
        i: int,
        o: int,
        groups: int,
        stride: int,
        first: bool = False,
        shuffle: bool = True,
    ) -> None:
        super().__init__()
        mid, out = o // 4, o - i if stride == 2 else o
        self.groups, self.stride, self.shuffle = groups, stride, shuffle
        self.reduce = conv_norm(i, mid, groups=1 if first else groups)
        self.depthwise = conv_norm(mid, mid, 3, stride, groups=mid, relu=False)
        self.expand = conv_norm(mid, out, groups=groups, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.reduce(x)
        y = channel_shuffle(y, self.groups) if self.shuffle else y
        y = self.expand(self.depthwise(y))
        if self.stride == 1:
            return F.relu(x + y)
        return F.relu(torch.cat([F.avg_pool2d(x, 3, 2, 1), y], 1))


class ShuffleNetV1(nn.Module):
    """uint8 (n, h, w, 3) to logits (n, classes); groups 1, 2, 3, 4 or 8; stem small or imagenet.

    width multiplies every channel count, the stem's too; where the paper's counts do not divide
    (0.25 and 0.5 with some groups) they are rounded up to a multiple of 4 * groups.
    """

    def __init__(
        self,
        classes: int,
        image_size: int,  # pixels a side that the network works on; left out: the data's
        groups: int = 3,  # of the 1x1 convolutions: 1, 2, 3, 4 or 8
        width: float = 1.0,  # what every channel count is multiplied with
        stem: str = "imagenet",  # imagenet: the side is quartered; small: it is kept
        shuffle: bool = True,  # false: channels stay in their groups, the paper's ablation
    ) -> None:
        super().__init__()
        if groups not in _CHANNELS:
            raise ValueError(f"groups must be one of {tuple(_CHANNELS)}, not {groups}")
        if width <= 0:
            raise ValueError(f"width must be > 0, not {width}")
        self.input = ImageInput(image_size)
        channels = _round_up(24 * width, groups)
        self.stem = make_stem(stem, channels)
        units: list[nn.Module] = []
        for stage, repeats in zip(_CHANNELS[groups], _REPEATS, strict=True):
            out = _round_up(stage * width, 4 * groups)
            units.append(Unit(channels, out, groups, 2, not units, shuffle))
            units += [Unit(out, out, groups, 1, shuffle=shuffle) for _ in range(repeats - 1)]
            channels = out
        self.units = nn.Sequential(*units)
        self.head = Head(channels, classes)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.units(self.stem(self.input(image))))


def _round_up(channels: float, multiple: int) -> int:
    return -(-int(channels) // multiple) * multiple
