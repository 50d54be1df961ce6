"""The shapes of bodies in the OpenAPI document: JSON Schema (2020-12), as plain data."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": "number"}
_SHA1: Schema = {"type": "string", "pattern": "^[0-9a-f]{40}$"}
_SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_ANY: Schema = {"type": "object"}


def _object(required: dict[str, Schema], **optional: Schema) -> Schema:
    """An object with these properties; others may come as well."""
    found: Schema = {"type": "object", "properties": {**required, **optional}}
    return {**found, "required": list(required)} if required else found


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def ref(name: str) -> Schema:
    """A pointer to a schema of this file."""
    return {"$ref": f"#/components/schemas/{name}"}


_ROW = {
    "repo": _TEXT,
    "name": _TEXT,
    "summary": _TEXT,
    "task": _TEXT,
    "licence": _TEXT,
    "architecture": _TEXT,
    "precision": {"enum": ["int8", "fp32"], "description": "of the file to use"},
    "accuracy": _NUMBER | {"description": "of that file on its test split, by `metric`"},
    "accuracy_low": _NUMBER | {"description": "lower end of the 95 % interval"},
    "accuracy_high": _NUMBER,
    "metric": _TEXT,
    "scale": _ANY | {"description": 'unit ("%": a fraction), best, low and high of the metric'},
    "dataset": _TEXT,
    "size_bytes": _COUNT,
    "latency_ms": _or_null({"type": "number"})
    | {"description": "median of one picture or sentence on one thread of `device`"},
    "device": _TEXT,
    "parameters": {"type": "integer"},
    "created": _TEXT,
    "revision": _SHA1,
}
_LFS_FILE = _object({"sha256": _SHA256, "size": _COUNT, "pointerSize": _COUNT})
_TREE_LFS = _object({"oid": _SHA256, "size": _COUNT, "pointerSize": _COUNT})

SCHEMAS: dict[str, Schema] = {
    "Error": _object({"error": _TEXT}),
    "Health": _object({"status": _TEXT, "version": _TEXT}),
    "Harnesses": _object({"standardEnvVars": _list(_TEXT), "harnesses": _ANY}),
    "User": _object({"name": _TEXT, "type": _TEXT, "orgs": _list(_ANY), "auth": _ANY}),
    "Student": _object(
        {**_ROW, "pareto": _FLAG | {"description": "on the front of this answer"}, "url": _TEXT}
    ),
    "Students": _object(
        {
            "total": _COUNT,
            "models": _list(ref("Student")),
            "others": _list(_object({"repo": _TEXT, "reason": _TEXT})),
        }
    ),
    "StudentPage": _object(
        {
            "repo": _TEXT,
            "revision": _SHA1,
            "tags": {"type": "object", "additionalProperties": _SHA1},
            "files": _list(_object({"path": _TEXT, "size": _COUNT, "sha256": _SHA256})),
            "row": _or_null(_object(_ROW)),
            "card": _or_null(_ANY) | {"description": "card.json, cleaned"},
            "problem": _TEXT | {"description": "why there is no card; else empty"},
        }
    ),
    "Model": _object(
        {"id": _TEXT, "sha": _SHA1, "private": _FLAG, "tags": _list(_TEXT)},
        lastModified=_TEXT,
        createdAt=_TEXT,
        pipeline_tag=_TEXT,
        library_name=_TEXT,
        cardData=_ANY,
        siblings=_list(
            _object({"rfilename": _TEXT}, size=_COUNT, blobId=_SHA1, lfs=_LFS_FILE),
        ),
    ),
    "Models": _list(ref("Model")),
    "Refs": _object(
        {
            key: _list(_object({"name": _TEXT, "ref": _TEXT, "targetCommit": _SHA1}))
            for key in ("branches", "tags", "converts")
        }
    ),
    "Commits": _list(
        _object(
            {
                "id": _SHA1,
                "title": _TEXT,
                "message": _TEXT,
                "date": _TEXT,
                "authors": _list(_object({"user": _TEXT})),
            }
        )
    ),
    "Tree": _list(
        _object(
            {"type": {"enum": ["file", "directory"]}, "path": _TEXT, "oid": _TEXT},
            size=_COUNT,
            lfs=_TREE_LFS,
        )
    ),
    "NewRepo": _object(
        {"name": _TEXT | {"minLength": 1}},
        organization=_or_null(_TEXT),
        type={"enum": ["model"]},
        visibility={"enum": ["public", "private"]},
        private=_FLAG,
    ),
    "MadeRepo": _object({"url": _TEXT, "name": _TEXT}, private=_FLAG),
    "OldRepo": _object(
        {"name": _TEXT | {"minLength": 1}}, organization=_or_null(_TEXT), type={"enum": ["model"]}
    ),
    "Settings": _object({}, visibility={"enum": ["public", "private"]}, private=_FLAG),
    "NewTag": _object({"tag": _TEXT | {"minLength": 1}}, message=_TEXT),
    "NewBranch": _object({}, startingPoint=_TEXT),
    "Empty": _object({}),
    "Planned": _object(
        {"files": _list(_object({"path": _TEXT, "size": _COUNT}, sample=_TEXT))}, gitIgnore=_TEXT
    ),
    "Plan": _object(
        {
            "files": _list(
                _object(
                    {
                        "path": _TEXT,
                        "uploadMode": {"enum": ["regular", "lfs"]},
                        "shouldIgnore": _FLAG,
                    },
                    oid=_TEXT,
                )
            )
        }
    ),
    "Change": _object(
        {
            "key": {"enum": ["header", "file", "lfsFile", "deletedFile", "deletedFolder"]},
            "value": _ANY,
        }
    ),
    "Made": _object({"commitOid": _SHA1, "commitUrl": _TEXT}),
    "Readme": _object({"content": _TEXT}, repoType=_TEXT),
    "Checked": _object(
        {"errors": _list(_object({"message": _TEXT})), "warnings": _list(_ANY)},
    ),
    "Batch": _object(
        {
            "operation": {"enum": ["upload"]},
            "objects": _list(_object({"oid": _SHA256, "size": _COUNT})),
        },
        transfers=_list(_TEXT),
        ref=_ANY,
        hash_algo=_TEXT,
    ),
    "Batched": _object({"transfer": _TEXT, "objects": _list(_ANY)}),
    "Object": _object({"oid": _SHA256, "size": _COUNT}),
    "Paths": _object({"paths": _list(_TEXT)}, expand=_FLAG),
}
