"""Latency of a file beside the one it was made of, in interleaved rounds with a control."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import InputError
from zoo.measure import bench
from zoo.said import one_line
from zoo.students import session

if TYPE_CHECKING:
    import numpy as np

    from compress.foreign import Speed
    from zoo.measure.devices import Call

    Feed = Mapping[str, np.ndarray]

ROUNDS = 40


class Beside:
    """Times files, each with its own form of one example, beside the file that came in."""

    def __init__(self, before: Path, feed: Feed, after: Feed, threads: int, rounds: int) -> None:
        self.before, self.feed, self.after = before, feed, after
        self.threads, self.rounds = threads, rounds

    def __call__(self, path: Path) -> Speed:
        """The file at `path`; a fresh session of each, so that none is warmer than another."""
        import numpy as np

        from compress.foreign import Speed

        calls = {
            bench.REFERENCE: self._call(self.before, self.feed),
            bench.CONTROL: self._call(self.before, self.feed),
            "int8": self._call(path, self.after),
        }
        blocks = bench.interleave(calls, self.rounds)
        reference = blocks[bench.REFERENCE]
        ratio = bench.ratio(blocks["int8"], reference)
        control = bench.ratio(blocks[bench.CONTROL], reference)
        p50 = [1e3 * float(np.median(np.concatenate(b))) for b in (reference, blocks["int8"])]
        return Speed(*ratio, *control, *(round(ms, 4) for ms in p50))

    def _call(self, path: Path, feed: Feed) -> Call:
        opened = session.create(path, threads=self.threads)
        wanted = {value.name: value.type for value in opened.get_inputs()}
        if wanted.keys() != feed.keys():
            raise InputError(f"{path} reads {', '.join(wanted)}", "give an array for each input")
        given = {
            name: array.astype("float16") if wanted[name] == "tensor(float16)" else array
            for name, array in feed.items()
        }
        try:
            opened.run(None, given)
        except session.ORT_ERRORS as problem:
            said = one_line(problem, 2000)
            raise InputError(
                f"{path} cannot run: {said}", "give examples as it reads them"
            ) from None
        return lambda: opened.run(None, given)
