"""The list of repositories as the real client asks for it: search, filters, order, pages."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("huggingface_hub")

import httpx2
from huggingface_hub import HfApi

from zoo.stores.store import Add, Store

pytestmark = pytest.mark.hub

CARDS = {
    "ada/cats-shufflenet": "license: mit\npipeline_tag: image-classification\ntags: [onnx]",
    "ada/languages": "license: mit\npipeline_tag: text-classification\ndatasets: lab/texts",
    "bob/cats-nasnet": "base_model: ada/cats-shufflenet\nbase_model_relation: quantized",
    "bob/bare": "",
}


@pytest.fixture
def store(hub: Any) -> Store:
    store = Store(hub.root)
    for repo, card in CARDS.items():
        store.create(repo)
        if card:
            sha256, _, _ = store.add([f"---\n{card}\n---\n".encode()])
            store.commit(repo, "main", [Add("README.md", sha256)], title="card")
    return store


@pytest.fixture
def api(hub: Any, store: Store) -> HfApi:
    return HfApi(endpoint=hub.url, token=False)


def ids(api: HfApi, **asked: Any) -> list[str]:
    return [model.id for model in api.list_models(**asked)]


def test_all_are_listed_by_name(api: HfApi) -> None:
    assert ids(api) == sorted(CARDS)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"search": "CATS"}, ["ada/cats-shufflenet", "bob/cats-nasnet"]),
        ({"search": "bob cats"}, ["bob/cats-nasnet"]),
        ({"search": "dogs"}, []),
        ({"author": "bob"}, ["bob/bare", "bob/cats-nasnet"]),
        ({"filter": "license:mit"}, ["ada/cats-shufflenet", "ada/languages"]),
        ({"filter": ["license:mit", "onnx"]}, ["ada/cats-shufflenet"]),
        ({"filter": "dataset:lab/texts"}, ["ada/languages"]),
        ({"filter": "base_model:ada/cats-shufflenet"}, ["bob/cats-nasnet"]),
        ({"filter": "base_model:quantized:ada/cats-shufflenet"}, ["bob/cats-nasnet"]),
        ({"pipeline_tag": "text-classification"}, ["ada/languages"]),
        ({"author": "ada", "search": "cats", "filter": "onnx"}, ["ada/cats-shufflenet"]),
    ],
)
def test_search_author_and_filters_go_together(
    api: HfApi, asked: dict[str, Any], found: list[str]
) -> None:
    assert ids(api, **asked) == found


def test_the_newest_come_first_where_asked(api: HfApi, store: Store) -> None:
    made = ids(api, sort="created_at")
    assert sorted(made) == sorted(CARDS)
    dates = [m.created_at for m in api.list_models(sort="created_at") if m.created_at]
    assert dates == sorted(dates, reverse=True) and len(dates) == len(CARDS)
    changed = [m.last_modified for m in api.list_models(sort="last_modified", full=True)]
    assert changed == sorted(changed, reverse=True)


def test_a_limit_ends_the_list(api: HfApi) -> None:
    assert ids(api, limit=3) == sorted(CARDS)[:3]


@pytest.mark.parametrize("sort", ["", "createdAt", "lastModified"])
def test_pages_hold_all_once_whatever_the_order(hub: Any, store: Store, sort: str) -> None:
    url: str | None = f"{hub.url}/api/models?limit=1&sort={sort}&filter=license:mit"
    found = []
    while url:
        answer = httpx2.get(url)
        found += [row["id"] for row in answer.json()]
        url = answer.links.get("next", {}).get("url")
    assert sorted(found) == ["ada/cats-shufflenet", "ada/languages"]


def test_card_data_and_files_come_where_asked(api: HfApi) -> None:
    plain = next(iter(api.list_models(search="shufflenet")))
    assert plain.card_data is None and plain.siblings is None
    full = next(iter(api.list_models(search="shufflenet", full=True, cardData=True)))
    assert full.card_data is not None and full.card_data["license"] == "mit"
    assert [s.rfilename for s in full.siblings or []] == [".gitattributes", "README.md"]


def test_private_ones_are_listed_for_those_with_a_token(hub: Any, store: Store) -> None:
    store.create("ada/secret", private=True)
    assert "ada/secret" not in ids(HfApi(endpoint=hub.url, token=False))
    assert "ada/secret" in ids(HfApi(endpoint=hub.url, token=hub.read_token))


def test_a_repository_without_main_is_left_out(hub: Any, api: HfApi, store: Store) -> None:
    (hub.root / "repos" / "bob" / "bare" / "refs" / "heads" / "main").unlink()
    assert "bob/bare" not in ids(api)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=x", "limit=-1", "limit=%D9%A3", "sort=size", "cursor=!", "cursor=_w"],
)
def test_what_cannot_be_read_of_the_query_is_400(hub: Any, query: str) -> None:
    answer = httpx2.get(f"{hub.url}/api/models?{query}")
    assert answer.status_code == 400 and answer.headers["x-error-code"] == "BadRequest"
