"""The server's own OpenAPI, fuzzed by schemathesis: nothing that is sent gives a 5xx."""

from __future__ import annotations

import json
from typing import Any

import pytest

schemathesis = pytest.importorskip("schemathesis")
pytest.importorskip("starlette")

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from schemathesis.specs.openapi.checks import content_type_conformance  # noqa: E402

from zoo.stores.store import Add, Store  # noqa: E402

QUICK = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


@schemathesis.serializer("application/x-ndjson")
def ndjson(context: Any, value: Any) -> bytes:
    """Lines of a list, or whatever else came, as one line."""
    if isinstance(value, bytes):
        return value
    lines = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def test_no_request_that_the_document_allows_or_forbids_breaks_the_server(hub: Any) -> None:
    store = Store(hub.root)
    store.create("org/name")
    digest, _, _ = store.add([b"onnx"])
    store.commit("org/name", "main", [Add("model.onnx", digest)], title="first")
    document = schemathesis.openapi.from_url(f"{hub.url}/openapi.json")
    document.config.generation.update(modes=list(schemathesis.GenerationMode))
    tried = 0
    for result in document.get_all_operations():
        tried += 1
        _fuzz(result.ok(), hub, {})
        _fuzz(result.ok(), hub, {"org": "org", "name": "name", "revision": "main"})
    assert tried > 30
    assert store.fsck() == []


def _fuzz(operation: Any, hub: Any, real: dict[str, str]) -> None:
    """`real` are the parts of paths that lead somewhere."""
    headers = {"Authorization": f"Bearer {hub.token}"}

    @QUICK
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        for part in real.keys() & case.path_parameters.keys():
            case.path_parameters[part] = real[part]
        answer = case.call(headers=headers)
        assert answer.status_code < 500, (case.as_curl_command(), answer.text[:300])
        if answer.status_code < 300:
            case.validate_response(answer, checks=[content_type_conformance])

    check()
