"""A module's own way of normalising a picture, kept in the file.

The head of every file gives planes `(byte - 128) / 64`. A module whose `input` child gives other
numbers for the same bytes, in other order or of another scale, gets them from those.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from export.answers import FAULTS, reason
from export.errors import ExportError
from export.head import SCALE, ZERO

LEVEL = 1e-4  # of a byte's step: how well planes are known
ROUNDINGS = 1.01  # bytes that a resize in torch and one in onnxruntime may differ


class Affine(nn.Module):
    """Planes float32 (n, 3, h, w) of the head to (n, c, h, w) of a module's own."""

    def __init__(self, order: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> None:
        super().__init__()
        self.order = None if order.tolist() == [0, 1, 2] else order.tolist()
        self.scale: torch.Tensor
        self.shift: torch.Tensor
        self.register_buffer("scale", scale.reshape(1, -1, 1, 1))
        self.register_buffer("shift", shift.reshape(1, -1, 1, 1))

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        if self.order is not None:
            planes = planes[:, self.order]
        return planes * self.scale + self.shift


def normalisation(own: nn.Module, size: int, name: str) -> nn.Module:
    """What makes the planes of `own` of the head's; `Identity` where they are the same.

    own: a module's child `input`, uint8 (n, h, w, 3) to planes. `ExportError` that names it where
    it does more than resize, order and scale.
    """
    picture = _bytes(size, size)
    wanted, head = _planes(own, picture, name), _head(picture)
    found = Affine(torch.arange(3), torch.ones(3), torch.zeros(3))
    same = wanted.shape == head.shape and (wanted - head).abs().max() <= LEVEL * SCALE
    if not same:
        found = _fitted(own, size, name)
    step = SCALE * found.scale.abs().max().item()
    _check(wanted, found(head), LEVEL * step, name, "of the network's own size")
    others = [_bytes(*sides) for sides in _others(size)]
    seen = [_planes(own, picture, name) for picture in others]
    if any(planes.shape[2:] == wanted.shape[2:] for planes in seen):  # it resizes: as the head?
        for picture, planes in zip(others, seen, strict=True):
            given = found(_head(resized(picture, size)))
            what = "of another size, {} x {}".format(*picture.shape[1:3])
            _check(planes, given, ROUNDINGS * step, name, what)
    return nn.Identity() if same else found


def _others(size: int) -> list[tuple[int, int]]:
    """Heights and widths that are not the network's: wide, tall, small, and as thin as can be."""
    large, small = size + size // 2 + 1, max(1, size // 2 - 1)
    return [(large, 2 * size + 1), (2 * size + 1, large), (small, small), (1, 3 * size)]


def _bytes(height: int, width: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (2, height, width, 3), dtype=np.uint8))


def _head(picture: torch.Tensor) -> torch.Tensor:
    return (picture.permute(0, 3, 1, 2).float() - ZERO) * SCALE


def resized(picture: torch.Tensor, size: int) -> torch.Tensor:
    """Bytes uint8 (n, h, w, 3) as the head resizes them: (n, size, size, 3)."""
    planes = picture.permute(0, 3, 1, 2)
    planes = nn.functional.interpolate(planes, [size, size], mode="bilinear", antialias=True)
    return planes.permute(0, 2, 3, 1)


def _planes(own: nn.Module, picture: torch.Tensor, name: str) -> torch.Tensor:
    try:
        with torch.inference_mode():
            planes = own(picture)
    except FAULTS as error:
        what = f"the `input` of {name} fails on {tuple(picture.shape)} uint8"
        raise ExportError(f"{what}: {reason(error)}", "it takes pictures (n, h, w, 3)") from error
    if not isinstance(planes, torch.Tensor) or planes.ndim != 4 or not planes.is_floating_point():
        what = f"the `input` of {name} gives no planes float (n, c, h, w)"
        raise ExportError(what, "it resizes and normalises the picture")
    return planes.float().clone()


def _fitted(own: nn.Module, size: int, name: str) -> Affine:
    """The scale of each plane, and the colour that it is made of: from black, white and colours."""
    colours = torch.tensor([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], dtype=torch.uint8)
    picture = colours[:, None, None, :].expand(4, size, size, 3).contiguous()
    planes = _planes(own, picture, name).double()
    values = planes[:, :, planes.shape[2] // 2, planes.shape[3] // 2]
    slopes = (values[1:] - values[0]).T / (255 * SCALE)  # (c, 3): of a plane for a colour
    order = slopes.abs().argmax(1)
    scale = slopes[torch.arange(len(slopes)), order]
    shift = values[0] + scale * ZERO * SCALE
    return Affine(order, scale.float(), shift.float())


def _check(wanted: torch.Tensor, given: torch.Tensor, allowed: float, name: str, what: str) -> None:
    off = (wanted - given).abs().max().item() if wanted.shape == given.shape else float("inf")
    if not off <= allowed:
        raise ExportError(
            f"the `input` of {name} cannot be kept: on a picture {what} it is {off:.3g} off",
            "it may resize (bilinear, antialiased, to a square), order the colours and scale them",
        )
