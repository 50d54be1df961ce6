"""The catalogue's pages as a browser gets them: sound HTML, safe, and readable without scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

pytest.importorskip("starlette")

import httpx2

import zoo
from zoo.stores.store import Add, Store

EMBEDDED = Path(zoo.__file__).parent / "embedded"
CIFAR, LANGID = "cifar10-separable-small.kd", "langid75-ngram-small.lingua"
PAGES = (
    "/",
    "/?search=cifar10&sort=size&axis=size",
    "/?search=nothing-like-this",
    f"/studentzoo/{CIFAR}",
    f"/studentzoo/{LANGID}",
    "/lab/bare",
    "/lab/broken",
    "/lab/hostile",
    "/api",
)
_VOID = {"meta", "link", "input", "img", "br"}
_HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


@dataclass
class Page(HTMLParser):
    """What stands in a page; a tag that is not closed in its place is an error."""

    open: list[str] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]


def read(response: Any) -> Page:
    page = Page()
    page.feed(response.text)
    page.close()
    assert page.open == []
    return page


def put(store: Store, repo: str, files: dict[str, bytes]) -> None:
    store.create(repo)
    adds = [Add(path, store.add([data])[0]) for path, data in files.items()]
    store.commit(repo, "main", adds, title=f"of {_HOSTILE}")
    store.tag(repo, "v1", "main")


def student(name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (EMBEDDED / name).iterdir()}


def hostile() -> dict[str, bytes]:
    """A card whose every text wants to be more than text."""
    files = student(CIFAR)
    card = json.loads(files["card.json"])
    card |= {"name": "hostile", "summary": f"{_HOSTILE}\n\n## Not a heading", "task": _HOSTILE}
    card |= {"licence": _HOSTILE, "labels": [_HOSTILE], "created": _HOSTILE}
    card["data"] |= {"home": "javascript:alert(1)", "source": f"[x]({_HOSTILE})"}
    card["teacher"] |= {"name": f"`{_HOSTILE}", "source": 'https://x"onclick="alert(1)'}
    card["attempts"][0] |= {"name": _HOSTILE, "reason": f"| {_HOSTILE} |", "verdict": "fail x"}
    card["student"]["options"] = {_HOSTILE: "![x](javascript:alert(1))"}
    card["gates"] = {_HOSTILE: 1}
    for variant in card["variants"].values():
        variant["accuracy"]["dataset"] = _HOSTILE
    return {**files, "card.json": json.dumps(card).encode()}


@pytest.fixture
def site(hub: Any) -> Iterator[Any]:
    """A client of a hub with students, and with repositories that are none."""
    store = Store(hub.root)
    for name in (CIFAR, LANGID):
        put(store, f"studentzoo/{name}", student(name))
    put(store, "lab/hostile", hostile())
    put(store, "lab/bare", {"notes.txt": b"x", "a folder/b c#d%3F.txt": b"y"})
    put(store, "lab/broken", {"card.json": b'{"format": 1'})
    with httpx2.Client(base_url=hub.url) as client:
        yield client


def test_every_page_is_sound_html_without_scripts_or_outside_resources(site: Any) -> None:
    for path in PAGES:
        response = site.get(path)
        assert (response.status_code, path) == (200, path)
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src" not in policy
        assert "unsafe" not in policy
        page = read(response)
        assert not page.all("script", "style", "iframe", "object", "embed", "base")
        for tag, attributes in page.tags:
            assert not [a for a in attributes if a.startswith("on") or a == "style"], tag
        for resource in page.all("img", "link"):
            address = resource.get("src") or resource.get("href") or ""
            assert address.startswith("/") and not address.startswith("//")


def test_every_link_of_every_page_leads_somewhere(site: Any) -> None:
    seen: set[str] = set()
    for path in PAGES:
        page = read(site.get(path))
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids)), path
        for element in page.all("a", "link", "img", "form"):
            link = element.get("href") or element.get("src") or element.get("action") or ""
            assert urlsplit(link).scheme in ("", "https"), link
            if link.startswith("#"):
                assert link[1:] in ids
            elif not urlsplit(link).scheme:
                seen.add(urljoin(str(site.base_url), link))
    for address in sorted(seen):
        assert site.get(address).status_code == 200, address


def test_headings_go_down_one_at_a_time_and_the_page_says_what_it_is(site: Any) -> None:
    for path in (*PAGES, "/lab/none"):
        page = read(site.get(path))
        levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3", "h4")]
        assert levels[0] == 1 and levels.count(1) == 1, path
        assert all(b - a <= 1 for a, b in pairwise(levels)), path
        assert page.all("html")[0]["lang"] == "en"
        head = [tag for tag, _ in page.tags][: [tag for tag, _ in page.tags].index("body")]
        assert head.count("title") == len(page.all("main")) == 1


def test_the_page_can_be_used_with_a_keyboard(site: Any) -> None:
    page = read(site.get("/"))
    first = page.all("a")[0]
    assert first["href"] == "#main" and page.all("main")[0]["id"] == "main"
    labelled = {label["for"] for label in page.all("label")}
    assert {one["id"] for one in page.all("input", "select")} == labelled
    for region in page.all("div", "pre"):
        if region.get("role") == "region":
            assert region["tabindex"] == "0" and region["aria-label"]
    for image in page.all("img"):
        assert "alt" in image


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.2 of "#rrggbb", 0 to 1."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colours_have_the_contrast_of_wcag_aa_in_light_and_dark(site: Any) -> None:
    style = site.get("/style.css").text
    light = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", style.partition("@media")[0]))
    dark = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", style.partition("@media")[2]))
    assert set(light) == set(dark)
    text = [(ink, ground) for ink in ("ink", "muted", "accent") for ground in ("ground", "raised")]
    text += [("accent", "tint"), ("on-accent", "accent"), ("ink", "bad-tint")]
    text += [("good", "good-tint"), ("bad", "bad-tint")]
    for scheme in (light, dark):
        for least, pairs in ((4.5, text), (3.0, [("field", "ground"), ("field", "raised")])):
            for pair in pairs:
                dim, bright = sorted(luminance(scheme[name]) for name in pair)
                assert (bright + 0.05) / (dim + 0.05) >= least, pair


def test_a_hostile_card_is_shown_as_text(site: Any) -> None:
    page = read(site.get("/lab/hostile"))
    assert "<script>alert(1)</script>" in page.text
    assert not [a for a in page.all("a") if str(a.get("href")).startswith("javascript")]
    assert "Not a heading" in page.text


def test_the_list_shows_students_and_tells_what_is_none(site: Any) -> None:
    page = read(site.get("/"))
    assert "3 students" in page.text
    assert "it has no card.json" in page.text and "not JSON" in page.text
    assert len(page.all("svg")) == 4  # two plots, each for wide screens and for narrow ones
    chosen = read(site.get("/?task=text-classification"))
    assert len(chosen.all("svg")) == 2  # beside one of texts nobody published anything
    assert "1 of 3 students" in chosen.text and CIFAR not in chosen.text


def test_a_wrong_filter_is_told_and_the_list_still_shown(site: Any) -> None:
    response = site.get("/", params={"max_size_mb": "<b>"})
    page = read(response)
    assert response.status_code == 400
    assert 'max_size_mb cannot be "<b>"' in page.text and LANGID in page.text
    answer = site.get("/api/zoo/models", params={"sort": "best"})
    assert (answer.status_code, answer.headers["x-error-code"]) == (400, "BadRequest")


def test_a_student_s_page_has_its_ladder_lineage_files_and_commands(site: Any) -> None:
    page = read(site.get(f"/studentzoo/{LANGID}"))
    card = json.loads((EMBEDDED / LANGID / "card.json").read_bytes())
    for attempt in card["attempts"]:
        assert attempt["name"] in page.text
    for fact in (card["teacher"]["sha256"], card["data"]["sha256"], card["data"]["licence"]):
        assert fact in page.text
    for variant in card["variants"].values():
        assert page.text.count(variant["sha256"]) >= 2  # lineage and files
    url = str(site.base_url).rstrip("/")
    assert f"zoo pull {LANGID} --from {url}" in page.text
    assert f"curl -fLO {url}/studentzoo/{LANGID}/resolve/" in page.text
    figures = {image["src"].rsplit("/", 1)[1] for image in page.all("img") if image["alt"]}
    assert figures == {"latency.svg", "classes.svg", "curves.svg"}


def test_a_commit_has_the_page_that_clients_name(site: Any, hub: Any) -> None:
    """`hf upload` prints its address; a registry names the newest one alone."""
    repo, store = f"studentzoo/{LANGID}", Store(hub.root)
    last = store.commit(repo, "main", [Add("notes.txt", store.add([b"x"])[0])], title="notes")
    _, before, first = store.log(repo, "main")
    page = read(site.get(f"/{repo}/commit/{last.id}"))
    assert last.id in page.text and f"zoo pull {LANGID}" in page.text
    for old in (before, first):
        page = read(site.get(f"/{repo}/commit/{old.id}"))
        assert f"--revision {old.id}" in page.text and f"zoo pull {LANGID}" not in page.text
    assert site.get(f"/{repo}/commit/{'0' * 40}").status_code == 404


def test_pages_that_are_not_there_are_pages_too(site: Any) -> None:
    for path in ("/lab/none", "/lab/..%2Fup", "/%3Cscript%3E/x"):
        response = site.get(path)
        assert response.status_code == 404
        assert response.headers["x-error-code"] == "RepoNotFound"
        read(response)


def test_the_host_of_a_request_cannot_write_commands(site: Any) -> None:
    text = site.get(f"/studentzoo/{LANGID}", headers={"Host": "x;rm${IFS}-r"}).text
    assert "rm$" not in text and f"zoo pull {LANGID} --from http://localhost" in text


def test_a_registry_that_is_known_is_not_sent_again(site: Any) -> None:
    first = site.get("/registry.yaml")
    again = site.get("/registry.yaml", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.text) == (304, "")


def test_private_repositories_are_shown_to_tokens_only(site: Any, hub: Any) -> None:
    Store(hub.root).set_private(f"studentzoo/{LANGID}", True)
    address = f"/studentzoo/{LANGID}"
    for path in ("/", "/api/zoo/models", "/registry.yaml"):
        assert LANGID not in site.get(path).text
    assert site.get(address).status_code == 404
    assert site.get(f"/api/zoo/models{address}").status_code == 404
    known = {"Authorization": f"Bearer {hub.read_token}"}
    assert LANGID in site.get("/api/zoo/models", headers=known).text
    assert site.get(address, headers=known).status_code == 200


def test_json_says_what_the_pages_say(site: Any) -> None:
    answer = site.get("/api/zoo/models", params={"sort": "accuracy"}).json()
    assert answer["total"] == 3
    assert [one["repo"] for one in answer["others"]] == ["lab/bare", "lab/broken"]
    first = answer["models"][0]
    assert (first["name"], first["pareto"]) == (LANGID, False)  # one student makes no front
    one = site.get(f"/api/zoo/models/{first['repo']}").json()
    assert one["card"]["name"] == LANGID and one["revision"] == first["revision"]
    assert {f["path"] for f in one["files"]} >= {"card.json", "model.int8.onnx"}
    broken = site.get("/api/zoo/models/lab/broken").json()
    assert broken["card"] is None and "not JSON" in broken["problem"]


def test_an_empty_hub_has_a_page(hub: Any) -> None:
    page = read(httpx2.get(hub.url))
    assert "No student is here yet" in page.text


def test_a_student_is_pulled_from_the_registry_and_the_bytes_of_this_hub(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_STORE", str(tmp_path / "no-students"))
    url = str(site.base_url)
    folder = zoo.pull(LANGID, sources=[url], cache=tmp_path / "cache", registry=url)
    assert (folder / "model.int8.onnx").read_bytes() == student(LANGID)["model.int8.onnx"]
