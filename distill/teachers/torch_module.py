"""A torch network as a teacher: `module:function` that gives an nn.Module, or a `.pt2` program.

It takes pictures uint8 (n, h, w, 3) and normalises them itself, as the students here do, and gives
logits (n, classes); it answers in evaluation mode, without gradients. Weights are loaded by the
module's own code. Its sha256 covers its state dict and its source, with what that imports from
beside it; of a `.pt2`, the file.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distill import config, own_code, state
from distill.batches import Answers
from distill.errors import DistillError
from distill.files import expanded, open_plain
from distill.teachers.teacher import BATCH, Asked, Kind, Teacher

WANTED = (
    "it takes pictures uint8 (n, h, w, 3), and normalises them itself; it gives logits (n, classes)"
)


def open_module(settings: config.Teacher, asked: Asked) -> Teacher:
    """The teacher `settings.module`; `DistillError` if there is none, or none of pictures."""
    address = settings.module
    program = address.endswith(".pt2")
    net, sha256, sizes = _program(expanded(address)) if program else _module(address, asked)
    found = Teacher(
        name=Path(address).stem if program else address,
        source=settings.source or (Path(address).name if program else address),
        sha256=sha256,
        licence=settings.licence,
        classes=asked.classes,
        answer=_Answer(net, address, sizes),
        batch=min(BATCH, sizes[1]),
    )
    side = asked.image_size
    pictures = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), np.uint8)
    found(pictures)
    return found


def _module(address: str, asked: Asked) -> tuple[nn.Module, str, tuple[int, int]]:
    """The network that an address gives, its hash, and how many pictures it takes."""
    net = own_code.find(address, f"it gives an nn.Module; {WANTED}")
    if not isinstance(net, nn.Module):
        offered = {"classes": asked.classes, "image_size": asked.image_size}
        net = own_code.call(address, net, offered, {})
    if not isinstance(net, nn.Module):
        raise DistillError(f"{address} gives {type(net).__name__}, no nn.Module", WANTED)
    sha256 = f"{own_code.sha256(address)} {state.sha256(net)}"
    net.to("cuda" if torch.cuda.is_available() else "cpu").eval().requires_grad_(False)
    return net, hashlib.sha256(sha256.encode()).hexdigest(), (1, BATCH)


def _program(path: Path) -> tuple[nn.Module, str, tuple[int, int]]:
    """The program in a `.pt2` file, on the device that it was exported on."""
    hint = "torch.export.save writes one; a relative path starts at the working directory"
    found = hashlib.sha256()
    try:
        with open_plain(path) as file:
            while block := file.read(2**20):
                found.update(block)
    except OSError as error:
        raise DistillError(f"the teacher {path} cannot be read: {error}", hint) from error
    with own_code.blamed(f"the teacher {path}", hint), _silent():
        program = torch.export.load(path)
    return program.module(), found.hexdigest(), _sizes(program, path)


def _sizes(program: Any, path: Path) -> tuple[int, int]:
    """The fewest and the most pictures that it takes at a time, by its one input."""
    names = program.graph_signature.user_inputs
    values = [node.meta["val"] for node in program.graph.nodes if node.name in names]
    shapes = [tuple(value.shape) for value in values if isinstance(value, Tensor)]
    if len(names) != 1 or len(shapes) != 1 or values[0].dtype != torch.uint8:
        kinds = [str(getattr(value, "dtype", value)).removeprefix("torch.") for value in values]
        told = ", ".join(f"{kind} {shape}" for kind, shape in zip(kinds, shapes, strict=False))
        raise DistillError(f"the teacher {path} takes {told or 'no tensor'}", WANTED)
    rows = shapes[0][0]
    if isinstance(rows, int):
        return rows, rows
    span = program.range_constraints[rows.node.expr]
    return max(1, int(span.lower)), int(min(span.upper, BATCH))


def asking(teacher: nn.Module) -> Answers:
    """A network as `distill.train.fit` asks it: about the very pictures that the student sees.

    It takes uint8 (b, s, s, 3) on the device that its weights are on and gives logits (b, classes);
    it is put into evaluation mode.
    """
    ask = _Answer(teacher.eval(), type(teacher).__name__, (1, BATCH))

    def answers(number: int, rows: Tensor, pictures: Tensor) -> Tensor:
        return torch.from_numpy(ask(pictures.cpu().numpy()))

    return answers


class _Answer:
    """uint8 (n, h, w, 3) -> float32 (n, classes), `least` rows or more at a time."""

    def __init__(self, net: nn.Module, address: str, sizes: tuple[int, int]) -> None:
        self.net, self.address, self.least = net, address, sizes[0]
        tensors = [*net.parameters(), *net.buffers()]
        self.device = tensors[0].device if tensors else torch.device("cpu")

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        rows = np.arange(max(len(pictures), self.least)) % len(pictures)
        with own_code.blamed(f"the teacher {self.address}", WANTED), torch.inference_mode():
            answer = self.net(torch.from_numpy(pictures[rows]).to(self.device))
        if not isinstance(answer, Tensor):
            what = f"the teacher {self.address} answers with {type(answer).__name__}, no tensor"
            raise DistillError(what, WANTED)
        return answer[: len(pictures)].float().cpu().numpy()


@contextmanager
def _silent() -> Iterator[None]:
    """Without the traceback that torch logs where it raises too."""
    logger = logging.getLogger("torch.export")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


KIND = Kind(open_module, ("pictures",))
