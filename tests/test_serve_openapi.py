"""The OpenAPI document: what it says is what the server has, no more and no less."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

pytest.importorskip("starlette")

import httpx2

from zoo.serve import all_routes
from zoo.serve.catalogue import openapi
from zoo.serve.catalogue.operations import GROUPS, OPERATIONS
from zoo.serve.catalogue.schemas import SCHEMAS

DOCUMENT = openapi.document(all_routes(), "http://hub")
_METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]


def references(data: Any) -> list[str]:
    if isinstance(data, dict):
        own = [data["$ref"]] if "$ref" in data else []
        return own + [found for value in data.values() for found in references(value)]
    return [found for item in data for found in references(item)] if isinstance(data, list) else []


def test_every_route_is_described_and_every_description_is_of_a_route() -> None:
    routes = {(route.method, route.pattern) for route in openapi.meant(all_routes())}
    assert {(one.method, one.pattern) for one in OPERATIONS} == routes
    found = {(method.upper(), path) for method, path, _ in operations()}
    assert found == {(method, openapi.path_of(pattern)) for method, pattern in routes}


def test_no_route_is_described_twice() -> None:
    keys = [(one.method, one.pattern) for one in OPERATIONS]
    assert len(keys) == len(set(keys))
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))


def test_what_needs_a_token_says_so() -> None:
    wanted = {
        (route.method.lower(), openapi.path_of(route.pattern)): bool(route.scope)
        for route in openapi.meant(all_routes())
    }
    for method, path, operation in operations():
        assert ({} not in operation["security"]) == wanted[method, path]
        assert ("401" in operation["responses"]) == wanted[method, path]


def test_the_document_is_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(DOCUMENT["info"])
    for method, path, operation in operations():
        assert path.startswith("/") and method in _METHODS
        assert set(operation["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]} == set(GROUPS)
        in_path = [p["name"] for p in operation["parameters"] if p["in"] == "path"]
        assert in_path == re.findall(r"\{(\w+)\}", path)
        assert all(p["required"] for p in operation["parameters"] if p["in"] == "path")
        names = [(p["in"], p["name"]) for p in operation["parameters"]]
        assert len(names) == len(set(names))
        assert all("schema" in p for p in operation["parameters"])
        for code, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d|default", code)
            assert "$ref" in response or response["description"]
        assert "200" in operation["responses"]


def test_every_pointer_of_the_document_leads_somewhere_and_every_schema_is_used() -> None:
    found = references(DOCUMENT)
    for pointer in found:
        place: Any = DOCUMENT
        for part in pointer.removeprefix("#/").split("/"):
            place = place[part]
    used = {pointer.rsplit("/", 1)[1] for pointer in found if "/schemas/" in pointer}
    assert used == set(SCHEMAS)


def test_the_document_is_valid_for_the_validator_where_it_is_installed() -> None:
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(json.loads(json.dumps(DOCUMENT)))


def test_a_route_that_nobody_described_is_left_out() -> None:
    from zoo.serve.routing import Route

    async def handler(request: Any) -> Any: ...

    assert openapi.document([Route("GET", "/new", handler)], "")["paths"] == {}


def test_the_server_sends_the_document_and_a_page_of_it(hub: Any) -> None:
    with httpx2.Client(base_url=hub.url) as client:
        sent = client.get("/openapi.json").json()
        assert sent["servers"] == [{"url": hub.url}]
        assert sent["paths"] == json.loads(json.dumps(DOCUMENT["paths"]))
        page = html.unescape(client.get("/api").text)
        for _, path, operation in operations():
            assert operation["summary"] in page and path in page


def test_answers_have_the_shapes_that_the_document_says(hub: Any) -> None:
    with httpx2.Client(base_url=hub.url) as client:
        known = {"Authorization": f"Bearer {hub.token}"}
        client.post("/api/repos/create", json={"name": "net", "organization": "lab"}, headers=known)
        for method, path, operation in operations():
            if method != "get":
                continue
            address = path.replace("{org}", "lab").replace("{name}", "net")
            address = address.replace("{revision}", "main")
            address = address.replace("/tree/main/{path}", "/tree/main")
            address = address.replace("{path}", ".gitattributes")
            answer = client.get(address, headers=known)
            assert answer.status_code == 200, address
            kind = next(iter(operation["responses"]["200"]["content"]))
            if kind != "application/octet-stream":  # a file has its own
                assert answer.headers["content-type"].split(";")[0] == kind, address
            if kind == "application/json":
                missing = required(operation["responses"]["200"]["content"][kind]["schema"])
                body = answer.json()
                for key in missing:
                    assert key in body, (address, key)


def required(schema: dict[str, Any]) -> list[str]:
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rsplit("/", 1)[1]]
    names: list[str] = schema.get("required", [])
    return names
