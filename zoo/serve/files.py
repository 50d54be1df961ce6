"""The bytes of files: `/{org}/{name}/resolve/{revision}/{path}`, with Range and ETag."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from zoo.serve.answers import no_entry
from zoo.serve.hub import Hub
from zoo.serve.models import absent, truth
from zoo.serve.routing import Route
from zoo.serve.sending import FileAnswer, file_headers, not_modified, part_of

if TYPE_CHECKING:
    from zoo.stores.git import Commit, File


async def resolve(request: Request, org: str, name: str, revision: str, path: str) -> Response:
    """One file of a revision; HEAD tells its hash and size."""
    hub: Hub = request.state.hub
    commit = await hub.read(org, name, revision, request.state.user)
    file = commit.files.get(path)
    if file is None:
        return no_entry(f'"{path}" is not in {org}/{name} at {revision}', commit.id)
    headers = file_headers(commit, file)
    if truth(request, "download"):
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(Path(path).name)}"
    if not_modified(request.headers, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    found = await _found(request, hub, f"{org}/{name}", commit, file)
    if found is None:
        return no_entry(f'the bytes of "{path}" are not here', commit.id)
    if isinstance(found, Response):
        return found
    part = part_of(request.headers, file.size, headers["ETag"])
    return FileAnswer(found, file.size, part, headers)


async def _found(
    request: Request, hub: Hub, repo: str, commit: Commit, file: File
) -> Response | Path | None:
    """Where the bytes are; the answer itself where they are still on their way from upstream."""
    path = await hub.ask(hub.store.find, file.sha256)
    if path is not None or hub.mirror is None:
        return path
    return await hub.mirror.send(request, repo, commit, file)


ROUTES = [
    Route("GET", "/{org}/{name}/resolve/{revision}/{path...}", resolve, "", ("download",), True),
    Route("GET", "/{name}/resolve/{revision}/{path...}", absent, query=None),
    Route("GET", "/datasets/{org}/{name}/resolve/{revision}/{path...}", absent, query=None),
    Route("GET", "/spaces/{org}/{name}/resolve/{revision}/{path...}", absent, query=None),
]
