"""Students on their way to others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli import tables
from zoo.cli.app import PUBLISH, app, json_out, talk, tell, text
from zoo.cli.arguments import Json, complete_name
from zoo.errors import PublishError, ZooError
from zoo.said import masked

if TYPE_CHECKING:
    from zoo.publish.release import Plan, Published


@app.command(rich_help_panel=PUBLISH)
def publish(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Of a student here.", autocompletion=complete_name),
    ] = None,
    repo: Annotated[
        str,
        typer.Option(metavar="ORG/NAME", help="Repository on the hub; else the registry's."),
    ] = "",
    endpoint: Annotated[
        str,
        typer.Option(
            metavar="URL", help="The hub; else the registry's, $HF_ENDPOINT, the public Hub."
        ),
    ] = "",
    all_students: Annotated[
        bool, typer.Option("--all", help="Every student of the registry.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and print what would be sent; send nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put a student on a hub.

    Its gates and licences are checked; one commit; the hub's sizes and hashes are compared with
    ours; a tag; then the registry's row points there. Run again, it does what is left. The public
    Hub gets the user's Hugging Face token, $HF_ENDPOINT gets $HF_TOKEN, any other hub $ZOO_TOKEN.
    """
    if (name is None) != all_students:
        raise typer.BadParameter("give NAME or --all")
    if repo and all_students:
        raise typer.BadParameter("--repo is of one student, not of --all")
    if name is not None:
        from zoo.publish import remote

        done = remote.publish(name, repo=repo, endpoint=endpoint, dry_run=dry_run)
        return json_out(_data(done)) if as_json else text(_said(done))
    return _all(endpoint, dry_run, as_json)


def _all(endpoint: str, dry_run: bool, as_json: bool) -> None:
    """One after the other; what fails does not stop the rest, and makes the exit status 1."""
    from zoo.registry import local

    rows = local.load()
    hubs = {row.endpoint for row in rows.values() if row.endpoint}
    if len(hubs) > 1 and not endpoint:
        named = ", ".join(sorted(hubs))
        raise PublishError(f"the registry names several hubs: {named}", "--endpoint names one")
    names = sorted(rows)
    results: dict[str, Published | ZooError] = {}
    with _watched(len(names)) as step:
        for name in names:
            results[name] = _try(name, endpoint, dry_run)
            step(len(results))
    if as_json:
        json_out([_data(result, name) for name, result in results.items()])
    else:
        text(tables.columns([_row(*item) for item in results.items()], _SUMMARY))
    failed = sum(isinstance(result, ZooError) for result in results.values())
    if failed:
        talk(f"{failed} of {len(names)} students failed")
        raise typer.Exit(1)


def _try(name: str, endpoint: str, dry_run: bool) -> Published | ZooError:
    from zoo.publish import remote

    try:
        done = remote.publish(name, endpoint=endpoint, dry_run=dry_run)
    except ZooError as error:
        tell(error, name)
        return error
    talk(f"{name}: {_verdict(done)}")
    return done


@contextlib.contextmanager
def _watched(total: int) -> Iterator[Any]:
    """A `step(done)` that moves a bar where somebody watches."""
    from zoo.cli import progress as bars
    from zoo.publish import hub

    with bars.steps("students") as progress, contextlib.ExitStack() as stack:
        if progress:
            stack.enter_context(hub.without_bars())
            progress(0, total)
        yield lambda done: progress(done, total) if progress else None


# --- output --------------------------------------------------------------------------------------

_SUMMARY = ("NAME", "REPOSITORY", "TAG", "RESULT")


def _verdict(done: Published) -> str:
    if not done.revision:
        return f"would send {len(done.plan.send)} files" if done.new else "nothing to send"
    return "published" if done.new else "was there already"


def _row(name: str, result: Published | ZooError) -> tables.Row:
    if isinstance(result, ZooError):
        return name, "-", "-", f"error: {result}"
    plan = result.plan
    where = f"{plan.repo}@{result.revision}" if result.revision else plan.repo
    return name, where, plan.tag, _verdict(result)


def _said(done: Published) -> str:
    """Where a student is now, or the plan of a dry run."""
    plan = done.plan
    if done.revision:
        talk(f"{_verdict(done)}: {plan.endpoint}/{plan.repo} tag {plan.tag}")
        return f"{plan.repo}@{done.revision}"
    rows = [
        ("hub", plan.endpoint, ""),
        ("repository", plan.repo, ""),
        ("parent", plan.parent or "none, the repository is made", ""),
        ("tag", plan.tag, ""),
        *(_file(plan, file) for file in plan.files),
        *(("delete", file, "") for file in plan.delete),
    ]
    return tables.columns(rows)


def _file(plan: Plan, file: str) -> tables.Row:
    return "send" if file in plan.send else "there", file, f"{plan.files[file]} bytes"


def _data(result: Published | ZooError, name: str = "") -> dict[str, Any]:
    """What --json prints of one student."""
    from zoo.records import plain

    if isinstance(result, ZooError):
        return {"name": name, "error": str(result), "hint": result.hint}
    data: dict[str, Any] = plain.to_dict(result)
    found = {**data.pop("plan"), **data, "dry_run": not result.revision}
    return found | {"endpoint": masked(found["endpoint"])}
