"""Processes that train one network: each sees its share of every batch, gradients are summed.

    together(2, work, (student, data))   # work(ranks, student, data), in each of them

The first is the caller itself; the others are started here, one thread each or as many as there are
cores to a process, and talk to it by torch.distributed (gloo, on the loopback). What they add up is
laid end to end as it was in the step before, so the same bits come out in every run.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from distill.errors import DistillError

SHARE = 64  # examples of a step that a process is worth having for
AGAIN = "run it again: it goes on from the last checkpoint"
T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this one shows, writes and answers."""
        return self.rank == 0

    def share(self, rows: Tensor) -> Tensor:
        """This process's part of rows (b,): every count-th."""
        return rows[self.rank :: self.count]

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Put into each tensor the sum of what all processes have in it."""
        parts = list(tensors)
        if self.count == 1 or not parts:
            return
        flat = torch.cat([part.detach().reshape(-1) for part in parts])
        dist.all_reduce(flat)
        for part, new in zip(parts, flat.split([p.numel() for p in parts]), strict=True):
            part.detach().copy_(new.view_as(part))

    def gather(self, thing: T) -> list[T]:
        """What every process has, in the order of their ranks; [] but in the first."""
        if self.count == 1:
            return [thing]
        found: list[T] | None = [thing] * self.count if self.first else None
        dist.gather_object(thing, found)
        return found or []

    def told(self, thing: T) -> T:
        """What the first process has."""
        if self.count == 1:
            return thing
        box = [thing]
        dist.broadcast_object_list(box)
        return box[0]


ALONE = Ranks()


def number(asked: int, batch_size: int, device: str, alone: bool = False) -> int:
    """How many processes train: `asked`, or where that is 0 one a core with SHARE rows or more.

    alone: one, where nothing is asked for; so it is on a GPU. Raises `DistillError` for more than
    there are cores.
    """
    cores = torch.get_num_threads()  # as OMP_NUM_THREADS or the processor has it
    if asked > cores:
        raise DistillError(
            f"train.processes is {asked}, and there are {cores} cores for it",
            "leave it out: then it is one a core",
        )
    if asked or alone or device != "cpu" or dist.is_initialized():
        return max(asked, 1)
    most = max(1, min(cores, batch_size // SHARE))
    return next(n for n in range(most, 0, -1) if batch_size % n == 0)


def together(count: int, work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    """work(ranks, *arguments) in `count` processes; what it returns in this one, the first.

    Raises what `work` raises here, or a `DistillError` when another process ends before its time.
    """
    if count == 1:
        return work(ALONE, *arguments)
    with tempfile.TemporaryDirectory() as folder, _threads(torch.get_num_threads() // count):
        others = _Others(Path(folder), count, work, arguments)
        try:
            with _group(Path(folder), Ranks(0, count)):
                return work(Ranks(0, count), *arguments)
        except RuntimeError as error:  # gloo's, when nobody is at the other end
            others.explain(error)
            raise
        finally:
            others.end()


class _Others:
    """The processes of ranks 1, 2, ..."""

    def __init__(
        self, folder: Path, count: int, work: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        try:
            content = pickle.dumps((work, arguments), protocol=5)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            hint = "train.processes: 1 needs no copy of it"
            raise DistillError(f"not to be handed to another process: {error}", hint) from error
        self.logs = [folder / f"{rank}.log" for rank in range(1, count)]
        self.all = [self._start(folder, Ranks(i + 1, count)) for i in range(count - 1)]
        for process in self.all:
            try:
                assert process.stdin is not None
                process.stdin.write(content)
                process.stdin.close()
            except OSError as error:
                self.explain(error)

    def _start(self, folder: Path, ranks: Ranks) -> subprocess.Popen[bytes]:
        threads = str(torch.get_num_threads())
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        command = [sys.executable, "-m", "distill.ranks"]
        with self.logs[ranks.rank - 1].open("wb") as log:
            return subprocess.Popen(
                [*command, str(folder), str(ranks.rank), str(ranks.count)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=os.environ | {"OMP_NUM_THREADS": threads, "PYTHONPATH": path},
            )

    def explain(self, error: Exception) -> None:
        """Raise a `DistillError` if one of them has ended, with what it said."""
        for process, log in zip(self.all, self.logs, strict=True):
            try:
                code = process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                continue
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
            what = f"a process of the training {how}{': ' if said else ''}{''.join(said)}"
            raise DistillError(what, AGAIN) from error

    def end(self) -> None:
        """None is left."""
        for process in self.all:
            try:
                process.wait(timeout=0 if sys.exc_info()[0] else 10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    was = torch.get_num_threads()
    torch.set_num_threads(max(1, count))
    try:
        yield
    finally:
        torch.set_num_threads(was)


@contextmanager
def _group(folder: Path, ranks: Ranks) -> Iterator[None]:
    loopback = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)
    if loopback:  # no name of this machine needs to be looked up
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    store = dist.FileStore(str(folder / "store"), ranks.count)
    dist.init_process_group("gloo", store=store, rank=ranks.rank, world_size=ranks.count)
    try:
        yield
    finally:
        dist.destroy_process_group()


def _main(folder: str, rank: str, count: str) -> None:
    """Another process: what it is to do comes by its standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first one ends it
    work, arguments = pickle.load(sys.stdin.buffer)
    ranks = Ranks(int(rank), int(count))
    with _group(Path(folder), ranks):
        work(ranks, *arguments)


def mean_buffers(net: nn.Module, ranks: Ranks) -> None:
    """Give `net` the mean of all processes' running statistics."""
    floats = [b for b in net.buffers() if b.is_floating_point()]
    ranks.add_up(floats)
    for buffer in floats if ranks.count > 1 else ():
        buffer.div_(ranks.count)


if __name__ == "__main__":
    _main(*sys.argv[1:])
