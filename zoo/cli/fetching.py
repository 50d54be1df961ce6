"""Students on their way here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.arguments import Name
from zoo.cli.app import app


@app.command()
def pull(
    name: Name,
    cache: Annotated[Path | None, typer.Option(help="Folder in place of the Hub cache.")] = None,
) -> None:
    """Fetch a student, every byte checked.

    The golden outputs are compared on this processor. Prints the folder.
    """
    typer.echo(pulled(name, cache))


def pulled(name: str, cache: Path | None = None, verify: bool = True) -> Path:
    from zoo.pull import pull

    def progress(file: str, done: int, total: int) -> None:
        if done == total:
            typer.echo(f"{file}  {total} bytes", err=True)

    return pull(name, cache=cache, progress=progress, verify=verify)
