"""Students at work."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli.app import app
from zoo.cli.arguments import Batch, Files, JsonLines, NameOrPath, Precision, Registry, Texts, Top
from zoo.errors import InputError, ZooError

if TYPE_CHECKING:
    from zoo.students.load import PictureStudent


@app.command()
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
    from zoo.inputs import lines
    from zoo.students import load

    student = load.load(name, precision=precision.value, registry=registry)
    if isinstance(student, load.TextStudent):
        if not files and not text and sys.stdin.isatty():
            raise typer.BadParameter("give --text, text files, or a pipe", param_hint="FILE")
        texts = lines.texts(text or [], files or [])
        for part in lines.rendered(student, texts, batch or lines.BATCH, top, as_json):
            typer.echo(part)
        return None
    assert isinstance(student, load.PictureStudent)  # there are two kinds
    if text:
        raise InputError(f"{student.name} classifies pictures, not texts", "give picture files")
    if not files:
        raise typer.BadParameter("give pictures, or folders of them", param_hint="FILE")
    return _run_pictures(student, files, batch or 16, top or 5, as_json)


def _run_pictures(
    student: PictureStudent, files: list[Path], batch: int, top: int, as_json: bool
) -> None:
    from zoo.cli import progress
    from zoo.inputs import batches

    show = batches.as_json if as_json else batches.as_text
    pictures = batches.pictures(files)
    failed: list[ZooError] = []
    for path, answer in progress.watched(
        batches.answers(student, pictures, batch, top), len(pictures)
    ):
        if isinstance(answer, ZooError):
            if len(pictures) == 1:
                raise answer
            failed.append(answer)
            typer.echo(f"error: {answer}", err=True)
        else:
            typer.echo(show(path, answer))
    if failed:
        hints = dict.fromkeys(error.hint for error in failed if error.hint)
        message = f"{len(failed)} of {len(pictures)} pictures could not be read"
        raise InputError(message, "; ".join(hints))
