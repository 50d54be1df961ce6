"""Students at work."""

from __future__ import annotations

from typing import Annotated

import typer

from zoo.cli.app import USE, app, talk
from zoo.cli.app import text as out
from zoo.cli.arguments import Batch, Files, JsonLines, NameOrPath, Precision, Registry, Texts, Top
from zoo.errors import NothingGiven, ZooError


@app.command(rich_help_panel=USE)
def run(
    name: NameOrPath,
    files: Files = None,
    text: Texts = None,
    top: Top = None,
    batch: Batch = None,
    precision: Annotated[
        Precision, typer.Option(help="Which file; auto: 8 bits.")
    ] = Precision.auto,
    registry: Registry = None,
    as_json: JsonLines = False,
) -> None:
    """Classify pictures or texts.

    Pictures: a line for each answer: file, probability and label, tabs between them.

    Texts: a line for each text: probability, label and text; the label is unknown where the
    probability is below what the student's card says. With --top, probability and label of each
    answer, whatever the threshold, and then the text. Without FILE and --text, stdin is read.
    """
    from zoo.cli.progress import watched
    from zoo.inputs.asked import Asked
    from zoo.students.load import load

    student = load(name, precision=precision.value, registry=registry)
    asked = Asked(files or (), text or (), top, batch, as_json, watched)
    try:
        for line in student.told(asked):
            talk(f"error: {line}") if isinstance(line, ZooError) else out(line)
    except NothingGiven as problem:
        raise typer.BadParameter(str(problem), param_hint="FILE") from None
