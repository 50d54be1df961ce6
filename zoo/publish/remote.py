"""A student onto a hub, seen to arrive whole; then its row of the registry points there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from zoo.errors import PublishError, RegistryError, StoreError
from zoo.publish import hub, shelf
from zoo.publish.release import Plan, Published, Release, read
from zoo.records.entry import Entry
from zoo.registry import endpoints, local
from zoo.stores import folders
from zoo.stores.folders import Folders


def publish(
    name: str,
    *,
    repo: str = "",
    endpoint: str = "",
    dry_run: bool = False,
    store: Folders | None = None,
    registry_path: Path | None = None,
) -> Published:
    """Put a student on a hub, see that it arrived whole, then point its row of the registry there.

    Without `repo` and `endpoint` they are the row's, then $HF_ENDPOINT or the public Hub. Whatever
    fails leaves the registry as it was; another run goes on where this one stopped. A dry run reads
    and changes nothing. Errors: PublishError, NotFound, CardError, RegistryError, StoreError.
    """
    store = store or folders.default()
    path = registry_path or local.default_path(store.root)
    known = shelf.rows_to_write(path).get(name)
    release = read(store.folder(name))
    where = endpoint.rstrip("/") or (known.endpoint if known else "") or endpoints.default()
    target = repo or (known.repo if known else f"{shelf.ORGANISATION}/{name}")
    if not dry_run:
        with shelf.alone(store):  # a store that cannot be written is no place to publish from
            pass
    done = hub.publish(release, where, target, dry_run=dry_run)
    if not dry_run:
        record(release, done, store, path)
    return done


def record(release: Release, done: Published, store: Folders, path: Path) -> Entry:
    """Point the student's row in the registry at `path` to what was published; in one step."""
    try:
        with shelf.alone(store):
            return _record(release, done.plan, done.revision, path)
    except (RegistryError, StoreError) as problem:
        message = f"{problem}; {done.plan.repo}@{done.revision} is on the hub, the registry is not"
        hint = "mend that and run it again: nothing is sent twice"
        raise PublishError(f"{message} changed", hint) from None


def _record(release: Release, done: Plan, revision: str, path: Path) -> Entry:
    if folders.tree_id(release.folder) != release.tree:
        message = f"{release.folder} has changed while it was published"
        raise PublishError(message, "run it again")
    endpoint = "" if done.endpoint == endpoints.PUBLIC else done.endpoint
    entry = shelf.entry(release.card, release.folder, revision, done.repo)
    entry = replace(entry, endpoint=endpoint)
    rows = shelf.rows_to_write(path)
    if rows.get(entry.name) != entry:
        local.write((rows | {entry.name: entry}).values(), path)
    return entry
