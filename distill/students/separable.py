"""A plain stack of separable cells: depthwise 3x3, pointwise 1x1 (Sifre 2014; MobileNet, 2017)."""

from __future__ import annotations

from torch import Tensor, nn

from distill.students.image import ImageInput
from distill.students.layers import Head, conv_norm

# size: channels of the first convolution, then channels and stride of each cell
SIZES: dict[str, tuple[int, tuple[tuple[int, int], ...]]] = {
    "small": (32, ((64, 2), (64, 1), (128, 2), (128, 1), (128, 1), (256, 2), (256, 1))),
    "base": (32, ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (256, 1), (512, 2), (512, 1))),
}


class SeparableNet(nn.Module):
    """uint8 (n, h, w, 3) to logits (n, classes); size small or base."""

    def __init__(
        self,
        classes: int,
        image_size: int,  # pixels a side that the network works on; left out: the data's
        size: str = "small",  # small, or base, which is twice as wide at the end
    ) -> None:
        super().__init__()
        if size not in SIZES:
            raise ValueError(f"size must be one of {tuple(SIZES)}, not {size!r}")
        channels, cells = SIZES[size]
        self.input = ImageInput(image_size)
        layers: list[nn.Module] = [conv_norm(3, channels, 3)]
        for out, stride in cells:
            layers += [conv_norm(channels, channels, 3, stride, channels), conv_norm(channels, out)]
            channels = out
        self.layers = nn.Sequential(*layers)
        self.head = Head(channels, classes)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.layers(self.input(image)))
