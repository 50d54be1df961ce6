"""Commits: what the client asks first, the commit itself, and the check of a README."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from zoo.errors import RevisionNotFound, ZooError, require
from zoo.records.names import check_path, quoted
from zoo.serve.answers import bad_request, json, too_large
from zoo.serve.bodies import chunks
from zoo.serve.changing import fields, known, only, text
from zoo.serve.drafts import Draft, Proposed
from zoo.serve.hub import Hub
from zoo.serve.listing import flag
from zoo.serve.metadata import problems
from zoo.serve.routing import Route, base_url
from zoo.stores.blobs import blob_id_of
from zoo.stores.store import Commit, File, Store

MAX_FILES = 1000  # that one question may be about; the client asks 256 at a time


async def preupload(request: Request, org: str, name: str, revision: str) -> Response:
    """How each file is to be sent, and what is there of it already.

    Files below `regular_below` come inside the commit, whatever their names, as long as it has
    room for them: a client that would send large files by Xet can publish students then.
    """
    hub, repo = await known(request, org, name)
    _no_pull_request(request)
    data = await fields(request, "files", "gitIgnore")
    asked = data.get("files")
    if not isinstance(asked, list) or len(asked) > MAX_FILES:
        raise bad_request(f'"files" must be a list of at most {MAX_FILES}')
    head = await hub.call(hub.store.read, repo, revision)
    return json({"files": await hub.call(_modes, hub, head, asked)})


async def commit(request: Request, org: str, name: str, revision: str) -> Response:
    """The changes of one body of JSON lines, all or none, on a branch."""
    hub, repo = await known(request, org, name)
    _no_pull_request(request)
    branch = revision.removeprefix("refs/heads/")
    heads = (await hub.call(hub.store.refs, repo)).heads
    if branch not in heads:
        raise RevisionNotFound(f"no branch {quoted(branch)} in {repo}", "commits go to branches")
    proposed = await _received(request, hub)
    await hub.check_writer(request.state.user.id)
    made = await hub.call(
        hub.store.commit,
        repo,
        branch,
        proposed.changes,
        title=proposed.title,
        description=proposed.description,
        author=request.state.user.name,
        parent=proposed.parent or None,
    )
    url = f"{base_url(request)}/{repo}/commit/{made.id}"
    return json({"success": True, "commitOid": made.id, "commitUrl": url, "hookOutput": ""})


async def validate_yaml(request: Request) -> Response:
    """Whether the metadata of a README can be used; 400 with the reasons where it cannot."""
    data = await fields(request, "content", "repoType")
    content = text(data, "content")
    if text(data, "repoType", "model") != "model":
        raise bad_request("there are only models here, no data sets and no spaces")
    hub: Hub = request.state.hub
    errors = [{"message": message} for message in await hub.call(problems, content)]
    return json({"errors": errors, "warnings": []}, 400 if errors else 200)


async def _received(request: Request, hub: Hub) -> Proposed:
    """What the body says. It is read to its end, so that the client is told what is wrong."""
    wrong: ZooError | None = None
    with Draft(hub.store, hub.settings.max_file_bytes) as draft:
        async for chunk in chunks(request, hub.settings.max_body_bytes):
            try:
                if wrong is None:
                    await hub.call(draft.feed, chunk)
            except ZooError as problem:
                wrong = problem
        if wrong is not None:
            raise wrong
        return await hub.call(draft.finish)


def _modes(hub: Hub, head: Commit, asked: list[Any]) -> list[dict[str, Any]]:
    """The answer for each file that the client would send."""
    room = hub.settings.max_body_bytes * 5 // 8  # base64 makes four bytes of three
    answers = []
    for path, size in [_asked(hub, item) for item in asked]:
        regular = size < hub.settings.regular_below and size <= room
        room -= size if regular else 0
        answer = {"path": path, "uploadMode": "regular" if regular else "lfs"}
        oid = _known_id(hub.store, head.files.get(path), size, regular)
        answers.append({**answer, "shouldIgnore": False, **({"oid": oid} if oid else {})})
    return answers


def _asked(hub: Hub, item: Any) -> tuple[str, int]:
    """Path and size in bytes of a file; 400 or 413 where it could not be taken."""
    if not isinstance(item, dict):
        raise bad_request('a file is {"path": ..., "size": ..., "sample": ...}')
    only(item, "path", "size", "sample", "sha")  # the last of old clients
    path, size = text(item, "path"), item.get("size")
    if type(size) is not int or size < 0:
        raise bad_request(f"{quoted(path)}: size must be a number of bytes")
    require(check_path, path, bad_request)
    if size > hub.settings.max_file_bytes:
        raise too_large(f"{quoted(path)} is over the {hub.settings.max_file_bytes} bytes allowed")
    return path, size


def _known_id(store: Store, old: File | None, size: int, regular: bool) -> str:
    """What the client compares its file with; "" where it has to send it.

    That is git's id of the bytes where it would send them inside the commit, else their sha256.
    """
    if old is None or old.size != size:
        return ""
    if not regular:
        return old.sha256
    if not old.lfs:
        return old.oid
    return blob_id_of(store.blob(old.sha256)) if store.has(old.sha256) else ""


def _no_pull_request(request: Request) -> None:
    if flag(request.query_params, "create_pr"):
        raise bad_request("there are no pull requests here; commit to a branch")


_REPO = "/api/models/{org}/{name}"
ROUTES = [
    Route("POST", _REPO + "/preupload/{revision}", preupload, "write", ("create_pr",)),
    Route("POST", _REPO + "/commit/{revision}", commit, "write", ("create_pr",)),
    Route("POST", "/api/validate-yaml", validate_yaml),
]
