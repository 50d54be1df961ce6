"""The application: its errors and its output."""

from __future__ import annotations

import codecs
import io
import os
import sys
import traceback
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from zoo.errors import NO_ROOM, ZooWarning
from zoo.said import ERROR_LIMIT, JOINERS, as_json, escaped, masked, shown

USE, MAKE, PUBLISH, SERVE = "Use", "Make", "Publish", "Serve"  # what commands are for


class _Grouped(TyperGroup):
    """Plain help that groups the commands by what they are for."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """A section for each `rich_help_panel`, in the order of the commands."""
        sections: dict[str, list[tuple[str, str]]] = {}
        width = max(map(len, self.commands))
        for name, command in self.commands.items():
            said = command.get_short_help_str(formatter.width - 6 - width)
            panel = str(getattr(command, "rich_help_panel", None) or "Commands")
            sections.setdefault(panel, []).append((name.ljust(width), said))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)


app = typer.Typer(
    name="zoo",
    cls=_Grouped,
    help="Small, fast, honest students of large models: find, pull, run, measure, build.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: importing rich would double the time to start
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Entry point of `zoo`."""
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    _open_streams()
    try:
        sys.exit(app(standalone_mode=False))
    except Exception as error:  # noqa: BLE001 (the one place: ours are explained, a bug is told)
        sys.exit(_failed(error))
    finally:
        _flush()


def _open_streams() -> None:
    """What a stream cannot carry, as in LANG=C, is escaped; one that is closed swallows all.

    Else the next file that is opened would get its number, and what a library prints.
    """
    codecs.register_error("zoo.escaped", escaped)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="zoo.escaped")


def _failed(error: Any) -> int:
    """Tell an error as what it is; returns the exit status."""
    if hasattr(error, "format_message"):
        return _show_usage(error)
    if hasattr(error, "hint"):
        tell(error)
    elif isinstance(error, OSError) and error.errno in NO_ROOM:
        where = error.filename or "the output (or a file)"
        talk(f"error: {where} cannot be written: {error.strerror}")
    else:
        _say("".join(traceback.format_exception(error)).rstrip(), keep="\n\t")
    return 1


def _show_usage(error: Any) -> int:
    """Of wrong usage typer repeats what was typed, or what a file said."""
    said = io.StringIO()
    error.show(file=said)
    _say(said.getvalue().rstrip(), keep="\n")
    return int(error.exit_code)


def _show_warning(message: Warning | str, category: type[Warning], *where: Any) -> None:
    """Ours are a line for people; others look as Python prints them."""
    if issubclass(category, ZooWarning):
        return talk(f"warning: {message}")
    return _say(warnings.formatwarning(message, category, *where[:2]).rstrip(), keep="\n\t")


def _flush() -> None:
    """Write what is left; a reader that has gone away, as in `zoo list | head`, is no error.

    A disk that is full was told when it was met.
    """
    try:
        sys.stdout.flush()
    except OSError:
        sys.stdout = None  # type: ignore[assignment]


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        import zoo

        typer.echo(zoo.__version__)
        raise typer.Exit


# --- output: all of it goes through these, so that strangers' text does nothing to a terminal ----


def _say(text: str, limit: int | None = None, keep: str = "") -> None:
    typer.echo(shown(masked(text), limit, keep=keep), err=True)


def talk(line: str) -> None:
    """A line for people."""
    _say(line, ERROR_LIMIT)


def tell(error: Exception, of: str = "") -> None:
    """An error with its hint; `of` is the student that it is about, where there are several."""
    about = f"{of}: " if of else ""
    talk(f"{about}error: {error}")
    if hint := getattr(error, "hint", ""):
        talk(f"{about}hint: {hint}")


def text(text: str, end: str = "\n") -> None:
    """Data as text; its cells were made fit to be shown by whoever put them together."""
    typer.echo(shown(text, keep="\n\t" + JOINERS) + end, nl=False)


def json_out(data: object) -> None:
    """Data as JSON."""
    typer.echo(as_json(data, indent=2))
