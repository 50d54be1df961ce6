"""Students on their way here, what is kept of them, and in one file for a stick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli import tables
from zoo.cli.app import USE, app, json_out, talk, tell, text
from zoo.cli.arguments import Json, Registry, complete_name
from zoo.errors import ZooError
from zoo.said import shown

if TYPE_CHECKING:
    from zoo.fetch.kept import Removed
    from zoo.fetch.sources import Source
    from zoo.records.entry import Entry

Cache = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder in place of the Hub cache.")
]
From = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="PATH|URL",
        help="Ask this folder, bundle or hub before the student's own hub; may be repeated.",
    ),
]


@app.command(rich_help_panel=USE)
def pull(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Of students.", autocompletion=complete_name),
    ] = None,
    source: From = None,
    all_students: Annotated[
        bool,
        typer.Option("--all", help="Every student of the registry; from bundles, all in them."),
    ] = False,
    cache: Cache = None,
    registry: Registry = None,
) -> None:
    """Fetch students, every byte checked.

    Asked in this order: the folders that come with the package ($ZOO_STORE), those of
    studentzoo[students], each --from, $ZOO_MIRRORS, the hub that the registry names. What has
    arrived is kept and not fetched twice.

    The golden outputs are compared on this processor. Prints the folder of each student.
    """
    if bool(names) == all_students:
        raise typer.BadParameter("give NAME or --all", param_hint="NAME")
    from zoo.fetch import sources

    places = [sources.source(one) for one in source or []]
    entries = _all(places, registry) if all_students else _named(names or [], registry)
    if len(entries) == 1:
        return text(str(_pulled(entries[0], places, cache)))
    return _pull_each(entries, places, cache)


def _pull_each(entries: Sequence[Entry], places: Sequence[Source], cache: Path | None) -> None:
    """One after the other; what fails does not stop the rest, and makes the exit status 1."""
    failed = 0
    for entry in entries:
        try:
            text(str(_pulled(entry, places, cache)))
        except ZooError as problem:
            failed += 1
            tell(problem, entry.name)
    if failed:
        raise ZooError(f"{failed} of {len(entries)} students did not arrive", "see above")


def _pulled(
    entry: Entry, places: Sequence[Source], cache: Path | None, verify: bool = True
) -> Path:
    from zoo.cli import progress as bars
    from zoo.fetch.fetch import fetch
    from zoo.students.pull import self_test

    with bars.files(entry.name) as progress:
        folder = fetch(entry, sources=places, cache=cache, progress=progress)
    if verify:
        self_test(folder, entry.name)
    return folder


def pulled(name: str, *, registry: list[str] | None, verify: bool) -> Path:
    """The folder of a student for the commands that use one."""
    return _pulled(_named([name], registry)[0], [], None, verify)


def _named(names: Sequence[str], registry: list[str] | None) -> list[Entry]:
    from zoo.registry import registries

    return [registries.find(name, registry) for name in dict.fromkeys(names)]


def _all(places: Sequence[Source], registry: list[str] | None) -> list[Entry]:
    """Every row; where bundles are named, our rows of what is in them."""
    from zoo.fetch import bundle
    from zoo.registry import registries

    rows = [entry for _, entry in registries.entries(registry)]
    ours = {entry.name: entry for entry in rows}
    found = [bundle.agreed(one, ours) for one in places if isinstance(one, bundle.Bundle)]
    return [entry for some in found for entry in some] if found else rows


@app.command("bundle", rich_help_panel=USE)
def make_bundle(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="Of students.", autocompletion=complete_name),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="To be written.")],
    source: From = None,
    registry: Registry = None,
) -> None:
    """Put students into one file, for a stick.

    `zoo pull NAME --from FILE` and `zoo pull --all --from FILE` take them out. Trust is not in the
    file: its bytes must be those of the registry of the one who pulls.
    """
    from zoo.fetch import bundle, sources

    places = [sources.source(one) for one in source or []]
    entries = _named(names, registry)
    size = bundle.write(output, [(one, _pulled(one, places, None, False)) for one in entries])
    talk(f"{len(entries)} {'student' if len(entries) == 1 else 'students'}, {size} bytes")
    text(str(output))


# --- the cache -----------------------------------------------------------------------------------

cache_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(
    cache_app, name="cache", rich_help_panel=USE, help="See, check and clear what was pulled."
)


@cache_app.command("list")
def list_cache(cache: Cache = None, registry: Registry = None, as_json: Json = False) -> None:
    """List the students in the cache: revision, state, bytes."""
    from zoo.fetch import kept

    rows = kept.kept(*_cache(cache, registry))
    if as_json:
        return json_out([asdict(row) for row in rows])
    if not rows:
        return talk("no students in the cache")
    return text(tables.columns(map(tables.kept, rows), tables.KEPT))


@cache_app.command("verify")
def verify_cache(cache: Cache = None, registry: Registry = None, as_json: Json = False) -> None:
    """Hash every file of the students in the cache again. Exit 1 if one is broken."""
    from zoo.fetch import kept

    broken = kept.verify(*_cache(cache, registry))
    if as_json:
        json_out([asdict(one) for one in broken])
    else:
        for one in broken:
            row = f"{one.name}@{one.revision[:12]}", one.file, one.problem
            text("  ".join(map(shown, row)))
    if broken:
        talk("hint: `zoo pull NAME` fetches what is broken again")
        raise typer.Exit(1)
    talk("nothing is broken")


@cache_app.command("prune")
def prune_cache(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")
    ] = False,
    cache: Cache = None,
    registry: Registry = None,
    as_json: Json = False,
) -> None:
    """Remove partial files, and students' revisions that no registry names.

    Other models in the same cache are left alone. Name every registry that you use.
    """
    from zoo.fetch import kept

    root, entries = _cache(cache, registry, whole=True)  # what is not read would be removed
    gone = kept.prune(root, entries, dry_run=dry_run)
    if as_json:
        return json_out([asdict(one) for one in gone])
    return _say_gone(gone, dry_run)


def _say_gone(gone: Sequence[Removed], dry_run: bool) -> None:
    for one in gone:
        text(f"{one.what}  {shown(one.path)}  {one.size_bytes} bytes")
    size = sum(one.size_bytes for one in gone)
    talk(f"{size} bytes {'would be freed' if dry_run else 'freed'}")


def _cache(
    cache: Path | None, registry: list[str] | None, whole: bool = False
) -> tuple[Path, list[Entry]]:
    from zoo.fetch.cache import cache_root
    from zoo.registry import registries

    rows = registries.entries(registry, whole=whole)
    return cache_root(cache), [entry for _, entry in rows]
