"""Which students there are."""

from __future__ import annotations

from typing import Annotated

import typer

from zoo import tables
from zoo.arguments import Json, Name, Size
from zoo.cli.app import app, json_out, talk, text


@app.command("list")
def list_students(
    task: Annotated[str | None, typer.Option(help="Only students of this task.")] = None,
    max_size: Size = None,
    as_json: Json = False,
) -> None:
    """List the published students."""
    from zoo import records, registry

    entries = [
        e for e in registry.models(task) if max_size is None or tables.file_size(e) <= max_size
    ]
    if as_json:
        return json_out([records.to_dict(entry) for entry in entries])
    if not entries:
        return talk("no students match")
    return text(tables.columns(map(tables.student, entries), tables.STUDENTS))


@app.command()
def info(name: Name, as_json: Json = False) -> None:
    """Show a student's row of the registry."""
    from zoo import records, registry

    entry = registry.find(name)
    if as_json:
        return json_out(records.to_dict(entry))
    return text(tables.columns(tables.info(entry)))
