"""Networks that learn, one architecture a file: pictures or code points in, logits out."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from distill.errors import DistillError
from distill.table import Table

if TYPE_CHECKING:
    from torch import nn


ARCHITECTURES = Table("architecture")  # name -> a class that takes classes and its options
ARCHITECTURES["shufflenet-v1"] = "distill.students.shufflenet_v1:ShuffleNetV1"
ARCHITECTURES["shufflenet-v2"] = "distill.students.shufflenet_v2:ShuffleNetV2"
ARCHITECTURES["separable"] = "distill.students.separable:SeparableNet"
ARCHITECTURES["nasnet-a"] = "distill.students.nasnet_a:NASNetA"
ARCHITECTURES["efficientnet-lite"] = "distill.students.efficientnet_lite:EfficientNetLite"
ARCHITECTURES["ngram"] = "distill.students.ngram:Ngram"


def create(
    architecture: str, classes: int, image_size: int | None, options: Mapping[str, Any]
) -> nn.Module:
    """A fresh network: float32 logits (n, classes) out.

    architecture is a name of `ARCHITECTURES`, or `module:name` of an own one (`students.own`).
    image_size is the side in pixels that the first layer of a network for pictures resizes to;
    None is for one that reads texts. Raises `DistillError` for a name or an option that does not
    exist.
    """
    if is_own(architecture):
        from distill.students import own

        return own.make(architecture, classes, image_size, options)
    if architecture not in ARCHITECTURES:
        hint = ARCHITECTURES.near(architecture)
        raise DistillError(f"no architecture {architecture!r}", hint, ("student", "architecture"))
    network = ARCHITECTURES.load(architecture)
    _check_names(architecture, network, options)
    size = {} if image_size is None else {"image_size": image_size}
    given = size | dict(options)
    try:
        _check_kinds(network, given)
        return network(classes=classes, **given)
    except (TypeError, KeyError, ValueError) as error:
        raise DistillError(
            f"{architecture} cannot be made with {dict(options)}: {error}",
            "the arguments of each architecture stand in its class in distill/students/",
            ("student", "options"),
        ) from error


def try_out(net: nn.Module, example: Any) -> None:
    """`net` answers to a tensor of one example, or sizes do not fit: a `DistillError`."""
    import torch

    try:
        with torch.inference_mode():
            net.eval()(example)
    except (RuntimeError, ValueError, IndexError) as error:
        shape = tuple(example.shape)
        what = f"the student cannot read an example of the shape {shape}: {error}"
        hint = "change data.image_size, or the options of the student"
        raise DistillError(what, hint, ("student",)) from error


def _check_names(architecture: str, network: Any, options: Mapping[str, Any]) -> None:
    """A `DistillError` for an option that the network has not, with near matches."""
    known = dict(inspect.signature(network).parameters)
    if any(one.kind is one.VAR_KEYWORD for one in known.values()):
        return
    names = [name for name in known if name != "classes"]
    for name in options:
        if name not in names:
            near = get_close_matches(name, names)
            meant = f"did you mean {' or '.join(near)}? " if near else ""
            raise DistillError(
                f"{architecture} cannot be made: it has no option {name!r}",
                f"{meant}it has {', '.join(names)}",
                ("student", "options", name),
            )


def is_own(architecture: str) -> bool:
    """Whether it is no name of `ARCHITECTURES` but `module:name`, in whoever asks' own code."""
    return ":" in architecture


def own_sha256(architecture: str) -> str:
    """Of the source of an own architecture, with what it imports from beside it."""
    from distill import own_code

    own_code.find(architecture, "it gives an nn.Module")
    return own_code.sha256(architecture)


def _check_kinds(network: Any, given: Mapping[str, Any]) -> None:
    """A TypeError for an option of another type than the network's argument: "false" is a text."""
    wanted = get_type_hints(network.__init__)
    for name, value in given.items():
        kind = wanted.get(name)
        fits = type(value) is kind or (kind is float and type(value) is int)
        if kind in (bool, int, float, str) and not fits:
            raise TypeError(f"{name} is a {kind.__name__}, not {value!r}")
        if name == "image_size" and value < 1:
            raise ValueError(f"image_size must be at least 1 pixel, not {value}")


def load_weights(net: nn.Module, path: Path) -> nn.Module:
    """`net` with the state dict in `path`, ready to answer."""
    import torch

    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return net.eval()
