"""A commit on its way in: its lines become changes, the bytes in them become blobs at once."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from zoo.errors import InputError, require
from zoo.records.names import check_path, check_stored_path
from zoo.serve.answers import bad_request, too_large
from zoo.serve.changing import only, text
from zoo.serve.lfs import check_stored, checked_oid
from zoo.serve.ndjson import Base64, Content, Line, Splitter, parse
from zoo.stores.blobs import Incoming
from zoo.stores.git import Add, Change, Delete, DeleteFolder
from zoo.stores.store import Store

MAX_CHANGES = 25_000  # in one commit
_KEYS = {
    "file": ("path", "content", "encoding"),
    "lfsFile": ("path", "algo", "oid", "size"),
    "deletedFile": ("path",),
    "deletedFolder": ("path",),
}


@dataclass(frozen=True)
class Proposed:
    """What a client wants to commit; every blob is there."""

    title: str
    description: str
    parent: str  # the head that it was made for; "" is whatever the head is
    changes: tuple[Change, ...]


class Draft:
    """Reads one commit (`with Draft(...) as draft`); what was half read is not kept.

    Blocks on the disk. 400 and 413 (`Refused`) and InputError say what is wrong with the lines.
    """

    def __init__(self, store: Store, max_file_bytes: int) -> None:
        self._store = store
        self._max_file_bytes = max_file_bytes
        self._lines = Splitter()
        self._header: dict[str, Any] | None = None
        self._changes: list[Change] = []
        self._open = contextlib.ExitStack()
        self._upload: tuple[Incoming, Base64] | None = None

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        for found in self._lines.feed(chunk):
            if isinstance(found, Content):
                self._write(found.text)
            else:
                self._read(found)

    def finish(self) -> Proposed:
        """The whole of it, when the body has ended."""
        for line in self._lines.finish():
            self._read(line)
        if self._header is None:
            raise bad_request("the commit is empty: its first line must be the header")
        return Proposed(
            title=text(self._header, "summary"),
            description=text(self._header, "description", ""),
            parent=text(self._header, "parentCommit", ""),
            changes=tuple(self._changes),
        )

    def _write(self, piece: bytes) -> None:
        upload, base64 = self._uploading()
        upload.write(base64.feed(piece))
        if upload.received > self._max_file_bytes:
            raise too_large(f"a file is over the {self._max_file_bytes} bytes allowed here")

    def _uploading(self) -> tuple[Incoming, Base64]:
        if self._upload is None:
            self._upload = self._open.enter_context(self._store.incoming()), Base64()
        return self._upload

    def _uploaded(self) -> str:
        """The sha256 of the line's content, which is a blob now."""
        upload, base64 = self._uploading()
        base64.finish()
        sha256, _, _ = upload.finish()
        self._upload = None
        self._open.close()
        return sha256

    def _read(self, line: Line) -> None:
        if not line.text.strip():
            return
        item = parse(line.text)
        key, value = (item.get("key"), item.get("value")) if isinstance(item, dict) else (0, 0)
        if not isinstance(key, str) or not isinstance(value, dict):
            raise bad_request('a line of a commit is {"key": ..., "value": {...}}')
        if (key == "header") != (self._header is None):
            raise bad_request("the first line of a commit, and no other, is its header")
        if line.contents != (key == "file"):
            raise bad_request("a line of a file, and no other, has one content")
        if key == "header":
            only(value, "summary", "description", "parentCommit")
            self._header = value
        else:
            self._add(key, value)

    def _add(self, key: str, value: dict[str, Any]) -> None:
        if len(self._changes) == MAX_CHANGES:
            raise too_large(f"a commit has at most {MAX_CHANGES} changes")
        if key not in _KEYS:
            raise bad_request(f"no such change: {key[:40]!a}")
        only(value, *_KEYS[key])
        path = _path(value, new=key in ("file", "lfsFile"))
        if key == "file":
            if value.get("encoding", "base64") != "base64":
                raise bad_request("the encoding of a file's content must be base64")
            self._changes.append(Add(path, self._uploaded()))
        elif key == "lfsFile":
            self._changes.append(Add(path, self._stored(value)))
        elif key == "deletedFile":
            self._changes.append(Delete(path))
        else:
            self._changes.append(DeleteFolder(path))

    def _stored(self, value: dict[str, Any]) -> str:
        """The sha256 of a large file, which was uploaded before."""
        if value.get("algo", "sha256") != "sha256":
            raise bad_request("large files are named by sha256")
        oid = checked_oid(value.get("oid"))
        check_stored(self._store, oid, value.get("size"))
        return oid


def _path(value: dict[str, Any], new: bool) -> str:
    path = text(value, "path").removesuffix("/")  # a folder's name may end in one
    require(check_path if new else check_stored_path, path, InputError)
    return path
