"""Students at work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli.app import USE, app, talk
from zoo.cli.app import text as out
from zoo.cli.arguments import (
    Batch,
    Csv,
    Files,
    JsonLines,
    NameOrPath,
    Precision,
    Registry,
    Texts,
    Top,
)
from zoo.errors import NothingGiven, ZooError

if TYPE_CHECKING:
    from zoo.inputs.asked import Asked
    from zoo.students.student import Student


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
    as_csv: Csv = False,
) -> None:
    """Classify pictures or texts.

    Pictures: a line for each answer: file, probability and label, tabs between them. Where the
    folders of a folder are called like the student's labels, accuracy with its 95 % interval and
    the largest confusions are said in the end.

    Texts: a line for each text: probability, label and text; the label is unknown where the
    probability is below what the student's card says. With --top, probability and label of each
    answer, whatever the threshold, and then the text. Without FILE and --text, stdin is read. Of
    a folder of LABEL.txt accuracy is said as of pictures.
    """
    from zoo.cli.progress import watched
    from zoo.inputs.asked import Asked
    from zoo.students.load import load

    if as_json and as_csv:
        raise typer.BadParameter("give either --json or --csv", param_hint="--csv")
    student = load(name, precision=precision.value, registry=registry)
    _answer(student, Asked(files or (), text or (), top, batch, as_json, as_csv, watched))


def _answer(student: Student, asked: Asked) -> None:
    if asked.as_csv and not student.csv:
        raise ZooError(f"{student.name}: students of its task write no table", "use --json")
    try:
        for line in student.told(asked):
            _say(line)
    except NothingGiven as problem:
        raise typer.BadParameter(str(problem), param_hint="FILE") from None


def _say(line: str | ZooError) -> None:
    """Answers are data; what is wrong with an input, and what is remarked, is for people."""
    from zoo.inputs.asked import Remark

    if isinstance(line, ZooError):
        talk(f"error: {line}")
    elif isinstance(line, Remark):
        talk(line)
    else:
        out(line)
