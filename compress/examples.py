"""Examples as a file reads them: checked once, cut into feeds for its inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from compress.errors import CompressError
from compress.source import Port

Example = np.ndarray | Mapping[str, np.ndarray]  # of one input its array, else by name; no batch
Feed = dict[str, np.ndarray]  # a batch of every input, by its name
BATCH = 16


@dataclass(frozen=True)
class Examples:
    """Examples of one file: `rows` of them, in an order of their own."""

    ports: tuple[Port, ...]
    source: Sequence[Example]
    rows: np.ndarray  # int64 (n,): which of the source

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, picked: np.ndarray) -> Examples:
        """Those at these places."""
        return Examples(self.ports, self.source, self.rows[picked])

    def distinct(self, seen: set[bytes]) -> Examples:
        """Those that are neither in `seen` nor the same as one before; `seen` grows by them."""
        kept = []
        for place, row in enumerate(self.rows):
            example = self._example(int(row))
            made = hashlib.sha256()
            for name, array in sorted(example.items()):
                made.update(f"{name} {array.dtype} {array.shape} ".encode())
                made.update(np.ascontiguousarray(array).tobytes())
            if made.digest() not in seen:
                seen.add(made.digest())
                kept.append(place)
        return self.take(np.array(kept, np.int64))

    def nbytes(self) -> int:
        """Of the first example."""
        return sum(array.nbytes for array in self._example(int(self.rows[0])).values())

    def feeds(self, batch: int = BATCH) -> Iterator[Feed]:
        """At most `batch` at once, those of one shape together; a fixed batch is kept to."""
        for feed, _ in self.counted(batch):
            yield feed

    def counted(self, batch: int = BATCH) -> Iterator[tuple[Feed, int]]:
        """`feeds`, and how many of each are examples: what fills a fixed batch up is none."""
        fixed = fixed_batch(self.ports)
        waiting: list[dict[str, np.ndarray]] = []
        for row in self.rows:
            example = self._example(int(row))
            if waiting and (_shapes(example) != _shapes(waiting[0]) or len(waiting) == batch):
                yield from _stacked(waiting, fixed)
                waiting = []
            waiting.append(example)
        if waiting:
            yield from _stacked(waiting, fixed)

    def _example(self, row: int) -> dict[str, np.ndarray]:
        given = self.source[row]
        named = given if isinstance(given, Mapping) else {self.ports[0].name: given}
        if set(named) != {port.name for port in self.ports}:
            raise CompressError(
                f"the file reads {', '.join(port.name for port in self.ports)}; "
                f"an example has {', '.join(named) or 'nothing'}",
                "give every input by its name",
            )
        return {port.name: _fitting(np.asarray(named[port.name]), port) for port in self.ports}


def examples(ports: tuple[Port, ...], source: Sequence[Example]) -> Examples:
    """All of a source; none is an error."""
    if not len(source):
        raise CompressError("there is no example to work on", "give some of the file's inputs")
    return Examples(ports, source, np.arange(len(source)))


def fixed_batch(ports: tuple[Port, ...]) -> int | None:
    """How many examples a call takes, None for any number."""
    sizes = {port.shape[0] for port in ports if port.shape}
    known = sizes - {None}
    return None if None in sizes or not known else int(known.pop())  # type: ignore[arg-type]


def _shapes(example: Mapping[str, np.ndarray]) -> list[tuple[int, ...]]:
    return [array.shape for array in example.values()]


def _stacked(rows: list[dict[str, np.ndarray]], fixed: int | None) -> Iterator[tuple[Feed, int]]:
    """One batch; where the file's batch is fixed, as many as that at once, the last one again."""
    size = fixed or len(rows)
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        full = some + [some[-1]] * (size - len(some))
        yield {name: np.stack([row[name] for row in full]) for name in full[0]}, len(some)


def _fitting(array: np.ndarray, port: Port) -> np.ndarray:
    """The example in the type of the input, if it is of its shape."""
    wanted = port.shape[1:]
    alike = len(wanted) == array.ndim and all(
        want in (None, got) for want, got in zip(wanted, array.shape, strict=True)
    )
    kind = "float32" if port.kind == "float16" else port.kind
    if not alike or not np.can_cast(array.dtype, kind, "same_kind"):
        shown = "x".join("?" if d is None else str(d) for d in wanted)
        raise CompressError(
            f"an example of input {port.name!r} is {array.dtype} {array.shape}; "
            f"the file reads {port.kind} {shown}",
            "give examples as the file reads them, without the batch",
        )
    return array.astype(kind, copy=False)
