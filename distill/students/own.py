"""An own network as a student: `module:name` gives an nn.Module, tried before anything is learnt.

It takes planes float32 (n, 3, s, s), each `(byte - 128) / 64`, as networks do; or it has a child
called `input` that makes its planes of uint8 (n, h, w, 3), any h and w, and takes those, as the
students here do. Either way it gives logits float (n, classes).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from distill import own_code
from distill.errors import DistillError
from distill.students.image import ImageInput

WANTED = (
    "a student takes float planes (n, 3, s, s), or has a child `input` that makes them of uint8 "
    "(n, h, w, 3); it gives logits (n, classes)"
)


class OnPlanes(nn.Module):
    """uint8 (n, h, w, 3) to what `network` gives of the planes."""

    def __init__(self, network: nn.Module, image_size: int) -> None:
        super().__init__()
        self.input = ImageInput(image_size)
        self.network = network
        self.layout = torch.channels_last  # of weights and planes in memory

    def forward(self, image: Tensor) -> Tensor:
        planes = self.input(image)
        if self.layout is torch.contiguous_format:
            planes = planes.contiguous()
        return self.network(planes)


def make(
    address: str, classes: int, image_size: int | None, options: Mapping[str, Any]
) -> nn.Module:
    """A fresh student uint8 (n, h, w, 3) to logits (n, classes), by what `address` names.

    That is called with `classes`, `image_size` (pixels a side) where it takes them, and options.
    """
    if image_size is None:
        hint = "a student that reads texts is one of this package: ngram"
        raise DistillError(f"{address} cannot read texts: own students read pictures", hint)
    function = own_code.find(address, "it gives an nn.Module; " + WANTED)
    if isinstance(function, nn.Module):
        hint = "name the function or class that makes it: every seed begins with a fresh one"
        raise DistillError(f"{address} is a network that is made already", hint)
    size, rest = _size(image_size, options)
    net = own_code.call(address, function, {"classes": classes, "image_size": size}, rest)
    if not isinstance(net, nn.Module):
        raise DistillError(f"{address} gives {type(net).__name__}, no nn.Module", WANTED)
    return student(net, classes=classes, image_size=size, name=address)


def student(net: nn.Module, *, classes: int, image_size: int, name: str = "") -> nn.Module:
    """`net` as a student, uint8 (n, h, w, 3) to logits (n, classes), once it was tried.

    One that has a child `input` is taken as it is; any other gets its planes, of image_size pixels
    a side, made before it. name is what errors call it. Raises `DistillError`.
    """
    found = net
    if not isinstance(getattr(net, "input", None), nn.Module):
        found = OnPlanes(net, image_size)
    _try(found, name or type(net).__name__, classes, image_size)
    return found


def _size(image_size: int, options: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """Pixels a side, of the options where they say it, and the other options."""
    rest = dict(options)
    size = rest.pop("image_size", image_size)
    if type(size) is not int or size < 1:
        raise DistillError(f"image_size must be at least 1 pixel, not {size!r}")
    return size, rest


def _try(net: nn.Module, address: str, classes: int, size: int) -> None:
    """Two pictures forth and back, and one alone; the network and torch's chance stay as they are.

    `net.layout` says how its weights are to lie in memory, where channels last is not for it.
    """
    chance = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (2, size, size, 3), generator=chance, dtype=torch.uint8)
    with torch.random.fork_rng(devices=[]), own_code.blamed(address, WANTED), torch.enable_grad():
        try:
            logits, twin = _forth(net, pictures, torch.channels_last)
        except RuntimeError:  # as of a view
            net.layout = torch.contiguous_format  # type: ignore[assignment]
            logits, twin = _forth(net, pictures, torch.contiguous_format)
        _check(logits, 2, address, classes)
        _check_learns(logits, twin, address)
        with torch.inference_mode():
            alone, together = twin.eval()(pictures[:1]), twin(pictures)
        _check(alone, 1, address, classes)
        _check(together, 2, address, classes)
        _check_apart(alone, together[:1], address)


def _forth(net: nn.Module, pictures: Tensor, layout: torch.memory_format) -> tuple[Any, nn.Module]:
    twin = copy.deepcopy(net).train()
    twin.to(memory_format=layout)  # type: ignore[call-overload]
    return twin(pictures), twin


def _check(logits: Any, n: int, address: str, classes: int) -> None:
    if not isinstance(logits, Tensor):
        raise DistillError(f"{address} answers with {type(logits).__name__}, no tensor", WANTED)
    if logits.shape != (n, classes) or not logits.is_floating_point():
        kind = str(logits.dtype).removeprefix("torch.")
        raise DistillError(
            f"{address} answers {kind} {tuple(logits.shape)} to {n} pictures; "
            f"logits ({n}, {classes}) are needed",
            "a row a picture, a column a class; `classes` is handed to it where it takes that",
        )
    if not bool(logits.isfinite().all()):
        raise DistillError(f"{address} answers with numbers that are not finite", WANTED)
    if bool((logits >= 0).all()) and bool(((logits.sum(1) - 1).abs() < 1e-4).all()):
        what = f"{address} answers with probabilities: each row sums to 1"
        raise DistillError(what, "logits are needed: leave its softmax out")


def _check_apart(alone: Tensor, among: Tensor, address: str) -> None:
    """A picture's answer is the same alone and among others."""
    bound = 1e-4 * (1 + among.abs().max())
    if bool((alone - among).abs().max() > bound):
        what = f"{address} answers otherwise to a picture alone than to the same among others"
        raise DistillError(what, "in evaluation an answer depends on nothing but its own picture")


def _check_learns(logits: Tensor, net: nn.Module, address: str) -> None:
    """The loss must move a weight."""
    if logits.requires_grad:
        target = torch.arange(2) % logits.shape[1]
        nn.functional.cross_entropy(logits.float(), target).backward()
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    if not all(bool(one.isfinite().all()) for one in gradients):
        raise DistillError(f"{address} has gradients that are not finite", WANTED)
    if not any(bool(one.any()) for one in gradients):
        hint = "has it parameters that require a gradient, and no detach() or no_grad() behind?"
        raise DistillError(f"{address} cannot learn: no weight of it gets a gradient", hint)
