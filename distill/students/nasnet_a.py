"""NASNet-A (Zoph et al. 2018): two searched cells, of sums of separable convolutions and pools.

Every reader of a cell's output begins with a ReLU, so a cell gives its output rectified, once.
Strided operations pad alike on both sides, as the other students do. Batch norm after the joined
halves of a factorized reduction is one for each half: the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.students.image import ImageInput
from distill.students.layers import STEMS, Head, conv_norm


@dataclass(frozen=True)
class Wiring:
    """A cell of the paper's figure 4: state 0 is h_i, state 1 is h_(i-1), each block adds one."""

    blocks: tuple[tuple[tuple[str, int], tuple[str, int]], ...]  # the two (operation, state) summed
    joined: tuple[int, ...]  # the states that make the output
    stride: int  # of the operations that read states 0 and 1


NORMAL = Wiring(
    blocks=(
        (("sep5", 0), ("sep3", 1)),
        (("sep5", 1), ("sep3", 1)),
        (("avg3", 0), ("id", 1)),
        (("avg3", 1), ("avg3", 1)),
        (("sep3", 0), ("id", 0)),
    ),
    joined=(1, 2, 3, 4, 5, 6),
    stride=1,
)
REDUCTION = Wiring(
    blocks=(
        (("sep5", 0), ("sep7", 1)),
        (("max3", 0), ("sep7", 1)),
        (("avg3", 0), ("sep5", 1)),
        (("id", 3), ("avg3", 2)),
        (("sep3", 2), ("max3", 0)),
    ),
    joined=(3, 4, 5, 6),
    stride=2,
)


def separable(channels: int, kernel: int, stride: int) -> nn.Sequential:
    """Depthwise, pointwise, norm; twice, a ReLU between. The first ReLU is the caller's."""
    padding = kernel // 2

    def depthwise(step: int) -> nn.Conv2d:
        return nn.Conv2d(channels, channels, kernel, step, padding, groups=channels, bias=False)

    first = conv_norm(channels, channels)
    return nn.Sequential(
        depthwise(stride), first, depthwise(1), conv_norm(channels, channels, relu=False)
    )


def operation(name: str, channels: int, stride: int) -> nn.Module:
    """`sep3`, `sep5`, `sep7`, `avg3` (padding is not counted), `max3` or `id`."""
    if name == "id":
        return nn.Identity()  # always at stride 1: no block reads states 0 or 1 so, and halves them
    if name == "avg3":
        return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    if name == "max3":
        return nn.MaxPool2d(3, stride, 1)
    return separable(channels, int(name.removeprefix("sep")), stride)


class FactorizedReduction(nn.Module):
    """Side halved without losing pixels: half of the channels reads the even, half the odd ones."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.even = conv_norm(i, o // 2, stride=2, relu=False)
        self.odd = conv_norm(i, o - o // 2, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2] % 2, x.shape[3] % 2
        padded = F.pad(x, (0, width, 0, height)) if height or width else x
        return torch.cat([self.even(x), self.odd(padded[:, :, 1::2, 1::2])], 1)


def drop_path(x: Tensor, keep: float) -> Tensor:
    """All of an example becomes 0 with probability 1 - keep, else it is divided by keep.

    FractalNet (Larsson et al. 2017), section 2.2; x: (n, c, h, w).
    """
    return x * (torch.rand(len(x), 1, 1, 1, device=x.device) < keep) / keep


class Cell(nn.Module):
    """h_(i-1) and h_i, both rectified, to (n, joined * filters, h', w'), rectified."""

    def __init__(
        self,
        wiring: Wiring,
        before: int,  # channels of h_(i-1)
        channels: int,  # of h_i
        filters: int,
        halve: bool,  # h_(i-1) has twice the side of h_i
        keep: float,  # probability that drop-path keeps a branch
    ) -> None:
        super().__init__()
        self.wiring, self.keep = wiring, keep
        project = FactorizedReduction(before, filters) if halve else None
        self.before = project or conv_norm(before, filters, relu=False)
        self.here = conv_norm(channels, filters, relu=False)
        self.branches = nn.ModuleList(
            operation(name, filters, wiring.stride if state < 2 else 1)
            for block in wiring.blocks
            for name, state in block
        )

    def forward(self, before: Tensor, x: Tensor) -> Tensor:
        states = [self.here(x), self.before(before)]
        rectified = [F.relu(state) for state in states]
        pools: dict[tuple[str, int], Tensor] = {}  # two blocks may read the same one
        branches = iter(self.branches)
        for block in self.wiring.blocks:
            terms = []
            for name, state in block:
                branch, read = next(branches), (name, state)
                if name.startswith("sep"):
                    term = branch(rectified[state])
                else:
                    term = pools[read] = pools[read] if read in pools else branch(states[state])
                terms.append(self._dropped(name, term))
            states.append(terms[0] + terms[1])
            rectified.append(F.relu(states[-1]))
        return torch.cat([rectified[state] for state in self.wiring.joined], 1)

    def _dropped(self, name: str, term: Tensor) -> Tensor:
        drops = self.training and self.keep < 1 and name != "id"
        return drop_path(term, self.keep) if drops else term


class NASNetA(nn.Module):
    """uint8 (n, h, w, 3) to logits (n, classes), without the auxiliary head.

    4@1056 of the paper is cells 4, filters 44, stem imagenet; 6@768 is cells 6, filters 32, stem
    small. The first cell, which has no h_(i-1), projects the stem twice. Drop-path is scaled by a
    cell's place, not by the progress of training, which a network is not told.
    """

    def __init__(
        self,
        classes: int,
        image_size: int,  # pixels a side that the network works on; left out: the data's
        cells: int = 4,  # normal cells in each of the three stages
        filters: int = 44,  # of the first stage's operations, a multiple of 4; doubles twice
        stem: str = "imagenet",  # imagenet: the side becomes an eighth; small: it is kept
        path_keep: float = 1.0,  # drop-path keeps a branch of the last cell so often; 1: all of it
    ) -> None:
        super().__init__()
        _check(cells, filters, stem, path_keep)
        self.input = ImageInput(image_size)
        self.stem, channels = _stem(stem, filters)
        plan = _plan(cells, filters, stem)
        before, layers, halve = channels, [], False
        for index, (wiring, width) in enumerate(plan, 1):
            keep = 1 - (1 - path_keep) * index / len(plan)
            layers.append(Cell(wiring, before, channels, width, halve, keep))
            before, channels = channels, width * len(wiring.joined)
            halve = wiring.stride == 2
        self.cells = nn.ModuleList(layers)
        self.head = Head(channels, classes)

    def forward(self, image: Tensor) -> Tensor:
        before = x = self.stem(self.input(image))
        for cell in self.cells:
            before, x = x, cell(before, x)
        return self.head(x)


def _check(cells: int, filters: int, stem: str, path_keep: float) -> None:
    if type(cells) is not int or cells < 1:
        raise ValueError(f"cells must be a whole number >= 1, not {cells!r}")
    if type(filters) is not int or filters < 4 or filters % 4:
        raise ValueError(f"filters must be a multiple of 4, not {filters!r}")
    if stem not in STEMS:
        raise ValueError(f"stem must be one of {STEMS}, not {stem!r}")
    if not 0 < path_keep <= 1:
        raise ValueError(f"path_keep must be in (0, 1], not {path_keep!r}")


def _stem(kind: str, filters: int) -> tuple[nn.Sequential, int]:
    """One convolution, and how many channels it gives; that of `imagenet` does not pad."""
    if kind == "small":
        return conv_norm(3, 3 * filters, 3), 3 * filters
    conv = nn.Conv2d(3, 32, 3, 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(32), nn.ReLU(inplace=True)), 32


def _plan(cells: int, filters: int, stem: str) -> list[tuple[Wiring, int]]:
    """Every cell's wiring and filters, first one first."""
    plan = [(REDUCTION, filters // 4), (REDUCTION, filters // 2)] if stem == "imagenet" else []
    for stage in range(3):
        width = filters << stage
        plan += [(REDUCTION, width)] if stage else []
        plan += [(NORMAL, width)] * cells
    return plan
