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
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from distill.config import Train
from distill.errors import DistillError

SHARE = 64  # examples of a step that a process is worth having for
CHILD = (  # with the path of the caller, whatever lies in the working directory
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from distill.ranks import main; main(*sys.argv[1:])"
)
NO_COPY = (pickle.PicklingError, TypeError, AttributeError, RuntimeError)  # what pickling raises
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
    group: Any = None  # what they talk by

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
        self.group.allreduce([flat]).wait()
        for part, new in zip(parts, flat.split([p.numel() for p in parts]), strict=True):
            part.detach().copy_(new.view_as(part))

    def gather(self, thing: T) -> list[T]:
        """What every process has, in the order of their ranks; [] but in the first."""
        found = [self.broadcast(thing, rank) for rank in range(self.count)]
        return found if self.first else []

    def broadcast(self, thing: T, rank: int = 0) -> T:
        """What the process of that rank has."""
        if self.count == 1:
            return thing
        content = pickle.dumps(thing, protocol=5) if rank == self.rank else b""
        size = torch.tensor([len(content)])
        self._send(size, rank)
        data = torch.zeros(int(size.item()), dtype=torch.uint8)
        if rank == self.rank:
            data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        self._send(data, rank)
        return thing if rank == self.rank else pickle.loads(data.numpy().tobytes())

    def _send(self, tensor: Tensor, rank: int) -> None:
        options = dist.BroadcastOptions()
        options.rootRank = rank
        self.group.broadcast([tensor], options).wait()


ALONE = Ranks()


def count_for(train: Train) -> int:
    """How many processes a batch is worth: one a core, of SHARE rows or more and all alike."""
    if dist.is_initialized():
        return 1
    most = max(1, min(torch.get_num_threads(), train.batch_size // SHARE))
    return train.counts(most)[-1]


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
    with (
        tempfile.TemporaryDirectory() as folder,
        _threads(cores // count),
        _Others(Path(folder), count) as others,
    ):
        others.hand(work, arguments)
        try:
            return work(_joined(folder, 0, count), *arguments)
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
        except NO_COPY as error:
            hint = "train.processes: 1 needs no copy of it"
            raise DistillError(f"not to be handed to another process: {error}", hint) from error
        self.all.extend(self._start(rank) for rank in range(1, self.count))
        for process in self.all:
            assert process.stdin is not None and process.stdout is not None
            try:
                process.stdin.write(pickle.dumps(sys.path) + content)
                process.stdin.flush()  # it stays open: by its end they know of ours
                answered = process.stdout.readline() == READY
            except OSError:
                answered = False
            if not answered:
                self.explain(None)

    def _start(self, rank: int) -> subprocess.Popen[bytes]:
        threads = str(torch.get_num_threads())
        with self.logs[rank - 1].open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-c", CHILD, str(self.folder), str(rank), str(self.count)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | {"OMP_NUM_THREADS": threads},
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


def _joined(folder: str, rank: int, count: int) -> Ranks:
    """A group of its own, on the loopback: what else the caller has of torch.distributed stays."""
    options = dist.ProcessGroupGloo._Options()  # type: ignore[attr-defined]
    options._devices = [dist.ProcessGroupGloo.create_device(hostname="127.0.0.1")]
    store = dist.FileStore(str(Path(folder) / "store"), count)
    return Ranks(rank, count, dist.ProcessGroupGloo(store, rank, count, options))


def main(folder: str, rank: str, count: str) -> None:
    """Another process: what it is to do comes by its standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first one ends it
    work, arguments = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    work(_joined(folder, int(rank), int(count)), *arguments)


def _end_with_the_first() -> None:
    os.read(sys.stdin.fileno(), 1)  # nothing more comes: it is closed, or that process is gone
    os._exit(1)


def mean_statistics(net: nn.Module, ranks: Ranks) -> None:
    """Give the norms of `net` the mean of all processes' running statistics."""
    if ranks.count == 1:
        return
    found = [b for name, b in net.named_buffers() if name.endswith(STATISTICS)]
    ranks.all_reduce(found)
    for buffer in found:
        buffer.div_(ranks.count)


def copyable(*things: object) -> bool:
    """Whether another process can be handed these; it knows nothing of a script's own classes."""
    nets = (part for thing in things if isinstance(thing, nn.Module) for part in thing.modules())
    if any(type(part).__module__ == "__main__" for part in (*nets, *things)):
        return False
    try:
        pickle.dumps(things, protocol=5)
    except NO_COPY:
        return False
    return True
