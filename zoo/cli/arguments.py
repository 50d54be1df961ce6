"""What the commands take: types of arguments, how they are read and how they are completed."""

from __future__ import annotations

import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from zoo.errors import ZooError


class Device(StrEnum):
    """What runs it."""

    cpu = "cpu"
    cuda = "cuda"


class Precision(StrEnum):
    """Which file of a student."""

    auto = "auto"
    int8 = "int8"
    fp32 = "fp32"


class Stage(StrEnum):
    """The stages of `zoo.chain.build`, which a test holds beside these."""

    label = "label"
    distil = "distil"
    export = "export"
    compress = "compress"
    measure = "measure"
    card = "card"
    store = "store"


def complete_name(incomplete: str, ctx: typer.Context | None = None) -> list[str]:
    """Names in the registries of this machine, and in the kept copies of others: no request."""
    from zoo.registry import registries

    try:
        with warnings.catch_warnings(action="ignore"):
            rows = registries.entries(ctx.params.get("registry") if ctx else None, fetch=False)
    except ZooError:
        return []
    return list(dict.fromkeys(e.name for _, e in rows if e.name.startswith(incomplete)))


def complete_recipe(incomplete: str) -> list[str]:
    from zoo.records import recipe

    return [name for name in recipe.recipes() if name.startswith(incomplete)]


def size(text: str) -> int:
    """`480k`, `1.5MB`, `1MiB` or plain bytes -> bytes."""
    units = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1024, "mi": 1024**2, "gi": 1024**3}
    number = text.strip().lower().removesuffix("b")
    digits = number.rstrip("kmgi")
    try:
        return int(float(digits) * units[number[len(digits) :]])
    except (ValueError, KeyError, OverflowError):
        raise typer.BadParameter(f"{text!r} is not a size such as 480k, 1.5MB or 1MiB") from None


def place(text: str) -> Path:
    """A path; "", as of a variable that is not set, is not the folder that one stands in."""
    if not text:
        raise typer.BadParameter("the path is empty")
    return Path(text)


Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Of a student.", autocompletion=complete_name)
]
NameOrPath = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="Of a student, its folder or file.", autocompletion=complete_name
    ),
]
NamesOrFiles = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME|FILE...",
        help="Of a student; or ONNX files of any kind, which end in .onnx.",
        autocompletion=complete_name,
    ),
]
NameOrFile = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE",
        help="Of a student; or an ONNX file, which ends in .onnx.",
        autocompletion=complete_name,
    ),
]
Registry = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH|URL|ORG/NAME",
        help=(
            "Where students are listed, in place of $ZOO_REGISTRY; default is what comes with the "
            "package. May be repeated."
        ),
    ),
]
Files = Annotated[
    list[Path] | None,
    typer.Argument(
        parser=place,
        metavar="FILE",
        help=(
            "Pictures, and folders of them; or text files, a text a line, and folders of "
            "LABEL.txt. - is stdin: a picture's bytes, or texts."
        ),
    ),
]
Texts = Annotated[
    list[str] | None,
    typer.Option("--text", metavar="TEXT", help="A text, in place of a file."),
]
Top = Annotated[int | None, typer.Option(min=1, help="Answers a picture (5) or a text (1).")]
Batch = Annotated[int | None, typer.Option(min=1, help="Pictures (16) or texts (4096) at a time.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JsonLines = Annotated[
    bool, typer.Option("--json", help="Print one JSON object a picture or text, each on a line.")
]
Csv = Annotated[
    bool, typer.Option("--csv", help="Print a table: a line of names, a row a picture or text.")
]
Recipe = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A name or a file.", autocompletion=complete_recipe)
]
Until = Annotated[Stage, typer.Option(help="Stop after this stage, and print its folder.")]
Size = Annotated[
    int | None,
    typer.Option(parser=size, metavar="SIZE", help="Only files up to this: 480k, 1.5MB."),
]
Root = Annotated[
    Path | None,
    typer.Option(
        parser=place,
        metavar="DIR",
        envvar="ZOO_ROOT",
        help="What is served; by default studentzoo in the user's data folder.",
    ),
]
