"""What a commit is, and git's own ids for it: values and pure functions, no disk.

A file's bytes are named by sha256; git names its blob, or for a large file its LFS pointer, by
sha1. Trees and commits hash as git does it, so that a pinned commit id pins every byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from zoo.errors import EntryNotFound, StoreError, require
from zoo.records.names import check_hex, check_stored_path, check_together, quoted

LFS_SIZE_BYTES = 10 * 2**20  # from here on a file is LFS whatever its name
_LFS_NAMES = """
    7z arrow bin bz2 ckpt ftz gif gz h5 jpeg jpg mlmodel model msgpack npy npz onnx parquet
    pb pickle pkl png pt pth rar safetensors tar tflite tgz wasm webp whl xz zip zst
"""
LFS_PATTERNS = tuple(f"*.{suffix}" for suffix in _LFS_NAMES.split())


@dataclass(frozen=True)
class File:
    """One file of a commit."""

    path: str  # "folder/name", see zoo.records.names.check_path
    size: int  # bytes, of the file itself
    sha256: str  # of its bytes, hex; "" where a mirror has not seen them yet
    oid: str  # git's blob id, hex: of its bytes, or of its pointer where it is LFS
    lfs: bool


@dataclass(frozen=True)
class Commit:
    """A snapshot of a repository; never changes."""

    id: str  # 40 hex digits
    parents: tuple[str, ...]
    tree: str  # git tree id; "" where imported and unknown
    author: str
    date: str  # UTC, 2026-01-31T12:00:00.000Z
    title: str  # one line
    description: str = ""
    files: dict[str, File] = field(default_factory=dict)  # by path, sorted
    imported: bool = False  # from another hub: the id is as given, bytes may be missing


@dataclass(frozen=True)
class Refs:
    """Where the branches and tags of a repository point."""

    heads: dict[str, str]  # name -> commit id
    tags: dict[str, str]


@dataclass(frozen=True)
class Add:
    """The blob becomes the file at `path`, new or in place of the old one."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Delete:
    """The file at `path` goes."""

    path: str


@dataclass(frozen=True)
class DeleteFolder:
    """All files below `path` go."""

    path: str


Change = Add | Delete | DeleteFolder


# --- files ---------------------------------------------------------------------------------------


def is_lfs(path: str, size: int) -> bool:
    """Whether git would hold a pointer in the place of the file (`size` in bytes)."""
    name = path.rpartition("/")[2]
    return size >= LFS_SIZE_BYTES or any(fnmatchcase(name, p) for p in LFS_PATTERNS)


def pointer(sha256: str, size: int) -> bytes:
    """What git holds of an LFS file."""
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
    return text.encode()


def attributes() -> bytes:
    """The .gitattributes of a new repository: which names are LFS."""
    return "".join(f"{p} filter=lfs diff=lfs merge=lfs -text\n" for p in LFS_PATTERNS).encode()


def blob_id(data: bytes) -> str:
    """Git's id of a blob."""
    return _sha1(b"blob", data)


def changed(
    files: Mapping[str, File], changes: Sequence[Change], added: Mapping[Add, File]
) -> dict[str, File]:
    """The files after the changes, made in their order; sorted by path.

    EntryNotFound: a deletion of what is not there. StoreError: a file that is also a folder, or a
    new name that some system takes for another one.
    """
    after = dict(files)
    for change in changes:
        if isinstance(change, Add):
            after[change.path] = added[change]
            continue
        for path in _deleted(after, change):
            del after[path]
    check_folders(after)
    new = {change.path for change in changes if isinstance(change, Add)} - files.keys()
    if new:
        require(lambda paths: check_together(paths, new), after, StoreError)
    return ordered(after)


def ordered(files: Mapping[str, File]) -> dict[str, File]:
    """The same, sorted by path."""
    return dict(sorted(files.items()))


def merged(old: Commit, new: Commit) -> Commit:
    """The newer knowledge of an imported commit, with each sha256 that only the older has."""
    known = {(f.path, f.oid): f for f in old.files.values()}
    files = {p: f if f.sha256 else known.get((p, f.oid), f) for p, f in new.files.items()}
    return replace(new, files=files)


def _deleted(files: Mapping[str, File], change: Delete | DeleteFolder) -> list[str]:
    if isinstance(change, Delete):
        found = [change.path] if change.path in files else []
    else:
        found = [path for path in files if path.startswith(change.path.rstrip("/") + "/")]
    if not found:
        kind = "file" if isinstance(change, Delete) else "folder"
        raise EntryNotFound(f"a {kind} with this name doesn't exist: {quoted(change.path)}")
    return found


def check_folders(files: Iterable[str]) -> None:
    """Refuse a path that is a file and a folder at once."""
    known = set(files)
    for path in known:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folder in known:
                raise StoreError(f"{quoted(folder)} cannot be both a file and a folder")


# --- git's ids -----------------------------------------------------------------------------------


def tree_id(files: Mapping[str, File]) -> str:
    """Git's id of the tree of all files, folders within folders."""
    return tree_of({path: file.oid for path, file in files.items()})


def tree_of(oids: Mapping[str, str]) -> str:
    """Git's id of a tree of blobs, of which the ids are given by path."""
    root: dict[str, Any] = {}
    for path, oid in oids.items():
        *folders, name = path.split("/")
        node = root
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = oid
    return _tree(root)


def _tree(node: dict[str, Any]) -> str:
    entries = []
    for name, inside in node.items():
        raw = name.encode()
        if isinstance(inside, dict):  # git sorts a folder as if its name ended in "/"
            entries.append((raw + b"/", b"40000 " + raw + b"\0" + bytes.fromhex(_tree(inside))))
        else:
            entries.append((raw, b"100644 " + raw + b"\0" + bytes.fromhex(inside)))
    return _sha1(b"tree", b"".join(entry for _, entry in sorted(entries)))


def commit_id(commit: Commit) -> str:
    """Git's id of the commit; the author has no address, and is the committer too."""
    seconds = int(datetime.fromisoformat(commit.date).timestamp())
    who = f"{commit.author} <> {seconds} +0000"
    lines = [f"tree {commit.tree}", *(f"parent {p}" for p in commit.parents)]
    lines += [f"author {who}", f"committer {who}", "", commit.title]
    if commit.description:
        lines += ["", commit.description]
    text = "\n".join(lines)
    return _sha1(b"commit", (text if text.endswith("\n") else text + "\n").encode())


def new_commit(
    files: dict[str, File], parents: tuple[str, ...], title: str, description: str, author: str
) -> Commit:
    """A commit of now. StoreError: a title, description or author that git cannot hold."""
    title, _, more = title.strip().partition("\n")
    description = "\n".join(part for part in (more.strip(), description.strip()) if part)
    author = author.strip()
    if not title or not author:
        raise StoreError("a commit needs a title and an author")
    for text in (title, description, author):
        if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text):
            raise StoreError("the text of a commit cannot hold NUL or half characters")
    if any(c in author for c in "<>\n"):
        raise StoreError(f"{quoted(author)} cannot be an author")
    made = Commit("", parents, tree_id(files), author, now(), title, description, files)
    return replace(made, id=commit_id(made))


def now() -> str:
    """UTC to the second, as the Hub writes it: 2026-01-31T12:00:00.000Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _sha1(kind: bytes, data: bytes) -> str:
    head = kind + b" %d\0" % len(data)
    return hashlib.sha1(head + data, usedforsecurity=False).hexdigest()


# --- as JSON -------------------------------------------------------------------------------------


def to_json(commit: Commit) -> bytes:
    """The commit as its file holds it, without the id, which is the file's name."""
    data = {key: value for key, value in vars(commit).items() if key not in ("id", "files")}
    data["files"] = [list(vars(file).values()) for file in commit.files.values()]
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def from_json(id: str, text: bytes) -> Commit:
    """The commit again. ValueError, TypeError or KeyError: the text is damaged."""
    data = json.loads(text)
    files = {row[0]: File(*row) for row in data.pop("files")}
    data["parents"] = tuple(data["parents"])
    commit = Commit(id=id, files=files, **data)
    check_commit(commit)
    return commit


def check_commit(commit: Commit) -> None:
    """Refuse (ValueError, TypeError) what is no commit; only an imported one may lack hashes."""
    for digits in (commit.id, *commit.parents):
        check_hex(digits, 40, "commit id")
    if not (commit.imported and commit.tree == ""):
        check_hex(commit.tree, 40, "tree id")
    for path, file in commit.files.items():
        check_stored_path(path)
        check_hex(file.oid, 40, "git id")
        if not (commit.imported and file.sha256 == ""):
            check_hex(file.sha256, 64, "sha256")
        if file.path != path or type(file.size) is not int or file.size < 0:
            raise ValueError(f"{quoted(path)}: the row says something else")
