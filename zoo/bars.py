"""Progress on stderr where somebody watches; nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
BAR_FROM = 50  # pictures; fewer are answered before a bar is read


def watched(items: Iterator[T], total: int) -> Iterator[T]:
    """`items`, with a bar where it may take long."""
    if total < BAR_FROM or not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, "pictures", total, console=Console(stderr=True), transient=True)


@contextmanager
def steps(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """A `progress(done, total)` that draws a bar, or None where nobody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what)
        yield lambda done, total: bar.update(task, completed=done, total=total)
