"""A hub of one's own, and who may do what on it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli.app import SERVE, app, json_out, talk, text
from zoo.cli.arguments import Json, Root
from zoo.errors import ZooError

if TYPE_CHECKING:
    from zoo.serve.tokens import Tokens


class Scope(StrEnum):
    """What a token allows."""

    read = "read"
    write = "write"


TokenName = Annotated[str, typer.Argument(metavar="NAME", help="Of a person or a machine.")]

token_app = typer.Typer(no_args_is_help=True, help="Who may do what on a hub of one's own.")
app.add_typer(token_app, name="token", rich_help_panel=SERVE)

_SERVE = ("anyio", "jinja2", "starlette", "uvicorn")  # what the extra brings


@app.command(rich_help_panel=SERVE)
def serve(
    root: Root = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 is the whole network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    upstream: Annotated[
        str,
        typer.Option(
            metavar="URL", help="Hub to pull what is not here from; $ZOO_UPSTREAM_TOKEN is for it."
        ),
    ] = "",
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS", help="Proxy whose X-Forwarded-For is believed; repeatable."
        ),
    ] = None,
) -> None:
    """Be a hub: for huggingface_hub, for zoo, and for people with a browser.

    Everybody may read what is not private; changes need a token (`zoo token add`). One line a
    request on stderr.
    """
    try:
        from zoo.serve import run
        from zoo.serve.settings import root_of

        run.serve(
            root_of(root), host=host, port=port, upstream=upstream, proxies=proxy or (), say=talk
        )
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _SERVE:
            raise
        hint = "pip install 'studentzoo[serve]'"
        raise ZooError(f"`zoo serve` needs {error.name}, which is not installed", hint) from None


@token_app.command("add")
def add_token(
    name: TokenName,
    scope: Annotated[Scope, typer.Option(help="What it allows; write is also read.")],
    days: Annotated[float | None, typer.Option(help="Until it expires; never by default.")] = None,
    root: Root = None,
) -> None:
    """Make a token and print it, this once."""
    text(_tokens(root).add(name, scope.value, days=days))
    talk("keep it: only its hash is stored. As HF_TOKEN it goes to the hub in HF_ENDPOINT,")
    talk("as ZOO_TOKEN to the one that `zoo publish --endpoint` or a registry's address names.")


@token_app.command("list")
def list_tokens(root: Root = None, as_json: Json = False) -> None:
    """Names, scopes and ends of the tokens."""
    from zoo.cli import tables

    rows = [(t.name, t.scope, t.expires or "never") for t in _tokens(root).all()]
    if as_json:
        return json_out([dict(zip(("name", "scope", "expires"), row, strict=True)) for row in rows])
    if not rows:
        return talk("no tokens")
    return text(tables.columns(rows, ("NAME", "SCOPE", "EXPIRES")))


@token_app.command("revoke")
def revoke_token(name: TokenName, root: Root = None) -> None:
    """Make a token worthless, at once."""
    _tokens(root).revoke(name)


def _tokens(root: Path | None) -> Tokens:
    from zoo.serve.settings import root_of
    from zoo.serve.tokens import Tokens

    return Tokens(root_of(root))
