"""Networks that learn, one architecture a file: uint8 pictures in, logits out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from distill.errors import DistillError

if TYPE_CHECKING:
    from torch import nn


def _shufflenet_v1(**options: Any) -> nn.Module:
    from distill.students.shufflenet_v1 import ShuffleNetV1

    return ShuffleNetV1(**options)


def _shufflenet_v2(**options: Any) -> nn.Module:
    from distill.students.shufflenet_v2 import ShuffleNetV2

    return ShuffleNetV2(**options)


def _separable(**options: Any) -> nn.Module:
    from distill.students.separable import SeparableNet

    return SeparableNet(**options)


def _efficientnet_lite(**options: Any) -> nn.Module:
    from distill.students.efficientnet_lite import EfficientNetLite

    return EfficientNetLite(**options)


ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "shufflenet-v1": _shufflenet_v1,
    "shufflenet-v2": _shufflenet_v2,
    "separable": _separable,
    "efficientnet-lite": _efficientnet_lite,
}


def create(
    architecture: str, classes: int, image_size: int, options: Mapping[str, Any]
) -> nn.Module:
    """A fresh network: uint8 (n, h, w, 3) in, float32 logits (n, classes) out.

    image_size is the side in pixels that the network's first layer resizes to. Raises
    `DistillError` for a name or an option that does not exist.
    """
    if architecture not in ARCHITECTURES:
        raise DistillError(
            f"no architecture {architecture!r}", f"there are {', '.join(ARCHITECTURES)}"
        )
    arguments = {"image_size": image_size, **options}
    try:
        return ARCHITECTURES[architecture](classes=classes, **arguments)
    except (TypeError, KeyError, ValueError) as error:
        raise DistillError(
            f"{architecture} cannot be made with {dict(options)}: {error}",
            "the arguments of each architecture stand in its class in distill/students/",
        ) from error
