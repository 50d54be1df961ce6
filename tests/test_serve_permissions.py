"""A permission is asked when it is used: tokens taken back in the middle, and how they may come."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("starlette")

import httpx2

from zoo.files import write_text
from zoo.serve.tokens import Tokens
from zoo.stores.store import Store

REPO = "lab/colours.kd"
DATA = bytes(range(256)) * 4
OID = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def store(hub: Any) -> Store:
    store = Store(hub.root)
    store.create(REPO)
    return store


def address(hub: Any) -> str:
    """Where the file may be put, as the client is told."""
    body = {"operation": "upload", "objects": [{"oid": OID, "size": len(DATA)}]}
    url = f"{hub.url}/{REPO}.git/info/lfs/objects/batch"
    answer = httpx2.post(url, json=body, headers={"authorization": f"Bearer {hub.token}"})
    return str(answer.json()["objects"][0]["actions"]["upload"]["href"])


def lessen(hub: Any, how: str) -> None:
    """Take from the hub's writer what it may do."""
    tokens = Tokens(hub.root)
    if how == "revoked":
        tokens.revoke("ada")
        return
    data = json.loads(tokens.path.read_text())
    change = {"scope": "read"} if how == "lessened" else {"expires": "2020-01-01T00:00:00+00:00"}
    for row in data["tokens"]:
        row.update(change if row["name"] == "ada" else {})
    write_text(tokens.path, json.dumps(data, indent=3))  # in one step: the hub reads it meanwhile


HOWS = pytest.mark.parametrize("how", ["revoked", "lessened", "expired"])


@HOWS
def test_an_address_to_upload_to_is_worth_what_its_token_is(
    hub: Any, store: Store, how: str
) -> None:
    url = address(hub)
    lessen(hub, how)
    assert httpx2.put(url, content=DATA).status_code == 403
    assert not store.has(OID)
    if how == "revoked":  # and not by a token that has the same name again
        Tokens(hub.root).add("ada", "write")
        assert httpx2.put(url, content=DATA).status_code == 403


def test_an_address_to_upload_to_names_its_holder_and_no_other(hub: Any, store: Store) -> None:
    other = Tokens(hub.root).add("eve", "write")
    mine, hers = (hashlib.sha256(t.encode()).hexdigest()[:24] for t in (hub.token, other))
    url = address(hub)
    assert mine in url and hub.token not in url
    assert httpx2.put(url.replace(mine, hers), content=DATA).status_code == 403
    assert httpx2.put(url, content=DATA).status_code == 200


@HOWS
def test_a_token_taken_back_while_a_body_comes_changes_nothing(
    hub: Any, store: Store, how: str
) -> None:
    url, head = address(hub), store.resolve(REPO, "main")

    def upload() -> Iterator[bytes]:
        yield DATA[:10]
        lessen(hub, how)
        yield DATA[10:]

    assert httpx2.put(url, content=upload()).status_code == 403
    assert not store.has(OID)
    hub = type(hub)(hub.url, hub.root, Tokens(hub.root).add("ann", "write"), "", hub.stop)

    def commit() -> Iterator[bytes]:
        yield b'{"key": "header", "value": {"summary": "x"}}\n'
        Tokens(hub.root).revoke("ann")
        text = base64.b64encode(DATA).decode()
        yield json.dumps({"key": "file", "value": {"path": "a", "content": text}}).encode()

    headers = {"authorization": f"Bearer {hub.token}"}
    url = f"{hub.url}/api/models/{REPO}/commit/main"
    assert httpx2.post(url, content=commit(), headers=headers).status_code == 403
    assert store.resolve(REPO, "main") == head


@pytest.mark.parametrize("form", ["access_token:{}", "{}:", "{}:x-oauth-basic", ":{}", "ada:{}"])
def test_a_token_may_come_as_basic_authorization(hub: Any, form: str) -> None:
    value = base64.b64encode(form.format(hub.token).encode()).decode()
    for word in ("Basic", "basic", "BASIC"):
        answer = httpx2.get(
            f"{hub.url}/api/whoami-v2", headers={"authorization": f"{word} {value}"}
        )
        assert (answer.status_code, answer.json()["name"]) == (200, "ada")


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic ???", "Basic /w==", "Basic Og==", "Basic YTpi", "Digest x", ""],
)
def test_what_is_no_token_is_nobody(hub: Any, store: Store, header: str) -> None:
    headers = {"authorization": header}
    answer = httpx2.get(f"{hub.url}/api/whoami-v2", headers=headers)
    assert answer.status_code == 401 and "Basic realm=" in answer.headers["www-authenticate"]
    assert httpx2.get(f"{hub.url}/api/models/{REPO}", headers=headers).status_code == 200


def test_a_basic_token_of_a_reader_does_not_write(hub: Any, store: Store) -> None:
    url = f"{hub.url}/api/models/{REPO}/tag/main"
    for token, status in ((hub.read_token, 403), (hub.token, 200)):
        assert httpx2.post(url, json={"tag": "v1"}, auth=("x", token)).status_code == status
