"""Somebody else's ONNX file to 8 bits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli.app import MAKE, app, json_out, talk, text
from zoo.cli.arguments import Json, place
from zoo.errors import GateError, ZooError

if TYPE_CHECKING:
    from zoo.foreign.squeeze import Done


def numbers(text: str) -> tuple[float, ...]:
    """`0.5` or `0.485,0.456,0.406`."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number, or three with commas") from None


def sides(text: str) -> tuple[int, int]:
    """`224` or `256x192`, height first."""
    try:
        height, _, width = text.lower().partition("x")
        return int(height), int(width or height)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a size such as 224 or 256x192") from None


@app.command(rich_help_panel=MAKE)
def compress(
    file: Annotated[
        Path, typer.Argument(parser=place, metavar="FILE", help="An ONNX file in float.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            parser=place,
            metavar="PATH",
            help="A folder of pictures; or an .npz with the file's own inputs.",
        ),
    ] = None,
    random: Annotated[
        bool, typer.Option("--random", help="Random examples: speed only, nothing is written.")
    ] = False,
    labels: Annotated[
        Path | None,
        typer.Option(
            parser=place, metavar="CSV", help="Lines `file,label`: accuracy is a gate as well."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", parser=place, metavar="FILE", help="By default FILE with .int8.onnx."
        ),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="The result takes uint8 (n, h, w, 3) of any size.")
    ] = False,
    preset: Annotated[
        str | None,
        typer.Option(
            help="How pictures are normalised: imagenet, inception, clip, lite, caffe, unit, bytes."
        ),
    ] = None,
    mean: Annotated[
        str | None, typer.Option(metavar="N[,N,N]", help="Subtracted from a picture.")
    ] = None,
    std: Annotated[str | None, typer.Option(metavar="N[,N,N]", help="Divides it.")] = None,
    white: Annotated[
        float | None, typer.Option("--range", help="What white is before --mean: 1 or 255.")
    ] = None,
    color: Annotated[str | None, typer.Option(help="RGB, BGR or gray.")] = None,
    size: Annotated[
        str | None, typer.Option(metavar="N|HxW", help="Pixels, where the file takes any.")
    ] = None,
    crop: Annotated[
        float | None,
        typer.Option(help="Read the middle square, of this share of the shorter side."),
    ] = None,
    max_drop_points: Annotated[
        float, typer.Option(help="Points of accuracy that may be lost, with --labels.")
    ] = 0.5,
    min_agreement: Annotated[
        float | None,
        typer.Option(help="With the float file, lower end of the interval; 0.9, of a cosine 0.98."),
    ] = None,
    max_speed_ratio: Annotated[
        float, typer.Option(help="Latency over the float file's, upper end of the interval.")
    ] = 1.0,
    threads: Annotated[int, typer.Option(min=1, help="Of the runtime, while timing.")] = 1,
    rounds: Annotated[int, typer.Option(min=5, help="Of timing, in turns with a control.")] = 40,
    as_json: Json = False,
) -> None:
    """Make an ONNX file of your own smaller and faster, in 8 bits.

    Nothing is written that is not faster, by measurement, and as good on pictures that calibrated
    nothing; exit 1 then, with every attempt's reason.
    """
    from zoo.foreign.preprocess import Asked
    from zoo.foreign.squeeze import Wish

    if (data is None) != random:
        raise typer.BadParameter("give either --data or --random", param_hint="--data")
    asked = Asked(
        preset,
        numbers(mean) if mean else None,
        numbers(std) if std else None,
        white,
        color,
        sides(size) if size else None,
        crop,
    )
    wish = Wish(
        asked, labels, raw, max_drop_points, max_speed_ratio, min_agreement, threads, rounds
    )
    target = out or file.with_name(f"{file.stem}.int8.onnx")
    done = _squeezed(file, data, target, wish)
    if as_json:
        from zoo.foreign import told

        json_out(told.as_data(done))
    else:
        _show(done)
    if done.report.path is None:
        raise GateError(f"{file}: nothing is written: {done.report.refused}", _HINT)
    talk(f"wrote {done.report.path}")


_HINT = "other pictures, --min-agreement or --max-drop-points change what is asked"
_STAGE = ("onnx", "onnx_ir")  # what the extra brings


def _squeezed(file: Path, data: Path | None, out: Path, wish: object) -> Done:
    try:
        from zoo.foreign.squeeze import squeeze

        return squeeze(file, data, out, wish, lambda line: talk(f"  {line}"))  # type: ignore[arg-type]
    except ModuleNotFoundError as error:
        if error.name not in _STAGE:
            raise
        hint = "pip install 'studentzoo[train]'"
        raise ZooError(f"`zoo compress` needs {error.name}, which is not installed", hint) from None


def _show(done: Done) -> None:
    """The attempts as a table, and the facts under it."""
    from zoo.cli import tables
    from zoo.foreign import told

    text(tables.columns(map(told.attempt, done.report.attempts), told.ATTEMPTS))
    text("")
    text(tables.columns(told.facts(done)))
