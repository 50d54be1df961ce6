"""What each route of the server is for: a line a route, in words and shapes. Data, no code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

JSON, HTML, YAML = "application/json", "text/html", "application/yaml"
LINES, FORM, BYTES = (
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "application/octet-stream",
)
LFS, SVG, CSS = "application/vnd.git-lfs+json", "image/svg+xml", "text/css"


@dataclass(frozen=True)
class Field:
    """A field of a query or a header."""

    name: str
    told: str
    kind: Literal["string", "integer", "boolean", "number"] = "string"
    choices: tuple[str, ...] = ()
    where: Literal["query", "header"] = "query"
    repeated: bool = False
    required: bool = False


@dataclass(frozen=True)
class Operation:
    """One method at one address."""

    method: str  # as in the table of routes
    pattern: str
    group: str  # the heading that it stands under
    summary: str
    answer: str = ""  # schema of a body with 200; "" is any text of `kind`, "-" no body
    kind: str = JSON  # of the answer
    query: tuple[Field, ...] = ()
    body: str = ""  # schema of what is sent; "" is nothing
    body_kind: str = JSON
    errors: tuple[int, ...] = ()  # beside those that follow from the address and the token
    more: str = ""


CATALOGUE, READ, WRITE, UPLOAD, SERVER = (
    "Catalogue",
    "Reading",
    "Writing",
    "Large files",
    "Server",
)
GROUPS = {
    CATALOGUE: "Students with their measurements, for people and machines.",
    READ: "The Hub's interface for reading: any client of the Hub works with this address as "
    "HF_ENDPOINT.",
    WRITE: "The Hub's interface for writing; needs a token that may write.",
    UPLOAD: "Git LFS: large files go to signed addresses before their commit.",
    SERVER: "The server itself.",
}

_SEARCH = (
    Field("search", "words that must all occur in name, summary, task, licence or data set"),
    Field("task", "such as image-classification"),
    Field("licence", "an SPDX id"),
    Field("max_size_mb", "largest size of the file to use, in 1e6 bytes; above 0"),
    Field("sort", "the order", choices=("name", "accuracy", "size", "latency", "newest")),
    Field("axis", "what the Pareto front sets against accuracy", choices=("latency", "size")),
)
_PAGED = (
    Field("limit", "rows a page, at least 1", "integer"),
    Field("cursor", "where the page before ended, as its Link header says"),
)
_LISTED = (
    Field("search", "words that must all occur in the id"),
    Field("author", "the part of the id before the slash"),
    Field("filter", "a tag that must be there", repeated=True),
    Field("pipeline_tag", "the task"),
    Field("sort", "the order", choices=("id", "lastModified", "createdAt")),
    Field("full", "with files", "boolean"),
    Field("cardData", "with the metadata of README.md", "boolean"),
    Field("expand", "a field to add", repeated=True),
    *_PAGED,
)
_BLOBS = (Field("blobs", "with sizes and hashes of the files", "boolean"),)
_TREE = (
    Field("recursive", "with what is in folders", "boolean"),
    Field("expand", "with the last commit of each", "boolean"),
    *_PAGED,
)
_PULL_REQUEST = (Field("create_pr", "must not be true: there are no pull requests", "boolean"),)
_SIGNED = (
    Field("size", "bytes, as signed", required=True),
    Field("expires", "unix time, as signed", required=True),
    Field("signature", "64 hex digits", required=True),
)
_RANGE = (Field("Range", "such as bytes=1000-", where="header"),)

_MODEL = "/api/models/{org}/{name}"

OPERATIONS = (
    Operation("GET", "/", CATALOGUE, "The list as a page", kind=HTML, query=_SEARCH),
    Operation("GET", "/{org}/{name}", CATALOGUE, "A student as a page", kind=HTML),
    Operation(
        "GET", "/{org}/{name}/commit/{revision}", CATALOGUE, "The same at a commit", kind=HTML
    ),
    Operation("GET", "/api/zoo/models", CATALOGUE, "The list", "Students", query=_SEARCH),
    Operation(
        "GET", "/api/zoo/models/{org}/{name}", CATALOGUE, "A student and its card", "StudentPage"
    ),
    Operation(
        "GET",
        "/registry.yaml",
        CATALOGUE,
        "The registry: a row a student, with commit and hashes",
        kind=YAML,
        more="What `zoo list --registry URL` reads.",
    ),
    Operation("GET", "/openapi.json", SERVER, "This document", "Empty"),
    Operation("GET", "/api", SERVER, "This document as a page", kind=HTML),
    Operation("GET", "/style.css", SERVER, "How the pages look", kind=CSS),
    Operation("GET", "/icon.svg", SERVER, "The pages' icon", kind=SVG),
    Operation("GET", "/health", SERVER, "Whether the server lives", "Health"),
    Operation("GET", "/api/agent-harnesses", SERVER, "Asked by the `hf` command", "Harnesses"),
    Operation("GET", "/api/whoami-v2", READ, "Whose token this is", "User"),
    Operation("GET", "/api/models", READ, "The list of repositories", "Models", query=_LISTED),
    Operation("GET", _MODEL, READ, "A repository at main", "Model", query=_BLOBS),
    Operation(
        "GET",
        _MODEL + "/revision/{revision}",
        READ,
        "A repository at a revision",
        "Model",
        query=_BLOBS,
    ),
    Operation("GET", _MODEL + "/refs", READ, "Branches and tags", "Refs"),
    Operation(
        "GET",
        _MODEL + "/commits/{revision}",
        READ,
        "The history, newest first",
        "Commits",
        query=(_PAGED[0], Field("p", "number of the page, from 0", "integer")),
    ),
    Operation("GET", _MODEL + "/tree/{revision}", READ, "Files and folders", "Tree", query=_TREE),
    Operation(
        "GET",
        _MODEL + "/tree/{revision}/{path...}",
        READ,
        "Files and folders in a folder",
        "Tree",
        query=_TREE,
    ),
    Operation(
        "POST",
        _MODEL + "/paths-info/{revision}",
        READ,
        "Facts of some paths; unknown ones are left out",
        "Tree",
        body="Paths",
        body_kind=FORM,
    ),
    Operation(
        "GET",
        "/{org}/{name}/resolve/{revision}/{path...}",
        READ,
        "The bytes of a file",
        kind=BYTES,
        query=_RANGE,
        errors=(206, 304, 416),
        more="HEAD tells the commit (X-Repo-Commit), the size and the hash (ETag; of large files "
        "their sha256).",
    ),
    Operation(
        "POST",
        "/api/validate-yaml",
        WRITE,
        "Whether the metadata of a README can be used",
        "Checked",
        body="Readme",
    ),
    Operation(
        "POST",
        "/api/repos/create",
        WRITE,
        "Make a repository",
        "MadeRepo",
        body="NewRepo",
        errors=(409,),
    ),
    Operation("DELETE", "/api/repos/delete", WRITE, "Delete a repository", "Empty", body="OldRepo"),
    Operation(
        "PUT", _MODEL + "/settings", WRITE, "Open or close a repository", "Empty", body="Settings"
    ),
    Operation(
        "POST",
        _MODEL + "/preupload/{revision}",
        WRITE,
        "How each file is to be sent",
        "Plan",
        body="Planned",
        query=_PULL_REQUEST,
    ),
    Operation(
        "POST",
        _MODEL + "/commit/{revision}",
        WRITE,
        "Make a commit on a branch, all or nothing",
        "Made",
        body="Change",
        body_kind=LINES,
        query=_PULL_REQUEST,
        errors=(412,),
        more="One JSON object a line: a header with `summary`, `description` and `parentCommit`, "
        "then the files. A parent that is not the head any more is 412.",
    ),
    Operation(
        "POST",
        _MODEL + "/tag/{revision}",
        WRITE,
        "Tag a commit",
        "Empty",
        body="NewTag",
        errors=(409,),
    ),
    Operation("DELETE", _MODEL + "/tag/{tag}", WRITE, "Delete a tag", "Empty"),
    Operation(
        "POST",
        _MODEL + "/branch/{branch}",
        WRITE,
        "Make a branch",
        "Empty",
        body="NewBranch",
        errors=(409,),
    ),
    Operation("DELETE", _MODEL + "/branch/{branch}", WRITE, "Delete a branch", "Empty"),
    Operation(
        "POST",
        "/{org}/{name}.git/info/lfs/objects/batch",
        UPLOAD,
        "Where large files are to be put",
        "Batched",
        LFS,
        body="Batch",
        body_kind=LFS,
    ),
    Operation(
        "POST",
        "/{org}/{name}.git/info/lfs/verify",
        UPLOAD,
        "Whether a large file arrived",
        "Empty",
        LFS,
        body="Object",
        body_kind=LFS,
    ),
    Operation(
        "PUT",
        "/lfs/{org}/{name}/{oid}",
        UPLOAD,
        "The bytes of a large file",
        "-",
        body="bytes",
        body_kind=BYTES,
        query=_SIGNED,
        errors=(403,),
        more="The signature in the address takes the place of a token; the bytes are hashed on "
        "their way, and refused where they are not those of the address.",
    ),
)
