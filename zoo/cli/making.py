"""Students from recipes, and their cards."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli import tables
from zoo.cli.app import MAKE, app, json_out, talk, text
from zoo.cli.arguments import Json, Name, Recipe, Registry, Stage, Until, place
from zoo.cli.fetching import pulled
from zoo.errors import ZooError
from zoo.said import shown

if TYPE_CHECKING:
    from zoo.records.card import Card


_Data = Annotated[
    Path | None,
    typer.Option(
        parser=place, metavar="DIR", envvar="ZOO_DATA", help="Folder that holds the data."
    ),
]


@app.command(rich_help_panel=MAKE)
def build(
    recipe: Recipe,
    data: _Data = None,
    work: Annotated[
        Path, typer.Option(parser=place, metavar="DIR", help="Folder for what the stages keep.")
    ] = Path("runs"),
    store: Annotated[
        Path | None,
        typer.Option(
            parser=place,
            metavar="DIR",
            envvar="ZOO_STORE",
            help="Store to publish to, its registry beside it.",
        ),
    ] = None,
    until: Until = Stage.store,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Over the recipe's, as train.epochs=3. May be repeated.",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Time nothing, publish nothing: for a trial.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="A worse student may take a published one's place.")
    ] = False,
) -> None:
    """Make a student from a recipe.

    Distil, export, quantize, measure, publish; a second build goes on where it stopped. Prints the
    folder of the last stage.
    """
    with _trains("build"):
        from zoo.chain.build import build

        try:
            folder = build(
                recipe,
                data=data,
                work=work,
                store=store,
                until=until.value,
                quick=quick,
                settings=settings or (),
                agree=(lambda about: True) if replace else _asked,
                say=talk,
            )
        except KeyboardInterrupt as stop:
            talk(f"stopped: {stop or recipe}")
            talk(f"hint: what is done is kept; go on with: {shlex.join(['zoo', *sys.argv[1:]])}")
            raise typer.Exit(130) from None
    text(str(folder))


@app.command(rich_help_panel=MAKE)
def teacher(
    recipe: Recipe,
    data: _Data = None,
    as_json: Json = False,
) -> None:
    """Try a recipe's teacher.

    It answers to 400 labelled examples, as before a build: how many are right, of which classes,
    are classes in another order, pictures prepared in another way. Nothing is built.
    """
    from zoo.records import plain

    with _trains("teacher"):
        from zoo.chain.trial import examine

        found = examine(recipe, data=data, say=talk)
    if as_json:
        json_out(plain.to_dict(found))
    else:
        text(tables.columns(tables.tried(found.trial), tables.TRIED))
        for warning in found.trial.warnings:
            talk(f"warning: {warning}")
    found.trial.check()


@contextmanager
def _trains(command: str) -> Iterator[None]:
    """What is not installed of what trains is named."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in _TRAIN:
            raise
        hint = "pip install 'studentzoo[train]'"
        raise ZooError(
            f"`zoo {command}` needs {error.name}, which is not installed", hint
        ) from None


def _asked(about: str) -> bool:
    """Whoever sits at the terminal decides; elsewhere nobody does."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    talk(about)
    return typer.confirm("Shall it take that place?", err=True)


_TRAIN = ("torch", "onnx", "onnxscript", "matplotlib", "sklearn")  # what the extra brings


@app.command("card", rich_help_panel=MAKE)
def show_card(
    name: Name,
    add: Annotated[
        Path | None,
        typer.Option(parser=place, metavar="FILE", help="Rows of `zoo bench NAME --json` to add."),
    ] = None,
    registry: Registry = None,
) -> None:
    """Print a student's card, or add to it.

    --add merges measurements of another machine and publishes the card with them.
    """
    from zoo.publish import shelf
    from zoo.records.card import read

    if add is None:
        return _markdown(read(folder_of(name, registry)))
    if registry:
        raise typer.BadParameter("rows are added to the students here", param_hint="--registry")
    entry = shelf.add_rows(name, add)
    return text(f"{entry.name}@{entry.revision}")


def folder_of(name: str, registry: list[str] | None) -> Path:
    """Where a student's card is: in the store here, else it is pulled."""
    from zoo.stores import folders

    store = folders.default()
    if not registry and store.has(name):
        return store.folder(name)
    return pulled(name, registry=registry, verify=False)


def _markdown(card: Card) -> None:
    """Text for a terminal, plain markdown elsewhere."""
    from zoo.card import page as card_page

    page = card_page.render(card)
    if not sys.stdout.isatty():
        return text(page, end="")
    from rich.console import Console
    from rich.markdown import Markdown

    body = page.split("\n---\n", 1)[1]
    clean = shown(body, keep="\n")  # and no link whose address is not seen
    return Console().print(Markdown(clean, hyperlinks=False))
