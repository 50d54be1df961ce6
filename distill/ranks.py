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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from distill.errors import DistillError

SHARE = 64  # examples of a step that a process is worth having for
WAIT = 10.0  # seconds that a process has to end
READY = b"ready\n"  # what a process says that has its copy
AGAIN = "run it again: it goes on from the last checkpoint"
STATISTICS = ("running_mean", "running_var")
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

    def all_reduce(self, tensors: Iterable[Tensor]) -> None:
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

    def broadcast(self, thing: T) -> T:
        """What the first process has."""
        if self.count == 1:
            return thing
        box = [thing]
        dist.broadcast_object_list(box)
        return box[0]


ALONE = Ranks()


def count_for(batch_size: int) -> int:
    """How many processes a batch is worth: one a core, of SHARE rows or more and all alike."""
    if dist.is_initialized():
        return 1
    most = max(1, min(torch.get_num_threads(), batch_size // SHARE))
    return next(n for n in range(most, 0, -1) if batch_size % n == 0)


def together(count: int, work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    """work(ranks, *arguments) in `count` processes; what it returns in this one, the first.

    Raises what `work` raises here, or a `DistillError` when another process ends before its time,
    and for more processes than cores.
    """
    if count == 1:
        return work(ALONE, *arguments)
    cores = torch.get_num_threads()
    if count > cores:
        what = f"train.processes is {count}, and there are {cores} cores for it"
        hint = "leave it out: then it is one a core (as OMP_NUM_THREADS has it, where that is set)"
        raise DistillError(what, hint)
    if dist.is_initialized():
        hint = "train.processes: 1 has no need of a second"
        raise DistillError("a process group of torch.distributed is open here", hint)
    with (
        tempfile.TemporaryDirectory() as folder,
        _threads(cores // count),
        _Others(Path(folder), count) as others,
    ):
        others.hand(work, arguments)
        try:
            with _group(Path(folder), Ranks(0, count)):
                return work(Ranks(0, count), *arguments)
        except RuntimeError as error:
            if "gloo" in str(error):  # nobody is at the other end any more
                others.explain(error)
            raise


class _Others:
    """The processes of ranks 1, 2, ...; none is left at the end."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        self.logs = [folder / f"{rank}.log" for rank in range(1, count)]
        self.all: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> _Others:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for process in self.all:
            try:
                process.wait(timeout=0 if kind else WAIT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]  # both were asked for

    def hand(self, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Start them, each with a copy; back when all have it."""
        try:
            content = pickle.dumps((work, arguments), protocol=5)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            hint = "train.processes: 1 needs no copy of it"
            raise DistillError(f"not to be handed to another process: {error}", hint) from error
        self.all.extend(self._start(Ranks(i + 1, self.count)) for i in range(self.count - 1))
        for process in self.all:
            assert process.stdin is not None and process.stdout is not None
            try:
                process.stdin.write(content)
                process.stdin.close()
                answered = process.stdout.readline() == READY
            except OSError:
                answered = False
            if not answered:
                self.explain(None)

    def _start(self, ranks: Ranks) -> subprocess.Popen[bytes]:
        threads = str(torch.get_num_threads())
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        command = [sys.executable, "-m", "distill.ranks", str(self.folder)]
        with self.logs[ranks.rank - 1].open("wb") as log:
            return subprocess.Popen(
                [*command, str(ranks.rank), str(ranks.count)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | {"OMP_NUM_THREADS": threads, "PYTHONPATH": path},
            )

    def explain(self, error: Exception | None) -> None:
        """Raise a `DistillError` if one of them has ended, with what it said."""
        for process, log in zip(self.all, self.logs, strict=True):
            try:
                code = process.wait(timeout=WAIT)
            except subprocess.TimeoutExpired:
                continue
            if code < 0:
                what = f"a process of the training was killed by signal {-code}"
                raise DistillError(what, AGAIN) from error
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            what = f"a process of the training ended: {said[-1] if said else code}"
            raise DistillError(what, "train.processes: 1 does it all in one") from error


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
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    ranks = Ranks(int(rank), int(count))
    with _group(Path(folder), ranks):
        work(ranks, *arguments)


def mean_statistics(net: nn.Module, ranks: Ranks) -> None:
    """Give the norms of `net` the mean of all processes' running statistics."""
    if ranks.count == 1:
        return
    found = [b for name, b in net.named_buffers() if name.endswith(STATISTICS)]
    ranks.all_reduce(found)
    for buffer in found:
        buffer.div_(ranks.count)


if __name__ == "__main__":
    _main(*sys.argv[1:])
