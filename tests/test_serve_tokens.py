"""Tokens: made once, kept as hashes, asked for where something is private or is changed."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("huggingface_hub")

import httpx2
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from typer.testing import CliRunner

from zoo.cli import app
from zoo.errors import Exists, NotFound, StoreError
from zoo.serve.tokens import Token, Tokens
from zoo.stores.store import Store

pytestmark = pytest.mark.hub

OPEN, CLOSED = "lab/open", "lab/closed"


@pytest.fixture
def store(hub: Any) -> Store:
    store = Store(hub.root)
    store.create(OPEN)
    store.create(CLOSED, private=True)
    return store


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "root")


def expire(root: Path, name: str) -> None:
    """Make the token of that name have run out a second ago."""
    path = root / "tokens.json"
    data = json.loads(path.read_text())
    for row in data["tokens"]:
        if row["name"] == name:
            row["expires"] = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    path.write_text(json.dumps(data))


# --- over the wire -------------------------------------------------------------------------------


def test_whoami_tells_name_and_scope(hub: Any) -> None:
    for token, name, scope in ((hub.token, "ada", "write"), (hub.read_token, "bob", "read")):
        who = HfApi(endpoint=hub.url, token=token).whoami()
        assert who["name"] == name and who["auth"]["accessToken"]["role"] == scope


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic YTpi", "Bearer \xff", "x"])
def test_whoami_without_a_known_token_is_401(hub: Any, header: str) -> None:
    headers = [(b"authorization", header.encode("latin-1"))]
    answer = httpx2.get(f"{hub.url}/api/whoami-v2", headers=headers)
    assert answer.status_code == 401 and answer.headers["x-error-code"] == "Unauthorized"
    assert "zoo token add" in answer.json()["error"]


def test_an_unknown_token_reads_like_nobody(hub: Any, store: Store, tmp_path: Path) -> None:
    api = HfApi(endpoint=hub.url, token="hf_of_another_hub")
    assert api.model_info(OPEN).id == OPEN
    assert [m.id for m in api.list_models()] == [OPEN]
    path = hf_hub_download(
        OPEN, ".gitattributes", endpoint=hub.url, cache_dir=tmp_path, token="hf_of_another_hub"
    )
    assert Path(path).is_file()
    with pytest.raises(HfHubHTTPError):
        api.whoami()


def test_an_expired_token_reads_like_nobody_and_is_no_name(hub: Any, store: Store) -> None:
    api = HfApi(endpoint=hub.url, token=hub.read_token)
    assert api.model_info(CLOSED).private
    expire(hub.root, "bob")
    assert api.model_info(OPEN).id == OPEN
    with pytest.raises(RepositoryNotFoundError):
        api.model_info(CLOSED)
    with pytest.raises(HfHubHTTPError):
        api.whoami()


def test_a_private_repository_is_there_for_those_with_a_token_only(hub: Any, store: Store) -> None:
    for path in (
        f"/api/models/{CLOSED}",
        f"/api/models/{CLOSED}/tree/main",
        f"/api/models/{CLOSED}/refs",
        f"/api/models/{CLOSED}/commits/main",
        f"/{CLOSED}/resolve/main/.gitattributes",
    ):
        nobody = httpx2.get(hub.url + path)
        assert (nobody.status_code, nobody.headers["x-error-code"]) == (404, "RepoNotFound")
        absent = httpx2.get(hub.url + path.replace(CLOSED, "lab/absent"))
        assert nobody.text.replace(CLOSED, "") == absent.text.replace("lab/absent", "")
        known = {"authorization": f"Bearer {hub.read_token}"}
        assert httpx2.get(hub.url + path, headers=known).status_code == 200


def test_a_token_that_may_read_may_not_write(hub: Any, store: Store) -> None:
    url = f"{hub.url}/api/repos/create"
    data = {"name": "new", "organization": "lab", "type": "model"}
    for token, status in ((None, 401), ("x", 401), (hub.read_token, 403), (hub.token, 200)):
        headers = {"authorization": f"Bearer {token}"} if token else {}
        assert httpx2.post(url, json=data, headers=headers).status_code == status


def test_a_revoked_token_is_worthless_at_once(hub: Any, store: Store) -> None:
    api = HfApi(endpoint=hub.url, token=hub.token)
    assert api.whoami()["name"] == "ada"
    Tokens(hub.root).revoke("ada")
    with pytest.raises(HfHubHTTPError):
        api.whoami()


def test_a_damaged_token_file_is_503_without_its_place(hub: Any, store: Store) -> None:
    (hub.root / "tokens.json").write_text('{"tokens": [{}]}')
    headers = {"authorization": f"Bearer {hub.token}"}
    answer = httpx2.get(f"{hub.url}/api/models/{OPEN}", headers=headers)
    assert answer.status_code == 503 and str(hub.root) not in answer.text
    assert httpx2.get(f"{hub.url}/api/models/{OPEN}").status_code == 200


# --- the file ------------------------------------------------------------------------------------


def test_the_file_holds_no_token_and_only_its_owner_reads_it(tokens: Tokens) -> None:
    token = tokens.add("ada", "write")
    assert token.startswith("zoo_") and len(token) >= 40
    assert token not in tokens.path.read_text()
    assert tokens.path.stat().st_mode & 0o077 == 0


def test_a_token_is_known_until_it_expires(tokens: Tokens) -> None:
    token = tokens.add("ada", "write", days=1)
    found = tokens.check(token)
    assert found is not None and (found.name, found.scope) == ("ada", "write")
    left = datetime.fromisoformat(found.expires) - datetime.now(UTC)
    assert timedelta(hours=23) < left <= timedelta(days=1)
    expire(tokens.path.parent, "ada")
    assert tokens.check(token) is None and len(tokens.all()) == 1


@pytest.mark.parametrize("token", ["", "x", "\udcff", "zoo_" + "x" * 40, "x" * 100_000])
def test_a_stranger_is_nobody(tokens: Tokens, token: str) -> None:
    tokens.add("ada", "write")
    assert tokens.check(token) is None


def test_names_are_given_once(tokens: Tokens) -> None:
    tokens.add("ada", "write")
    with pytest.raises(Exists, match="ada"):
        tokens.add("ada", "read")
    with pytest.raises(NotFound, match="bob"):
        tokens.revoke("bob")


@pytest.mark.parametrize(
    ("name", "scope", "days"),
    [
        *(("", "read", 1), ("a/b", "read", 1), ("a", "all", 1), ("a", "read", 0)),
        *(("a", "read", -1), ("a", "read", float("nan")), ("a", "read", 1e9)),
    ],
)
def test_odd_tokens_are_refused(tokens: Tokens, name: str, scope: str, days: float) -> None:
    with pytest.raises(StoreError):
        tokens.add(name, scope, days=days)
    assert tokens.all() == []


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}", '{"tokens": 1}', '{"tokens": [1]}', '{"tokens": [{"name": "a"}]}'),
        '{"tokens": [{"name": "a", "scope": "read", "sha256": "x", "expires": "soon"}]}',
        '{"tokens": [{"name": "a", "scope": "read", "sha256": "x", "expires": "2026-01-01"}]}',
        '{"tokens": [{"name": "a", "scope": "root", "sha256": "x", "expires": ""}]}',
        '{"tokens": [{"name": 1, "scope": "read", "sha256": "x", "expires": ""}]}',
    ],
)
def test_a_damaged_file_is_one_error_that_names_it(tokens: Tokens, text: str) -> None:
    tokens.path.parent.mkdir()
    tokens.path.write_text(text)
    with pytest.raises(StoreError, match=r"tokens\.json"):
        tokens.check("x")


def test_adding_at_once_loses_none(tokens: Tokens) -> None:
    def add(number: int) -> None:
        Tokens(tokens.path.parent).add(f"name{number}", "read")

    threads = [threading.Thread(target=add, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [token.name for token in tokens.all()] == [f"name{n}" for n in range(8)]


def test_a_token_without_an_end_never_expires() -> None:
    assert not Token("ada", "read", "0" * 64).expired(datetime.max.replace(tzinfo=UTC))


# --- the commands --------------------------------------------------------------------------------


def zoo(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.stdout, done.stderr


def test_token_add_prints_the_token_once(tmp_path: Path) -> None:
    root = ("--root", str(tmp_path / "root"))
    status, token, talk = zoo("token", "add", "ada", "--scope", "write", "--days", "2", *root)
    assert status == 0 and "only its hash" in talk
    found = Tokens(tmp_path / "root").check(token.strip())
    assert found is not None and found.name == "ada"
    _, table, _ = zoo("token", "list", *root)
    assert "ada" in table and "write" in table and token.strip() not in table
    _, rows, _ = zoo("token", "list", "--json", *root)
    assert [row["name"] for row in json.loads(rows)] == ["ada"]
    assert zoo("token", "revoke", "ada", *root)[0] == 0
    assert Tokens(tmp_path / "root").all() == []


def test_the_root_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_ROOT", str(tmp_path / "a"))
    assert zoo("token", "add", "ada", "--scope", "read")[0] == 0
    assert (tmp_path / "a" / "tokens.json").is_file()
    monkeypatch.delenv("ZOO_ROOT")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "b"))
    assert zoo("token", "add", "ada", "--scope", "read")[0] == 0
    assert (tmp_path / "b" / "studentzoo" / "tokens.json").is_file()


def test_a_scope_is_named_and_known(tmp_path: Path) -> None:
    root = ("--root", str(tmp_path))
    assert zoo("token", "add", "ada", *root)[0] == 2
    assert zoo("token", "add", "ada", "--scope", "admin", *root)[0] == 2
