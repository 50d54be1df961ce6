"""The command line: a command is its arguments, one call and one output.

stdout is data, stderr is talk. Exit 0: done; 1: an error that is explained with a hint; 2: wrong
usage; 130: interrupted. Whatever is heavy is imported by the command that needs it.

app        the application, its errors and its output
finding    list, info                 fetching   pull
running    run                        measuring  bench, verify, doctor
making     build, card
storing    store gc, store fsck
"""

from zoo.cli import finding, fetching, running, measuring, making, storing  # noqa: F401, I001 (the order of the help)
from zoo.cli.app import app, main

__all__ = ["app", "main"]
