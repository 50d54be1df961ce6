"""ShuffleNet v2 (Ma et al. 2018): split, transform one half, concatenate, shuffle."""

from __future__ import annotations

from torch import Tensor, nn

from distill.students.image import ImageInput
from distill.students.layers import Head, conv_norm, shuffled_pair
from distill.students.layers import stem as make_stem

# width: channels of stages 2, 3, 4 and of the last convolution (the paper's table 5)
_CHANNELS = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}
_REPEATS = (4, 8, 4)


class Unit(nn.Module):
    """One half of the channels goes through 1x1, depthwise 3x3, 1x1; then both halves mix."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            conv_norm(half, half),
            conv_norm(half, half, 3, groups=half, relu=False),
            conv_norm(half, half),
        )

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, 1)
        return shuffled_pair(kept, self.branch(changed))


class DownUnit(nn.Module):
    """Stride 2: both branches see every channel, the side halves, the channels become `o`."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        half = o // 2
        self.left = nn.Sequential(
            conv_norm(i, i, 3, 2, groups=i, relu=False),
            conv_norm(i, half),
        )
        self.right = nn.Sequential(
            conv_norm(i, half),
            conv_norm(half, half, 3, 2, groups=half, relu=False),
            conv_norm(half, half),
        )

    def forward(self, x: Tensor) -> Tensor:
        return shuffled_pair(self.left(x), self.right(x))


class ShuffleNetV2(nn.Module):
    """uint8 (n, h, w, 3) to logits (n, classes); width 0.5, 1, 1.5 or 2; stem small or imagenet."""

    def __init__(
        self,
        classes: int,
        image_size: int,  # pixels a side that the network works on; left out: the data's
        width: float = 1.0,  # 0.5, 1, 1.5 or 2
        stem: str = "imagenet",  # imagenet: the side is quartered; small: it is kept
    ) -> None:
        super().__init__()
        if width not in _CHANNELS:
            raise ValueError(f"width must be one of {tuple(_CHANNELS)}, not {width}")
        *stages, last = _CHANNELS[width]
        self.input = ImageInput(image_size)
        self.stem = make_stem(stem, 24)
        units: list[nn.Module] = []
        channels = 24
        for out, repeats in zip(stages, _REPEATS, strict=True):
            units += [DownUnit(channels, out), *(Unit(out) for _ in range(repeats - 1))]
            channels = out
        self.units = nn.Sequential(*units)
        self.last = conv_norm(channels, last)
        self.head = Head(last, classes)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.last(self.units(self.stem(self.input(image)))))
