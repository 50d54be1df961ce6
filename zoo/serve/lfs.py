"""Uploads of large files: git's LFS protocol, in which the bytes go to a signed address.

The client asks where to put its files (batch), PUTs each to the address that it is told, and asks
whether it arrived (verify). It sends no header with the bytes, so the address itself is signed: it
holds the repository, the sha256, the size, whose token asked for it, and until when it may be used.
It is worth as much as that token: nothing, once it was revoked.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from zoo.errors import IntegrityError, ZooError
from zoo.serve.answers import Refused, bad_request, too_large
from zoo.serve.bodies import chunks
from zoo.serve.changing import fields, known, text
from zoo.serve.hub import Hub
from zoo.serve.routing import Route, base_url
from zoo.stores.store import Store

UPLOAD_VALID_S = 6 * 3600  # an address of an upload may be used for so long
MAX_OBJECTS = 1000  # in one batch
_MEDIA_TYPE = "application/vnd.git-lfs+json"


@dataclass(frozen=True)
class Grant:
    """What the holder of an address may upload."""

    repo: str  # org/name
    oid: str  # sha256, 64 hex digits
    size: str  # bytes, as decimal digits
    expires: str  # unix time in seconds, as decimal digits
    holder: str  # id of the token that it was given to

    def signature(self, secret: bytes) -> str:
        """64 hex digits that only the holder of `secret` can make."""
        text = "\n".join(("PUT", self.repo, self.oid, self.size, self.expires, self.holder))
        return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()

    def path(self, secret: bytes) -> str:
        """The address's path and query."""
        query = {
            "size": self.size,
            "expires": self.expires,
            "holder": self.holder,
            "signature": self.signature(secret),
        }
        return f"/lfs/{self.repo}/{self.oid}?{urlencode(query)}"

    def check(self, signature: str, secret: bytes, now: float) -> None:
        """403 where the signature is another one, or `now` (unix time, seconds) is too late."""
        if not hmac.compare_digest(self.signature(secret).encode(), signature.encode()):
            raise Refused(403, "Forbidden", "the upload's address is not one that was given out")
        if now > int(self.expires):
            raise Refused(403, "Forbidden", "the upload's address has expired; ask for a new one")


async def batch(request: Request, org: str, name: str) -> Response:
    """Where to put each object; one that is there already has no `actions`."""
    hub, repo = await known(request, org, name)
    data = await fields(request, "operation", "transfers", "objects", "hash_algo", "ref")
    if data.get("operation") != "upload":
        raise bad_request('the only LFS operation here is "upload"; files are at /resolve/')
    if text(data, "hash_algo", "sha256") != "sha256":
        raise bad_request("large files are named by sha256")
    transfers = data.get("transfers")
    if transfers is not None and not (isinstance(transfers, list) and "basic" in transfers):
        raise bad_request('the only way to transfer here is "basic"')
    objects = data.get("objects")
    if not isinstance(objects, list) or len(objects) > MAX_OBJECTS:
        raise bad_request(f"objects must be a list of at most {MAX_OBJECTS}")
    base, holder = base_url(request), request.state.user.id
    rows = await hub.call(lambda: [_row(hub, repo, base, holder, item) for item in objects])
    return _lfs_json({"transfer": "basic", "objects": rows, "hash_algo": "sha256"})


async def upload(request: Request, org: str, name: str, oid: str) -> Response:
    """The bytes of one object, hashed on their way to the disk."""
    query = request.query_params
    told = (query.get(key, "") for key in ("size", "expires", "holder"))
    grant = Grant(f"{org}/{name}", oid, *told)
    secret = request.state.hub.settings.secret
    grant.check(query.get("signature", ""), secret, time.time())  # before anything is told
    hub, _ = await known(request, org, name)
    await hub.check_writer(grant.holder)
    size = int(grant.size)
    with hub.store.incoming(sha256=oid, size=size) as incoming:
        async for chunk in chunks(request, size):
            await hub.call(incoming.write, chunk)
        await hub.check_writer(grant.holder)
        await hub.call(incoming.finish)
    return Response(headers={"ETag": f'"{oid}"'})


async def verify(request: Request, org: str, name: str) -> Response:
    """Whether an object arrived."""
    hub, _ = await known(request, org, name)
    data = await fields(request, "oid", "size")
    oid, size = checked_object(data)
    await hub.call(check_stored, hub.store, oid, size)
    return _lfs_json({})


def checked_object(item: Any) -> tuple[str, int]:
    """The sha256 (64 hex digits) and the size (bytes, at least 0) that `item` names; else 400."""
    oid, size = (item.get("oid"), item.get("size")) if isinstance(item, dict) else (None, None)
    if type(size) is not int or size < 0:
        raise bad_request("size must be a number of bytes")
    return checked_oid(oid), size


def checked_oid(oid: Any) -> str:
    """A sha256 of 64 hex digits; else 400."""
    if not isinstance(oid, str) or not re.fullmatch("[0-9a-f]{64}", oid):
        raise bad_request("oid must be a sha256 of 64 lower-case hex digits")
    return oid


def check_stored(store: Store, oid: str, size: object = None) -> None:
    """400 where the blob `oid` is not there, or has another size than `size` bytes, where told."""
    if not store.keep(oid):
        raise bad_request(f"the large file {oid} was not uploaded")
    stored = store.blob(oid).stat().st_size
    if size is not None and stored != size:
        raise IntegrityError(f"the large file {oid} has {stored} bytes, not the {size} announced")


def _row(hub: Hub, repo: str, base: str, holder: str, item: Any) -> dict[str, Any]:
    try:
        oid, size = checked_object(item)
        if size > hub.settings.max_file_bytes:
            raise too_large(f"over the {hub.settings.max_file_bytes} bytes allowed")
        if hub.store.has(oid):
            check_stored(hub.store, oid, size)
            return {"oid": oid, "size": size}
    except ZooError as problem:
        return _failed(item, problem)
    grant = Grant(repo, oid, str(size), str(int(time.time()) + UPLOAD_VALID_S), holder)
    actions = {
        "upload": {"href": base + grant.path(hub.settings.secret), "expires_in": UPLOAD_VALID_S},
        "verify": {"href": f"{base}/{repo}.git/info/lfs/verify"},
    }
    return {"oid": oid, "size": size, "authenticated": True, "actions": actions}


def _failed(item: Any, problem: ZooError) -> dict[str, Any]:
    """A row that the client shows as an error; it insists on an oid and a size."""
    asked = item if isinstance(item, dict) else {}
    code = problem.status if isinstance(problem, Refused) else 422
    return {
        "oid": str(asked.get("oid", "")),
        "size": asked["size"] if type(asked.get("size")) is int else 0,
        "error": {"code": code, "message": str(problem)},
    }


def _lfs_json(data: object) -> Response:
    return JSONResponse(data, media_type=_MEDIA_TYPE)


ROUTES = [
    Route("POST", "/{org}/{name}.git/info/lfs/objects/batch", batch, "write"),
    Route("POST", "/{org}/{name}.git/info/lfs/verify", verify, "write"),
    Route(  # its signature is its token
        "PUT", "/lfs/{org}/{name}/{oid}", upload, "", ("size", "expires", "holder", "signature")
    ),
]
