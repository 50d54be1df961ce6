"""Which students there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli import tables
from zoo.cli.app import USE, app, json_out, talk, text
from zoo.cli.arguments import Json, Name, Registry, Size
from zoo.said import masked

if TYPE_CHECKING:
    from zoo.registry.registries import Found

Task = Annotated[str | None, typer.Option(help="Only students of this task.")]


@app.command("list", rich_help_panel=USE)
def list_students(
    task: Task = None, max_size: Size = None, registry: Registry = None, as_json: Json = False
) -> None:
    """List the published students."""
    return _show([], task, max_size, registry, as_json)


@app.command(rich_help_panel=USE)
def search(
    words: Annotated[
        list[str],
        typer.Argument(metavar="WORD", help="Of name, summary or task; all of them must be there."),
    ],
    task: Task = None,
    max_size: Size = None,
    registry: Registry = None,
    as_json: Json = False,
) -> None:
    """List the students that all these words, or parts of words, fit."""
    return _show(words, task, max_size, registry, as_json)


def _show(
    words: list[str],
    task: str | None,
    max_size: int | None,
    registry: list[str] | None,
    as_json: bool,
) -> None:
    from zoo.registry import registries

    rows = [
        (origin, entry)
        for origin, entry in registries.entries(registry)
        if task in (None, entry.task)
        and (max_size is None or tables.file_size(entry) <= max_size)
        and registries.matches(entry, words)
    ]
    if as_json:
        return json_out([_plain(row) for row in rows])
    if not rows:
        return talk("no students match")
    return text(tables.students(rows, with_origin=len(registries.origins(registry)) > 1))


@app.command(rich_help_panel=USE)
def info(name: Name, registry: Registry = None, as_json: Json = False) -> None:
    """Show a student's row of the registry."""
    from zoo.registry import registries

    row = registries.found(name, registry)
    return json_out(_plain(row)) if as_json else text(tables.columns(tables.info(*row)))


def _plain(row: Found) -> dict[str, Any]:
    from zoo.records import plain

    origin, entry = row
    return plain.essentials(entry) | {"endpoint": masked(entry.endpoint), "origin": masked(origin)}
