"""The OpenAPI 3.1 document of this server, made from its table of routes. Pure, no I/O.

`operations` says in words what a route is for; here the two are laid beside each other. A route
that nobody described is left out, and a test says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from zoo.serve.catalogue.operations import GROUPS, HTML, JSON, OPERATIONS, Field, Operation
from zoo.serve.catalogue.schemas import SCHEMAS, ref
from zoo.serve.models import absent
from zoo.serve.routing import Route

_SEGMENTS = {
    "org": {"type": "string", "description": "who the repository belongs to"},
    "name": {"type": "string", "description": "the repository's own name"},
    "revision": {
        "type": "string",
        "description": "a branch, a tag or a commit id of 40 hex digits; `/` in it as `%2F`",
    },
    "path": {"type": "string", "description": "a path inside the repository; may hold `/`"},
    "tag": {"type": "string"},
    "branch": {"type": "string"},
    "oid": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "sha256 of the bytes"},
}
_TOLD = {
    206: "A part of it, as asked for in Range",
    304: "Not changed since",
    400: "What was sent cannot be used",
    401: "The token is missing, unknown or expired",
    403: "The token may not do this",
    404: "There is no such thing, or it may not be seen",
    409: "It is there already",
    412: "A commit has happened since",
    413: "What was sent is too large",
    416: "There are no such bytes",
}
_WITHOUT_BODY = (206, 304, 416)


def described(routes: Iterable[Route]) -> list[tuple[Route, Operation]]:
    """Each route that is described with its description, in the order of the descriptions."""
    found = {(route.method, route.pattern): route for route in routes}
    keys = [((one.method, one.pattern), one) for one in OPERATIONS]
    return [(found[key], one) for key, one in keys if key in found]


def meant(routes: Iterable[Route]) -> list[Route]:
    """The routes that must be described: those that do more than to say that nothing is there."""
    return [route for route in routes if route.handler is not absent]


def document(routes: Iterable[Route], url: str) -> dict[str, Any]:
    """The document; `url` is where the server was reached, without a slash at the end."""
    import zoo

    paths: dict[str, dict[str, Any]] = {}
    for route, operation in described(routes):
        path = paths.setdefault(path_of(route.pattern), {})
        path[route.method.lower()] = _operation(route, operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Student zoo",
            "version": zoo.__version__,
            "summary": "The Hub's HTTP interface over a directory, and a catalogue of students.",
            "description": "HEAD is answered wherever GET is. Errors name themselves in "
            "`X-Error-Code`. Revisions travel as one segment of the path, so a slash in them is "
            "`%2F`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": url}],
        "tags": [{"name": name, "description": told} for name, told in GROUPS.items()],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "responses": {"Error": _error(JSON), "ErrorPage": _error(HTML)},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token made by `zoo token add`. What is public is read "
                    "without one.",
                }
            },
        },
    }


def path_of(pattern: str) -> str:
    """A pattern of the table as OpenAPI writes it."""
    return pattern.replace("...}", "}")


def _operation(route: Route, operation: Operation) -> dict[str, Any]:
    token: list[dict[str, list[str]]] = [{"token": []}]
    found: dict[str, Any] = {
        "operationId": _id(operation),
        "tags": [operation.group],
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "security": token if route.scope else [{}, *token],
        "responses": _responses(route, operation),
    }
    if operation.more:
        found["description"] = operation.more
    if operation.body:
        content = {operation.body_kind: {"schema": _shape(operation.body)}}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _id(operation: Operation) -> str:
    words = re.findall(r"[A-Za-z0-9]+", operation.pattern)
    return "_".join([operation.method.lower(), *words])


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    segments = re.findall(r"\{(\w+)", operation.pattern)
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": _SEGMENTS[name]}
        for name in segments
    ]
    return in_path + [_field(field) for field in operation.query]


def _field(field: Field) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": field.kind}
    if field.choices:
        schema["enum"] = list(field.choices)
    if field.repeated:
        schema = {"type": "array", "items": schema}
    return {
        "name": field.name,
        "in": field.where,
        "description": field.told,
        "required": field.required,
        "schema": schema,
    }


def _responses(route: Route, operation: Operation) -> dict[str, Any]:
    page = operation.kind == HTML
    error = {"$ref": f"#/components/responses/{'ErrorPage' if page else 'Error'}"}
    codes = {*operation.errors, *((401, 403) if route.scope else ())}
    codes |= {404} if "{org}" in operation.pattern else set()
    codes |= {400, 413} if operation.body else {400}
    told = {
        str(code): {"description": _TOLD[code]} if code in _WITHOUT_BODY else error
        for code in sorted(codes)
    }
    return {"200": _success(operation), **told, "default": error}


def _success(operation: Operation) -> dict[str, Any]:
    if operation.answer == "-":
        return {"description": "Done"}
    return {
        "description": "Found" if operation.method == "GET" else "Done",
        "content": {operation.kind: {"schema": _shape(operation.answer)}},
    }


def _shape(name: str) -> dict[str, Any]:
    """A schema by name; what has none is text, or bytes."""
    return ref(name) if name in SCHEMAS else {} if name == "bytes" else {"type": "string"}


def _error(kind: str) -> dict[str, Any]:
    return {
        "description": "It was not done; X-Error-Code says why",
        "headers": {"X-Error-Code": {"schema": {"type": "string"}}},
        "content": {kind: {"schema": ref("Error") if kind == JSON else {"type": "string"}}},
    }
