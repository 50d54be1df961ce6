"""What is in a commit: its files and folders, and which commit changed each last."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from zoo.records.names import quoted
from zoo.serve import listing
from zoo.serve.answers import bad_request, json, no_entry
from zoo.serve.bodies import form
from zoo.serve.changing import fields, only
from zoo.serve.describe import moment, pointed
from zoo.serve.hub import Hub
from zoo.serve.models import next_page, number, truth
from zoo.serve.routing import Route
from zoo.stores import git
from zoo.stores.store import Commit, File, Store

PAGE = 1000  # entries
PAGE_WITH_HISTORY = 100
HISTORY = 100  # commits that are looked through for the one that changed a file last


async def tree(request: Request, org: str, name: str, revision: str, path: str = "") -> Response:
    """The entries of a folder, in order of their paths; `?recursive=true` for all below it."""
    hub: Hub = request.state.hub
    commit = await hub.read(org, name, revision, request.state.user)
    found = await hub.ask(entries, commit, path.strip("/"), truth(request, "recursive"))
    if found is None:
        return no_entry(f"there is no folder {quoted(path)} at {quoted(revision)}", commit.id)
    expand = truth(request, "expand")
    most = PAGE_WITH_HISTORY if expand else PAGE
    limit, cursor = number(request, "limit", most, 1, most), request.query_params.get("cursor", "")
    rest = [row for row in found if row["path"] > cursor]
    rows = rest[:limit]
    if expand:
        await hub.ask(add_history, hub.store, f"{org}/{name}", commit, rows)
    more = next_page(request, cursor=rows[-1]["path"]) if len(rest) > limit else None
    return json(rows, headers=more)


async def paths_info(request: Request, org: str, name: str, revision: str) -> Response:
    """The entries of the paths that are asked for; unknown ones are left out."""
    hub: Hub = request.state.hub
    paths, expand = await _asked(request, hub.settings.max_json_bytes)
    commit = await hub.read(org, name, revision, request.state.user)
    rows = await hub.ask(_chosen, commit, paths)
    if expand:
        await hub.ask(add_history, hub.store, f"{org}/{name}", commit, rows)
    return json(rows)


async def _asked(request: Request, limit_bytes: int) -> tuple[set[str], bool]:
    """Paths and `expand` of a form, or of JSON."""
    if request.headers.get("content-type", "").startswith("application/json"):
        data = await fields(request, "paths", "expand")
        paths, expand = data.get("paths", []), data.get("expand")
        if isinstance(paths, str):
            paths = [paths]
        if not isinstance(paths, list) or not all(isinstance(p, str) for p in paths):
            raise bad_request('"paths" must be a list of texts')
        if expand is not None and not isinstance(expand, bool):
            raise bad_request('"expand" is true or false')
        return {p.strip("/") for p in paths}, bool(expand)
    sent = await form(request, limit_bytes)
    only(sent, "paths", "expand")
    expand = [listing.truth(value, "expand") for value in sent.get("expand", [])]
    if len(expand) > 1:
        raise bad_request("expand stands more than once in the form")
    return {p.strip("/") for p in sent.get("paths", [])}, expand == [True]


def _chosen(commit: Commit, paths: set[str]) -> list[dict[str, Any]]:
    return [row for row in entries(commit, "", recursive=True) or [] if row["path"] in paths]


def entries(commit: Commit, folder: str, recursive: bool) -> list[dict[str, Any]] | None:
    """Files and folders below `folder` ("" is the root), by path; None where it is no folder."""
    prefix = f"{folder}/" if folder else ""
    below = {p: f for p, f in commit.files.items() if p.startswith(prefix)}
    if folder and not below:
        return None
    files = (f for p, f in below.items() if recursive or "/" not in p[len(prefix) :])
    rows = [_file(file) for file in files]
    for path, inside in _folders(below, len(prefix)).items():
        if recursive or "/" not in path[len(prefix) :]:
            rows.append({"type": "directory", "path": path, "oid": git.tree_id(inside), "size": 0})
    return sorted(rows, key=lambda row: str(row["path"]))


def _folders(files: Mapping[str, File], start: int) -> dict[str, dict[str, File]]:
    """Each folder's files by their path in it; folders whose names end before `start` are not."""
    found: dict[str, dict[str, File]] = {}
    for path, file in files.items():
        at = path.find("/", start)
        while at >= 0:
            found.setdefault(path[:at], {})[path[at + 1 :]] = file
            at = path.find("/", at + 1)
    return found


def _file(file: File) -> dict[str, Any]:
    row: dict[str, Any] = {"type": "file", "path": file.path, "oid": file.oid, "size": file.size}
    if file.lfs:
        row["lfs"] = {"oid": file.sha256, "size": file.size, **pointed(file)}
    return row


def add_history(store: Store, repo: str, commit: Commit, rows: Iterable[dict[str, Any]]) -> None:
    """Put into each row the commit that changed it last, where that is one of the newest 100."""
    waiting = {str(row["path"]): row for row in rows}
    log = itertools.islice(store.log(repo, commit.id), HISTORY)
    newer, state = next(log), _state(commit, waiting)
    for older in log:
        before = _state(older, waiting)
        for path in [p for p in waiting if state.get(p) != before.get(p)]:
            waiting.pop(path)["lastCommit"] = _brief(newer)
        if not waiting:
            return
        newer, state = older, before
    if not newer.parents:  # the first commit of all made what is left
        for row in waiting.values():
            row["lastCommit"] = _brief(newer)


def _brief(commit: Commit) -> dict[str, str]:
    return {"id": commit.id, "title": commit.title, "date": moment(commit.date)}


def _state(commit: Commit, paths: Container[str]) -> dict[str, int]:
    """A number for each path, another one where the file, or anything in the folder, is another."""
    state: dict[str, int] = {}
    for path, file in commit.files.items():
        at = len(path)
        while at > 0:
            if path[:at] in paths:
                state[path[:at]] = hash((state.get(path[:at]), path, file.oid))
            at = path.rfind("/", 0, at)
    return state


_QUERY = ("recursive", "expand", "limit", "cursor")
ROUTES = [
    Route("GET", "/api/models/{org}/{name}/tree/{revision}", tree, "", _QUERY),
    Route("GET", "/api/models/{org}/{name}/tree/{revision}/{path...}", tree, "", _QUERY),
    Route("POST", "/api/models/{org}/{name}/paths-info/{revision}", paths_info),
]
