"""`zoo compress` run in this process."""

from typer.testing import CliRunner

from zoo.cli import app


def run(*args):
    given = ["compress", *map(str, args), "--rounds", "5"]
    return CliRunner().invoke(app, given, catch_exceptions=True)


def failed(*args):
    """The error of a command that writes nothing."""
    result = run(*args)
    assert result.exit_code == 1 and isinstance(result.exception, Exception), result.output
    assert hasattr(result.exception, "hint") and result.exception.hint
    return f"{result.exception} | {result.exception.hint}"
