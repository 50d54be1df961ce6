"""What a training run needs to go on: all that decides its next step, whole on the disk."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill.errors import DistillError
from distill.files import DAMAGED, write
from distill.ranks import Ranks
from distill.runs import check_same

CHECKPOINT_SECONDS = 60.0  # at most this much work is lost when a run is killed


@dataclass
class State:
    """All that a checkpoint holds, and so all that decides the next step."""

    student: nn.Module
    average: nn.Module  # the weights that are kept: moving average, or the student itself
    optimizer: torch.optim.Optimizer
    made_by: dict[str, Any]  # what decides the run: see `runs.facts`
    step: int = 0
    began: float = 0.0  # loss of the first step, of the first process's share
    sums: dict[str, float] = field(default_factory=dict)  # of the epoch so far
    curves: list[dict[str, float]] = field(default_factory=list)  # one row an epoch


def store(state: State, path: Path, ranks: Ranks) -> None:
    """Write it, with what each process has of its own; all processes call this."""
    own = ranks.gather(_own(state))
    if ranks.first:
        save(
            {
                "student": state.student.state_dict(),
                "average": state.average.state_dict(),
                "optimizer": state.optimizer.state_dict(),
                "step": state.step,
                "sums": state.sums,
                "curves": state.curves,
                "own": own,
                "began": state.began,
                "made_by": state.made_by,
            },
            path,
        )


def load(state: State, path: Path, device: str, ranks: Ranks) -> None:
    """Go on where `path` stands, if there is such a file; it is read by the first process."""
    kept = _read(state, path, device) if ranks.first else None
    kept = ranks.broadcast(kept)
    if kept is None:
        return
    try:
        state.student.load_state_dict(kept["student"])
        state.average.load_state_dict(kept["average"])
        state.optimizer.load_state_dict(kept["optimizer"])
        state.step, state.sums, state.curves = kept["step"], kept["sums"], kept["curves"]
        state.began = kept["began"]
        _take(state, kept["own"][ranks.rank])
    except DAMAGED as error:
        raise _unreadable(path, error) from error


def _read(state: State, path: Path, device: str) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        kept = torch.load(path, map_location=device, weights_only=True)
        check_same(kept["made_by"], state.made_by, path)
    except DAMAGED as error:
        raise _unreadable(path, error) from error
    return kept


def _unreadable(path: Path, error: Exception) -> DistillError:
    return DistillError(
        f"{path} cannot be read: {type(error).__name__}", "delete it to train from the start"
    )


def _own(state: State) -> dict[str, Any]:
    """What differs between processes: running statistics, and the state of chance."""
    return {
        "student": dict(state.student.named_buffers()),
        "average": dict(state.average.named_buffers()),
        "rng": torch.get_rng_state(),
    }


@torch.no_grad()
def _take(state: State, own: dict[str, Any]) -> None:
    nets: tuple[tuple[nn.Module, dict[str, Tensor]], ...] = (
        (state.student, own["student"]),
        (state.average, own["average"]),
    )
    for net, buffers in nets:
        for name, buffer in net.named_buffers():
            buffer.copy_(buffers[name])
    torch.set_rng_state(own["rng"].cpu())


def save(content: Any, path: Path) -> None:
    """torch.save, whole or not at all."""
    buffer = io.BytesIO()  # torch has its own words for a full disk
    torch.save(content, buffer)
    write(path, lambda file: file.write(buffer.getbuffer()))
