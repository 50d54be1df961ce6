"""The bytes of files: `/{org}/{name}/resolve/{revision}/{path}`, with Range and ETag."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from zoo.errors import EntryNotFound
from zoo.serve.answers import from_error
from zoo.serve.hub import Hub
from zoo.serve.models import absent
from zoo.serve.routing import Route
from zoo.serve.sending import FileAnswer, fresh, part_of

if TYPE_CHECKING:
    from zoo.stores.store import Commit, File, Store

_TYPES = {  # what a browser may show; all else is bytes to keep
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".yaml": "text/plain; charset=utf-8",
}


async def resolve(request: Request, org: str, name: str, revision: str, path: str) -> Response:
    """One file of a revision; HEAD tells its hash and size."""
    hub: Hub = request.state.hub
    commit = await hub.read(org, name, revision, request.state.user)
    file = commit.files.get(path)
    if file is None:
        problem = EntryNotFound(f'"{path}" is not in {org}/{name} at {revision}')
        return from_error(problem, {"X-Repo-Commit": commit.id})
    headers = file_headers(commit, file)
    if fresh(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return await _bytes(request, hub, f"{org}/{name}", commit, file)


async def _bytes(request: Request, hub: Hub, repo: str, commit: Commit, file: File) -> Response:
    headers = file_headers(commit, file)
    found = await _found(request, hub, repo, commit, file)
    if found is None:
        problem = EntryNotFound(f'the bytes of "{file.path}" are not here')
        return from_error(problem, {"X-Repo-Commit": commit.id})
    if isinstance(found, Response):
        return found
    return FileAnswer(
        found, file.size, part_of(request.headers, file.size, headers["ETag"]), headers
    )


async def _found(
    request: Request, hub: Hub, repo: str, commit: Commit, file: File
) -> Response | Path | None:
    """Where the bytes are; the answer itself where they are still on their way from upstream."""
    path = await hub.ask(_blob, hub.store, file)
    if path is not None or hub.mirror is None:
        return path
    return await hub.mirror.send(request, repo, commit, file)


def _blob(store: Store, file: File) -> Path | None:
    return store.blob(file.sha256) if store.has(file.sha256) else None


def file_headers(commit: Commit, file: File) -> dict[str, str]:
    """What tells the client which bytes these are."""
    etag = file.sha256 if file.lfs else file.oid
    kind = _TYPES.get(Path(file.path).suffix.lower(), "application/octet-stream")
    headers = {
        "X-Repo-Commit": commit.id,
        "ETag": f'"{etag}"',
        "Accept-Ranges": "bytes",
        "Content-Type": kind,
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }
    if file.lfs:
        headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(file.size)}
    return headers


ROUTES = [
    Route("GET", "/{org}/{name}/resolve/{revision}/{path...}", resolve),
    Route("GET", "/{name}/resolve/{revision}/{path...}", absent),
    Route("GET", "/datasets/{org}/{name}/resolve/{revision}/{path...}", absent),
    Route("GET", "/spaces/{org}/{name}/resolve/{revision}/{path...}", absent),
]
