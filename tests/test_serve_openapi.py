"""The OpenAPI document: what it says is what the server has, no more and no less."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")

import httpx2
import yaml

import zoo
from zoo.serve import all_routes
from zoo.serve.catalogue import openapi
from zoo.serve.catalogue.models import Row
from zoo.serve.models import absent

DOCUMENT = openapi.document("http://hub")
SCHEMAS = DOCUMENT["components"]["schemas"]
_METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
# Routes by method and by path as OpenAPI writes it; those that only say that nothing is there
# are not described.
_ROUTES = {
    (route.method.lower(), route.pattern.replace("...}", "}")): route for route in all_routes()
}
_DESCRIBED = {key: route for key, route in _ROUTES.items() if route.handler is not absent}


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]


def mappings(data: Any) -> Iterator[dict[str, Any]]:
    if isinstance(data, dict):
        yield data
    for value in data.values() if isinstance(data, dict) else data:
        if isinstance(value, dict | list):
            yield from mappings(value)


def test_every_route_is_described_and_every_description_is_of_a_route() -> None:
    assert {(method, path) for method, path, _ in operations()} == set(_DESCRIBED)


def test_no_route_is_described_twice() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))
    for method, path, operation in operations():
        words = re.findall(r"[A-Za-z0-9]+", path)
        assert operation["operationId"] == "_".join([method, *words])


def test_no_key_of_the_file_stands_twice_in_its_place() -> None:
    """A reader of YAML would take the second without a word."""
    nodes: list[Any] = [
        yaml.compose(Path(openapi.__file__).with_suffix(".yaml").read_text("utf-8"))
    ]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), (node.start_mark.line + 1, keys)
            nodes += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value


def test_what_needs_a_token_says_so() -> None:
    for method, path, operation in operations():
        needed = bool(_DESCRIBED[method, path].scope)
        assert ({} not in operation["security"]) == needed
        assert {"token": []} in operation["security"]
        assert ("401" in operation["responses"]) == needed
        assert "403" in operation["responses"] or not needed


def test_what_may_go_wrong_is_told_everywhere() -> None:
    for _, path, operation in operations():
        answers = operation["responses"]
        assert {"200", "400", "default"} <= set(answers), path
        assert "404" in answers or "{org}" not in path, path
        assert ("413" in answers) == ("requestBody" in operation), path
        page = "text/html" in answers["200"].get("content", {})
        wanted = {"$ref": f"#/components/responses/Error{'Page' if page else ''}"}
        assert all(one == wanted for one in answers.values() if "$ref" in one), path


def test_the_document_is_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(DOCUMENT["info"])
    assert DOCUMENT["info"]["version"] == zoo.__version__
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    groups = [tag["name"] for tag in DOCUMENT["tags"]]
    assert {tag for _, _, operation in operations() for tag in operation["tags"]} == set(groups)
    assert len(groups) == len(set(groups))
    segments: dict[str, Any] = {}
    for method, path, operation in operations():
        assert path.startswith("/") and method in _METHODS
        assert len(operation["tags"]) == 1 and operation["summary"]
        in_path = [p for p in operation["parameters"] if p["in"] == "path"]
        assert [p["name"] for p in in_path] == re.findall(r"\{(\w+)\}", path)
        assert all(p["required"] for p in in_path)
        assert all(segments.setdefault(p["name"], p) == p for p in in_path)
        names = [(p["in"], p["name"]) for p in operation["parameters"]]
        assert len(names) == len(set(names))
        assert all("schema" in p for p in operation["parameters"])
        for code, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d|default", code)
            assert "$ref" in response or response["description"]
        assert "200" in operation["responses"]


def test_every_pointer_of_the_document_leads_somewhere_and_every_schema_is_used() -> None:
    found = [one["$ref"] for one in mappings(DOCUMENT) if "$ref" in one]
    for pointer in found:
        place: Any = DOCUMENT
        for part in pointer.removeprefix("#/").split("/"):
            place = place[part]
    used = {pointer.rsplit("/", 1)[1] for pointer in found if "/schemas/" in pointer}
    assert used == set(SCHEMAS)


def test_what_an_object_must_have_is_described() -> None:
    for one in mappings(SCHEMAS):
        if one.get("type") == "object":
            names = one.get("required", [])
            assert len(names) == len(set(names)) and set(names) <= set(one.get("properties", {}))
    row = SCHEMAS["StudentPage"]["properties"]["row"]["anyOf"][0]
    fields = [field.name for field in dataclasses.fields(Row)]
    assert list(row["properties"]) == row["required"] == fields
    student = SCHEMAS["Student"]
    assert list(student["properties"]) == student["required"] == [*fields, "pareto", "url"]


def test_the_document_is_valid_for_the_validator_where_it_is_installed() -> None:
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(json.loads(json.dumps(DOCUMENT)))


def test_a_route_that_nobody_described_is_left_out() -> None:
    left = set(_ROUTES) - set(_DESCRIBED)
    assert left and not left & {(method, path) for method, path, _ in operations()}


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
