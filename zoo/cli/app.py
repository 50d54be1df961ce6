"""The application: its errors and its output."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from zoo.errors import ZooWarning

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
    try:
        app()
    except Exception as error:  # the one place: ours are explained, a bug keeps its traceback
        if not hasattr(error, "hint"):
            raise
        _fail(error)
    finally:
        _flush()


def _fail(error: Exception) -> NoReturn:
    tell(error)
    sys.exit(1)


def _show_warning(message: Warning | str, category: type[Warning], *where: Any) -> None:
    """Ours are a line for people; others look as Python prints them."""
    if issubclass(category, ZooWarning):
        text = f"warning: {message}"
    else:
        text = warnings.formatwarning(message, category, *where[:2])
    typer.echo(text.rstrip(), err=True)


def _flush() -> None:
    """Write what is left; a reader that has gone away, as in `zoo list | head`, is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = None  # type: ignore[assignment]


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        import zoo

        typer.echo(zoo.__version__)
        raise typer.Exit


# --- output --------------------------------------------------------------------------------------


def talk(line: str) -> None:
    """A line for people."""
    typer.echo(line, err=True)


def tell(error: Exception, of: str = "") -> None:
    """An error with its hint; `of` is the student that it is about, where there are several."""
    about = f"{of}: " if of else ""
    talk(f"{about}error: {error}")
    if hint := getattr(error, "hint", ""):
        talk(f"{about}hint: {hint}")


def text(text: str) -> None:
    """Data as text."""
    typer.echo(text)


def json_out(data: object) -> None:
    """Data as JSON."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
