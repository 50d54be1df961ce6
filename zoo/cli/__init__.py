"""The command line: a command is its arguments, one call and one output.

stdout is data, stderr is talk. Exit 0: done; 1: an error that is explained with a hint; 2: wrong
usage; 130: interrupted. Whatever is heavy is imported by the command that needs it. Uses every room
but `tasks`, of which one is found by its name.

app        the application, its errors and its output
finding    list, search, info         fetching   pull, bundle, cache
running    run                        measuring  bench, verify, doctor
unpublished ONNX files in place of names, for bench and verify
comparing  compare
making     build, card              compressing compress
publishing publish
storing    store gc, store fsck      serving    serve, token add|list|revoke
"""

from zoo.cli import finding, fetching, running, measuring, comparing, making, compressing  # noqa: F401, I001 (the order of the help)
from zoo.cli import publishing, storing, serving  # noqa: F401
from zoo.cli.app import app, main

__all__ = ["app", "main"]
