"""Progress of long work on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

_LINE_SECONDS = 20.0  # pause between two plain lines


class Progress:
    """Counts pictures; says what was measured, pictures a second, and the time left."""

    def __init__(self, title: str, total: int, done: int = 0) -> None:
        self.title, self.total, self.done = title, total, done
        self._first, self._start = done, time.monotonic()
        self._last = 0.0

    def update(self, count: int, text: str = "") -> None:
        """count pictures more; text is what a reader wants to see beside them."""
        self.done += count
        now = time.monotonic()
        if now - self._last >= _LINE_SECONDS or self.done >= self.total:
            self._last = now
            pace = self._pace(now)
            sys.stderr.write(f"{self.title}: {self.done:,}/{self.total:,} {text} {pace}\n")
            sys.stderr.flush()

    def _pace(self, now: float) -> str:
        rate = (self.done - self._first) / max(now - self._start, 1e-9)
        left = round((self.total - self.done) / max(rate, 1e-9))
        return f"{rate:,.0f} a second, {left // 60}:{left % 60:02} left"


class _Silent(Progress):
    def update(self, count: int, text: str = "") -> None:
        """It is another process's to show."""


class _Bar(Progress):
    def __init__(self, title: str, total: int, done: int = 0) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        super().__init__(title, total, done)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
        self._bar = Bar(*columns, console=Console(stderr=True), refresh_per_second=4)
        self._task = self._bar.add_task(title, total=total, completed=done, text="")
        self._bar.start()

    def update(self, count: int, text: str = "") -> None:
        self.done += count
        shown = f"{text} {self._pace(time.monotonic())}"
        self._bar.update(self._task, completed=self.done, text=shown)

    def close(self) -> None:
        self._bar.stop()


def note(line: str) -> None:
    """Say it once."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@contextmanager
def progress(title: str, total: int, done: int = 0, shown: bool = True) -> Iterator[Progress]:
    """A progress display over total pictures, done of them before it starts."""
    if not shown:
        yield _Silent(title, total, done)
        return
    if not sys.stderr.isatty():
        yield Progress(title, total, done)
        return
    with closing(_Bar(title, total, done)) as bar:
        yield bar
