"""Registries elsewhere: fetched, checked before they are believed, kept for when they are away."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo.errors import NotFound, RegistryError, ZooWarning
from zoo.records import entry as records_entry
from zoo.records.entry import Entry, FileRef, Headline
from zoo.registry import endpoints, local, registries

COMMIT = "0123456789" * 4
Site = Any  # of conftest.py


def entry(name: str, **changed: Any) -> Entry:
    about = dict(
        task="image-classification",
        repo=f"lab/{name}",
        revision=COMMIT,
        licence="MIT",
        summary=f"Tells {name}.",
        files={"model.int8.onnx": FileRef("ab" * 32, 12)},
        headline=Headline(0.9, "Toys", 12, 0.1),
    )
    return Entry(name=name, **(about | changed))


def text(*names: str) -> str:
    return records_entry.render([entry(name) for name in names])


@pytest.fixture
def away() -> str:
    """The address of nobody."""
    return "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nothing of this machine's user; copies are kept in the folder returned."""
    for variable in ("ZOO_REGISTRY", "ZOO_STORE", "HF_HUB_OFFLINE", "HF_ENDPOINT", "HF_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / ".zoo-registries"


def names(*where: str) -> list[str]:
    return [row.name for _, row in registries.entries(where)]


# --- which registries ----------------------------------------------------------------------------


def test_names_come_in_a_list_or_with_commas_and_else_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert registries.origins() == ["default"]
    monkeypatch.setenv("ZOO_REGISTRY", "a.yaml, https://lab.example.org")
    assert registries.origins() == registries.origins(None) == ["a.yaml", "https://lab.example.org"]
    assert registries.origins("b.yaml,c.yaml") == ["b.yaml", "c.yaml"]
    assert registries.origins(["b.yaml", "lab/students,b.yaml"]) == ["b.yaml", "lab/students"]
    assert registries.origins(Path("b.yaml")) == ["b.yaml"]


def test_the_default_registry_can_be_named_beside_others(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(text("toy.a"))
    rows = registries.entries(["default", str(tmp_path / "lab.yaml")])
    ours = sorted(local.load(local.own_path()))
    assert [row.name for origin, row in rows if origin == "default"] == ours
    assert [row.name for origin, row in rows if origin != "default"] == ["toy.a"]


def test_rows_of_several_come_by_name_with_their_origins(tmp_path: Path, site: Site) -> None:
    (tmp_path / "registry.yaml").write_text(text("b", "d"))
    site.has("/registry.yaml", text("a", "c"))
    rows = registries.entries([str(tmp_path), site.url])
    assert [(origin, row.name) for origin, row in rows] == [
        *((site.url, "a"), (str(tmp_path), "b"), (site.url, "c"), (str(tmp_path), "d"))
    ]


def test_a_name_in_two_registries_must_be_told_apart(tmp_path: Path, site: Site) -> None:
    (tmp_path / "lab.yaml").write_text(text("a", "b"))
    site.has("/registry.yaml", text("a").replace("ab" * 32, "cd" * 32))
    both = [str(tmp_path / "lab.yaml"), site.url]
    with pytest.raises(RegistryError, match='"a" stands in several registries: ') as caught:
        registries.find("a", both)
    assert all(origin in str(caught.value) for origin in both)
    assert f"--registry {both[0]}" in caught.value.hint
    assert registries.find("a", site.url).endpoint == site.url
    assert registries.found("b", both)[0] == both[0]


def test_a_name_in_two_registries_for_the_same_bytes_is_that_of_the_first(
    tmp_path: Path, site: Site
) -> None:
    (tmp_path / "lab.yaml").write_text(text("a"))
    site.has("/registry.yaml", text("a"))
    assert registries.found("a", [site.url, str(tmp_path / "lab.yaml")])[0] == site.url
    assert registries.found("a", [str(tmp_path / "lab.yaml"), site.url])[1].endpoint == ""


def test_near_names_are_offered_across_registries(tmp_path: Path, site: Site) -> None:
    (tmp_path / "lab.yaml").write_text(text("shoes"))
    site.has("/registry.yaml", text("gloves"))
    with pytest.raises(NotFound, match='no student is called "glove"') as caught:
        registries.find("glove", [str(tmp_path / "lab.yaml"), site.url])
    assert caught.value.hint == 'did you mean "gloves"?'


def test_models_are_those_of_the_registries_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lab.yaml"
    local.write([entry("b"), entry("a", task="text-classification")], path)
    assert [e.name for e in zoo.models(registry=str(path))] == ["a", "b"]
    assert [e.name for e in zoo.models("text-classification", registry=[str(path)])] == ["a"]
    monkeypatch.setenv("ZOO_REGISTRY", str(path))
    assert [e.name for e in zoo.models()] == ["a", "b"]
    assert zoo.models("tagging") == []


# --- where they may be ---------------------------------------------------------------------------


def test_the_url_of_a_file_is_read_as_it_stands(site: Site) -> None:
    site.has("/zoo/students.yaml?raw=1", text("a"))
    ((origin, row),) = registries.entries(site.url + "/zoo/students.yaml?raw=1")
    assert (origin, row) == (site.url + "/zoo/students.yaml?raw=1", entry("a"))


def test_rows_of_a_hubs_own_registry_have_that_hub_unless_they_name_another(site: Site) -> None:
    other = entry("b", endpoint="http://10.0.0.7:8080")
    site.has("/lab/registry.yaml", records_entry.render([entry("a"), other]))
    rows = registries.load(site.url + "/lab/")
    assert rows == {"a": entry("a", endpoint=site.url + "/lab"), "b": other}


def test_a_repository_is_read_at_the_commit_that_is_its_head_now(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    head, file = "/api/models/lab/students/revision/main", "/lab/students/resolve/{}/registry.yaml"
    site.has(head, json.dumps({"sha": COMMIT}))
    site.has(file.format(COMMIT), text("a"))
    assert registries.load("lab/students") == {"a": entry("a")}
    assert [path for path, _ in site.asked] == [head, file.format(COMMIT)]
    assert registries.load("lab/students") == {"a": entry("a")}
    assert [path for path, _ in site.asked[2:]] == [
        head
    ]  # the same commit: nothing else is asked for
    site.has(head, json.dumps({"sha": COMMIT[::-1]}))
    site.has(file.format(COMMIT[::-1]), text("b"))
    assert names("lab/students") == ["b"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ('{"sha": "main"}', "names no commit"),
        ("[]", "names no commit"),
        ("<html>", "a web page, not a registry"),
        ("{", "not JSON"),
    ],
)
def test_a_repository_without_a_commit_is_one_error(
    answer: str, message: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    site.has("/api/models/lab/students/revision/main", answer)
    with pytest.raises(RegistryError, match=message):
        registries.load("lab/students")


# --- kept copies ---------------------------------------------------------------------------------


def test_what_has_not_changed_is_not_sent_again(site: Site) -> None:
    site.has("/registry.yaml", text("a"), etag='"1"')
    first = registries.load(site.url)
    assert registries.load(site.url) == first
    assert [headers.get("if-none-match") for _, headers in site.asked] == [None, '"1"']
    site.has("/registry.yaml", text("b"), etag='"2"')
    assert names(site.url) == names(site.url) == ["b"]
    assert site.asked[-1][1]["if-none-match"] == '"2"'


def test_offline_the_kept_copy_is_used_and_nobody_is_asked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.has("/registry.yaml", text("a"))
    rows = registries.load(site.url)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.warns(ZooWarning, match="HF_HUB_OFFLINE is set; the copy .* kept here is used"):
        assert registries.load(site.url) == rows
    assert len(site.asked) == 1
    with pytest.raises(RegistryError, match="HF_HUB_OFFLINE is set; no copy"):
        registries.load(site.url + "/other")


def test_a_server_that_is_away_is_told_and_the_kept_copy_used(site: Site) -> None:
    site.has("/registry.yaml", text("a"), etag='"1"')
    registries.load(site.url)
    site.has("/registry.yaml", "busy", status=503)
    with pytest.warns(ZooWarning, match="the server answers 503; the copy"):
        assert names(site.url) == ["a"]


def test_nobody_there_and_no_copy_is_one_error(away: str) -> None:
    with pytest.raises(RegistryError, match="refused; no copy of this registry is kept here"):
        registries.load(away)


def test_a_server_that_falls_silent_is_not_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "READ_S", 0.2)
    done = threading.Event()
    site.answers["/registry.yaml"] = lambda request: done.wait(20) and None
    try:
        with pytest.raises(RegistryError, match=r"timed out|ReadTimeout"):
            registries.load(site.url)
    finally:
        done.set()


def test_half_an_answer_is_not_a_registry(site: Site) -> None:
    whole = text("a", "b").encode()
    cut = whole[: whole.index(b"  b:")]
    site.answers["/registry.yaml"] = lambda request: site.reply(request, cut, length=len(whole))
    with pytest.raises(RegistryError, match="no copy of this registry is kept"):
        registries.load(site.url)


def test_without_fetching_only_what_is_here_is_read(site: Site, tmp_path: Path) -> None:
    site.has("/registry.yaml", text("a"))
    assert registries.entries(site.url, fetch=False) == []
    registries.load(site.url)
    assert [row.name for _, row in registries.entries(site.url, fetch=False)] == ["a"]
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"\xff", b'{"source": "", "tag": "", "registry": 1}']
)
def test_a_damaged_copy_is_fetched_again(damage: bytes, site: Site, home: Path) -> None:
    site.has("/registry.yaml", text("a"), etag='"1"')
    registries.load(site.url)
    (kept,) = home.iterdir()
    kept.write_bytes(damage)
    assert names(site.url) == ["a"]
    assert "if-none-match" not in site.asked[-1][1]


def test_where_no_copy_can_be_kept_the_registry_is_used_all_the_same(
    site: Site, home: Path
) -> None:
    home.parent.write_text("a file where the cache should be")
    site.has("/registry.yaml", text("a"))
    with pytest.warns(ZooWarning, match="can be kept in"):
        assert names(site.url) == ["a"]


# --- tokens --------------------------------------------------------------------------------------


def test_the_users_token_goes_to_hf_endpoint_and_to_no_other_server(
    make_site: Callable[[], Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = make_site(), make_site()
    monkeypatch.setenv("HF_ENDPOINT", own.url)
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_user")
    own.sends_on("/registry.yaml", f"{other.url}/registry.yaml")
    other.has("/registry.yaml", text("a"))
    assert names(own.url) == names(other.url) == ["a"]
    assert own.asked[0][1]["authorization"] == "Bearer hf_of_the_user"
    assert [headers.get("authorization") for _, headers in other.asked] == [None, None]
