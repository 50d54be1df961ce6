"""The directory under a hub, kept in order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.app import SERVE, app, json_out, talk, text
from zoo.cli.arguments import Json, Root
from zoo.errors import StoreError
from zoo.said import shown

store_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(
    store_app, name="store", rich_help_panel=SERVE, help="Keep the directory of a hub in order."
)

Hours = Annotated[float, typer.Option(metavar="HOURS", min=0, help="Nothing younger is removed.")]


@store_app.command()
def gc(root: Root = None, older_than: Hours = 24, as_json: Json = False) -> None:
    """Remove what no branch and no tag reaches any more.

    What is younger than --older-than stays: it may belong to a commit that is about to come.
    """
    from zoo.records import plain
    from zoo.stores.store import Store

    gone = Store(_checked(root)).collect(older_than_s=older_than * 3600)
    if as_json:
        return json_out(plain.to_dict(gone))
    return text(f"removed {gone.commits} commits, {gone.blobs} blobs, {gone.size_bytes} bytes")


@store_app.command()
def fsck(root: Root = None, as_json: Json = False) -> None:
    """Look for damage: every file is hashed again. Exit 1 if there is any."""
    from zoo.stores.store import Store

    problems = Store(_checked(root)).fsck()
    if as_json:
        json_out({"problems": problems})
    else:
        for problem in problems:
            text(shown(problem))
    if problems:
        raise typer.Exit(1)
    talk("no damage found")


def _checked(root: Path | None) -> Path:
    from zoo.serve.settings import OURS, root_of

    found = root_of(root)
    if not any((found / part).exists() for part in OURS):
        raise StoreError(f"{found} holds no store", "--root is the directory of `zoo serve`")
    return found
