"""Views: what teacher and student both see of a picture, drawn again from a number at any time.

A view of a data set is decided by one integer. `draw` turns it into the parameters of every picture
(crop, flip, cutout, partner and weight of mixup); `apply` makes the pictures of any rows. The same
rows give the same bytes in whatever batch, order or process they are asked for, so what the teacher
said of a view can be kept and used later.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from distill.config import Augment
from distill.errors import DistillError


@dataclass(frozen=True)
class View:
    """Parameters of n pictures, each a tensor (n,)."""

    dy: Tensor  # rows moved, pixels, in [-crop_padding, crop_padding]
    dx: Tensor  # columns moved
    flip: Tensor  # bool
    hole_y: Tensor  # centre of the cutout square, pixels
    hole_x: Tensor
    partner: Tensor  # row mixed in
    weight: Tensor  # of the row itself, float32 in [0.5, 1]

    def to(self, device: str) -> View:
        """The same, there."""
        return View(*(getattr(self, one.name).to(device) for one in fields(self)))


def check(augment: Augment, size: int) -> None:
    """Pictures of size x size pixels have room for it."""
    if augment.crop_padding >= size:
        raise DistillError(
            f"crop_padding {augment.crop_padding} is too much for pictures of {size} pixels",
            "make augment.crop_padding smaller than data.image_size",
            ("augment", "crop_padding"),
        )


def draw(augment: Augment, n: int, size: int, seed: int) -> View:
    """The view with this number (seed >= 0) of n pictures of size x size pixels."""
    check(augment, size)
    rng = np.random.Generator(np.random.Philox(key=seed))
    pad = augment.crop_padding
    weight = np.ones(n)
    shift = rng.integers(-pad, pad + 1, (2, n))
    flip = rng.random(n) < 0.5 if augment.flip else np.zeros(n, bool)
    hole = rng.integers(0, size, (2, n))
    partner = rng.permutation(n)
    if augment.mixup > 0:
        weight = rng.beta(augment.mixup, augment.mixup, n)
        weight = np.maximum(weight, 1 - weight)  # the row itself always prevails
    tensors = (*shift, flip, *hole, partner, weight.astype(np.float32))
    return View(*(torch.from_numpy(np.ascontiguousarray(t)) for t in tensors))


def apply(augment: Augment, view: View, images: Tensor, rows: Tensor) -> Tensor:
    """The pictures of rows (b,) in this view: images uint8 (n, s, s, 3) to uint8 (b, s, s, 3)."""
    batch = _moved(view, images, rows)
    if augment.mixup > 0:
        weight = view.weight[rows][:, None, None, None]
        other = _moved(view, images, view.partner[rows]).float()
        batch = (weight * batch.float() + (1 - weight) * other).round().to(torch.uint8)
    if augment.cutout > 0:
        batch = batch.masked_fill(_holes(view, rows, augment.cutout, images.shape[1]), 128)
    return batch


def targets(augment: Augment, view: View, labels: Tensor, rows: Tensor, classes: int) -> Tensor:
    """True classes of rows (b,) in this view: distributions float32 (b, classes)."""
    own = torch.nn.functional.one_hot(labels[rows], classes).float()
    if augment.mixup <= 0:
        return own
    other = torch.nn.functional.one_hot(labels[view.partner[rows]], classes).float()
    weight = view.weight[rows][:, None]
    return weight * own + (1 - weight) * other


def _moved(view: View, images: Tensor, rows: Tensor) -> Tensor:
    """Rows cropped and mirrored; beyond the border the picture is reflected."""
    size = images.shape[1]
    ramp = torch.arange(size, device=images.device)
    y = _reflect(ramp + view.dy[rows][:, None], size)
    x = _reflect(ramp + view.dx[rows][:, None], size)
    x = torch.where(view.flip[rows][:, None], x.flip(1), x)
    return images[rows[:, None, None], y[:, :, None], x[:, None, :]]


def _reflect(index: Tensor, size: int) -> Tensor:
    index = index.abs()
    return torch.where(index >= size, 2 * (size - 1) - index, index)


def _holes(view: View, rows: Tensor, side: int, size: int) -> Tensor:
    """Mask (b, s, s, 1) of a square of side pixels around each centre, cut at the border."""
    ramp = torch.arange(size, device=view.hole_y.device)
    top, left = view.hole_y[rows][:, None] - side // 2, view.hole_x[rows][:, None] - side // 2
    in_y = (ramp >= top) & (ramp < top + side)
    in_x = (ramp >= left) & (ramp < left + side)
    return (in_y[:, :, None] & in_x[:, None, :])[..., None]
