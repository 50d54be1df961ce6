"""One file from the first source that has it, over links that break.

Bytes are appended to `<sha256>.part`, which outlives broken links, killed processes and the change
from one source to the next. It gets its name only when its sha256 is right. A source is asked again
as long as bytes arrive; what brings nothing a few times in a row is left for the next one.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoo.errors import IntegrityError, NotFound, PullError, StoreError, ZooError
from zoo.fetch.sources import Source
from zoo.fetch.stream import Interrupted, Stream, Unreachable
from zoo.files import PACKAGE, append, sha256, share, sync, sync_folder
from zoo.records.entry import Entry, FileRef
from zoo.registry import faults, local
from zoo.stores import folders

Progress = Callable[[str, int, int], None]  # file, bytes done, bytes in all

PATIENCE = 4  # attempts in a row without a byte, where bytes have come before
NEW_PATIENCE = 2  # the same for a source that has not brought a byte yet
WAIT_S = 0.25  # before a second attempt without a byte; doubled each time, +- 50 %


@dataclass
class Fetcher:
    """The files of one entry, one at a time; remembers which sources answer at all."""

    entry: Entry
    sources: Sequence[Source]
    progress: Progress
    _alive: set[int] = field(default_factory=set)  # sources that have brought bytes
    _dead: dict[int, ZooError] = field(default_factory=dict)  # and those that need no other try

    def fetch(self, file: str, target: Path, part: Path) -> None:
        """Make `target` the file with the registry's bytes; `part` is where they gather.

        The caller holds the lock. IntegrityError, else PullError: every source with its reason. An
        OSError is of the disk that is written to; `part` is removed then, to give back its room.
        """
        try:
            self._from_first(file, part)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        with append(part) as whole:
            sync(whole)
        share(part)
        part.replace(target)
        sync_folder(target.parent)

    def _from_first(self, file: str, part: Path) -> None:
        reasons: list[ZooError] = []
        for number, source in enumerate(self.sources):
            try:
                if number in self._dead:
                    raise self._dead[number]
                return self._whole(number, source, file, part)
            except (NotFound, PullError, StoreError) as problem:
                reasons.append(problem)
        if not _size(part):
            part.unlink(missing_ok=True)
        raise _nowhere(self.entry, file, reasons)

    def _whole(self, number: int, source: Source, file: str, part: Path) -> None:
        """`part` with the right bytes, from `source` as far as they are not there yet."""
        ref = self.entry.files[file]
        others = _size(part) > 0
        while True:
            where = self._fill(number, source, file, part)
            digest = sha256(part)
            if digest == ref.sha256:
                return
            part.unlink()
            if not others:
                wanted = f"{ref.sha256[:12]}..."
                raise _broken(where, f"sha256 {digest[:12]}...", wanted)
            others = False  # the wrong bytes may be those from before: once more, all from here

    def _fill(self, number: int, source: Source, file: str, part: Path) -> str:
        """Append until the registry's size is reached; returns what the bytes came from."""
        ref, where, failed = self.entry.files[file], source.label, 0
        patience = faults.Patience()
        if _size(part) > ref.size or ref.size == 0:
            with append(part) as writer:
                writer.truncate(0)
        while (have := _size(part)) < ref.size:
            try:
                where = self._append(source, file, ref, part)
            except (Interrupted, Unreachable) as problem:
                if patience.waited(problem):
                    continue
                failed = 0 if _size(part) > have else failed + 1
                if _size(part) > have:
                    self._alive.add(number)
                self._check_patience(number, failed, problem)
        self._alive.add(number)
        return where

    def _check_patience(self, number: int, failed: int, problem: PullError) -> None:
        """Wait a little before another attempt, or give up."""
        if number not in self._alive:
            if isinstance(problem, Unreachable) or failed == NEW_PATIENCE:
                self._dead[number] = problem
                raise problem
        elif failed == PATIENCE:
            raise problem
        if failed:
            time.sleep(WAIT_S * 2**failed * random.uniform(0.25, 0.75))

    def _append(self, source: Source, file: str, ref: FileRef, part: Path) -> str:
        """One attempt; Interrupted where the stream ends before the file does."""
        have = _size(part)
        with source.open(self.entry, file, have) as stream:
            if stream.size not in (None, ref.size):
                raise _broken(stream.where, f"{stream.size} bytes", f"{ref.size} bytes")
            with append(part) as writer:
                for chunk in _between(stream, have, ref.size):
                    writer.write(chunk)
                    have += len(chunk)
                    self.progress(file, have, ref.size)
            if have < ref.size:
                raise Interrupted(f"{stream.where}: ended at byte {have} of {ref.size}")
            return stream.where


def _between(stream: Stream, have: int, end: int) -> Iterator[bytes]:
    """The stream's bytes from the place `have` up to `end`; what lies beyond is not read."""
    place = stream.start
    for chunk in stream.chunks:
        wanted = chunk[max(0, have - place) : end - place]
        place += len(chunk)
        if wanted:
            yield wanted
        if place >= end:
            return


def _size(path: Path) -> int:
    """Bytes of a file; 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _broken(where: str, found: str, wanted: str) -> IntegrityError:
    if "://" in where:
        way = "that hub, or a proxy before it, sends other bytes: name another with --from"
    elif Path(where).is_relative_to(PACKAGE):
        way = "install the package again, or restore the file from version control"
    else:
        way = "that copy is damaged, or of another version: name another with --from"
    message = f"{where} is not the published file: {found}, the registry says {wanted}"
    return IntegrityError(message, f"nothing was kept; {way}")


def _nowhere(entry: Entry, file: str, reasons: Sequence[ZooError]) -> PullError:
    """All reasons in one error, in the order of the sources."""
    broken = [reason for reason in reasons if isinstance(reason, IntegrityError)]
    if len(reasons) == 1 and broken:
        return broken[0]
    listed = "; ".join(str(reason) for reason in reasons)
    message = f"{entry.name}: {file} came from nowhere, although the registry lists it: {listed}"
    ways = dict.fromkeys(reason.hint for reason in reasons if reason.hint)
    other = "name another folder, bundle or hub with --from, or set ZOO_STORE or ZOO_MIRRORS"
    hint = "; or ".join([*ways, other])
    if local.is_packaged(entry) and len(folders.here()) == 1:
        hint = f"pip install 'studentzoo[students]' brings it; or {hint}"
    return IntegrityError(message, hint) if broken else PullError(message, hint)
