"""Networks that learn, one architecture a file: pictures or code points in, logits out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
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


def _ngram(**options: Any) -> nn.Module:
    from distill.students.ngram import Ngram

    return Ngram(**options)


ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "shufflenet-v1": _shufflenet_v1,
    "shufflenet-v2": _shufflenet_v2,
    "separable": _separable,
    "efficientnet-lite": _efficientnet_lite,
    "ngram": _ngram,
}


def create(
    architecture: str, classes: int, image_size: int | None, options: Mapping[str, Any]
) -> nn.Module:
    """A fresh network: float32 logits (n, classes) out.

    image_size is the side in pixels that the first layer of a network for pictures resizes to;
    None is for one that reads texts. Raises `DistillError` for a name or an option that does not
    exist.
    """
    if architecture not in ARCHITECTURES:
        raise DistillError(
            f"no architecture {architecture!r}", f"there are {', '.join(ARCHITECTURES)}"
        )
    size = {} if image_size is None else {"image_size": image_size}
    try:
        return ARCHITECTURES[architecture](classes=classes, **(size | dict(options)))
    except (TypeError, KeyError, ValueError) as error:
        raise DistillError(
            f"{architecture} cannot be made with {dict(options)}: {error}",
            "the arguments of each architecture stand in its class in distill/students/",
        ) from error


def load_weights(net: nn.Module, path: Path) -> nn.Module:
    """`net` with the state dict in `path`, ready to answer."""
    import torch

    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return net.eval()
