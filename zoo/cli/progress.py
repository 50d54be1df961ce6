"""Progress on stderr where somebody watches; nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from zoo.said import shown

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


@contextmanager
def files(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """A `progress(file, bytes done, bytes in all)`: a bar on a terminal, else a line a file."""
    if not sys.stderr.isatty():
        yield _line
        return
    from rich import progress
    from rich.console import Console
    from rich.table import Column

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=None),  # what is left of the line
        progress.DownloadColumn(table_column=Column(no_wrap=True)),
        progress.TransferSpeedColumn(table_column=Column(no_wrap=True)),
        progress.TimeRemainingColumn(table_column=Column(no_wrap=True)),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, progress.TaskID] = {}

        def show(file: str, done: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = bar.add_task(shown(f"{what} {file}"), total=total)
            bar.update(tasks[file], completed=done, visible=done < total)

        yield show


def _line(file: str, done: int, total: int) -> None:
    if done == total:
        sys.stderr.write(f"{shown(file)}  {total} bytes\n")
