"""What a module gives, and why it gives nothing: for export and parity alike."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch

from export.errors import ExportError

COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")

# What a module may raise when it is run.
FAULTS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
)


def logits_of(answer: Any) -> torch.Tensor:
    """The one tensor in what a module gives, or the one that is called `logits`.

    Cases: a tensor; a list, tuple, mapping or dataclass with one tensor, or with the same one
    several times; with several and one called `logits`; anything else (`ExportError`).
    """
    if isinstance(answer, torch.Tensor):
        return answer
    if isinstance(answer, Mapping) and isinstance(answer.get("logits"), torch.Tensor):
        return answer["logits"]
    if isinstance(getattr(answer, "logits", None), torch.Tensor):
        return answer.logits
    found = {id(tensor): tensor for tensor in _tensors(answer)}
    if len(found) != 1:
        shapes = [tuple(tensor.shape) for tensor in found.values()]
        what = f"forward gives {type(answer).__name__} with {len(found)} tensors {shapes or ''}"
        raise ExportError(what.rstrip(), "it must give one tensor, the logits (n, classes)")
    return next(iter(found.values()))


def _tensors(answer: Any) -> Iterator[torch.Tensor]:
    if isinstance(answer, torch.Tensor):
        yield answer
    elif isinstance(answer, Mapping):
        yield from (t for part in answer.values() for t in _tensors(part))
    elif isinstance(answer, (list, tuple)):
        yield from (t for part in answer for t in _tensors(part))
    elif is_dataclass(answer):
        yield from (t for part in fields(answer) for t in _tensors(getattr(answer, part.name)))


def reason(error: BaseException) -> str:
    """The first line of what lies deepest, without colours, and the line of code that it met."""
    chain = [error]
    while (deeper := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(deeper)
    lines = [COLOURS.sub("", line).strip() for line in str(chain[-1]).splitlines()]
    first = next((line for line in lines if line), type(chain[-1]).__name__)
    places = [place for part in chain for place in _own_code(part)]
    return f"{first} (at `{places[-1]}`)" if places else first


def _own_code(error: BaseException) -> list[str]:
    """Lines of code outside of torch, this room and what was made at run time, outermost first."""
    ours = Path(__file__).parent
    frames = traceback.extract_tb(error.__traceback__)
    foreign = (f for f in frames if Path(f.filename).parent != ours and not _library(f.filename))
    return [frame.line for frame in foreign if frame.line]


def _library(filename: str) -> bool:
    return Path(torch.__file__).parent in Path(filename).parents or filename.startswith("<")
