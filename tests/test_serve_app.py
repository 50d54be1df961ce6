"""What the real Hub client reads from a hub of ours, and what plain HTTP sees beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("huggingface_hub")

import httpx2
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import get_session, hf_raise_for_status

from zoo.stores.git import Add, Commit, Delete
from zoo.stores.store import Store

pytestmark = pytest.mark.hub

REPO = "lab/colours.kd"
CARD = """---
license: apache-2.0
language: en
tags: [onnx, int8]
pipeline_tag: image-classification
library_name: onnx
datasets: [lab/colours]
base_model: lab/teacher
base_model_relation: quantized
made: 2026-01-31
---
# Colours
"""
MODEL = bytes(range(256)) * 5000  # 1.28 MB: more than one chunk


def put(store: Store, repo: str, files: dict[str, bytes | None], title: str = "files") -> Commit:
    """Commit files; None deletes one."""
    changes = [
        Delete(path) if data is None else Add(path, store.add([data])[0])
        for path, data in files.items()
    ]
    return store.commit(repo, "main", changes, title=title, author="ada")


@pytest.fixture
def store(hub: Any) -> Store:
    """The store under the hub, with one repository of two commits, a tag and a branch."""
    store = Store(hub.root)
    store.create(REPO)
    first = put(store, REPO, {"README.md": CARD.encode(), "model.onnx": MODEL[:1000]}, "first")
    store.tag(REPO, "v1", first.id)
    store.branch(REPO, "dev/a+ü", first.id)
    put(store, REPO, {"model.onnx": MODEL, "golden/in.npz": b"g", "golden/a/b.txt": b"t"}, "second")
    return store


@pytest.fixture
def api(hub: Any, store: Store) -> HfApi:
    return HfApi(endpoint=hub.url, token=False)


@pytest.fixture
def download(hub: Any, store: Store, tmp_path: Path) -> Callable[..., Path]:
    def download(file: str, **options: Any) -> Path:
        cache = tmp_path / "cache"
        return Path(
            hf_hub_download(REPO, file, endpoint=hub.url, cache_dir=cache, token=False, **options)
        )

    return download


# --- model info ----------------------------------------------------------------------------------


def test_model_info_tells_commit_card_and_tags(api: HfApi, store: Store) -> None:
    info = api.model_info(REPO)
    assert (info.id, info.author, info.private) == (REPO, "lab", False)
    assert info.sha == store.resolve(REPO, "main")
    assert info.pipeline_tag == "image-classification" and info.library_name == "onnx"
    assert info.card_data is not None and info.card_data["license"] == "apache-2.0"
    assert info.card_data["made"] == "2026-01-31"
    assert set(info.tags or []) == {
        *("onnx", "int8", "image-classification", "en", "license:apache-2.0"),
        *("dataset:lab/colours", "base_model:lab/teacher", "base_model:quantized:lab/teacher"),
    }
    assert info.created_at is not None and info.last_modified is not None
    assert info.created_at <= info.last_modified


def test_files_metadata_tells_sizes_and_hashes(api: HfApi) -> None:
    siblings = {s.rfilename: s for s in api.model_info(REPO, files_metadata=True).siblings or []}
    model, readme = siblings["model.onnx"], siblings["README.md"]
    assert model.size == len(MODEL) and model.lfs is not None
    assert model.lfs.sha256 == hashlib.sha256(MODEL).hexdigest()
    assert readme.lfs is None
    raw = CARD.encode()
    assert readme.blob_id == hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest()


@pytest.mark.parametrize("revision", ["v1", "dev/a+ü", "refs/tags/v1", "refs/heads/dev/a+ü"])
def test_a_revision_may_be_a_tag_a_branch_or_a_whole_ref(
    api: HfApi, store: Store, revision: str
) -> None:
    assert api.model_info(REPO, revision=revision).sha == store.resolve(REPO, "v1")


def test_a_commit_is_a_revision_for_ever(api: HfApi, store: Store) -> None:
    old = store.resolve(REPO, "v1")
    assert api.list_repo_files(REPO, revision=old) == [".gitattributes", "README.md", "model.onnx"]


def test_a_card_that_cannot_be_read_is_an_empty_one(api: HfApi, store: Store) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{b}: &{b} [{','.join(f'*{a}' for _ in range(9))}]\n"
        for a, b in zip("abcdefghijk", "bcdefghijkl", strict=True)
    )
    odd = ("a: !!bool x", "a: !!timestamp x", "<<: {a: 1}", "0001-01-01T00:00:00+05:00")
    unsaid = ('a: "\\uD800"', "a: 1" + "0" * 9000)  # what JSON or UTF-8 cannot hold
    for text in ("a: [", "[1]", bomb, "a: 1\n" * 50_000, "? [a]\n: b", *odd, *unsaid):
        put(store, REPO, {"README.md": f"---\n{text}\n---\n".encode()})
        info = api.model_info(REPO)
        assert not info.card_data and info.tags == []


# --- trees ---------------------------------------------------------------------------------------


def test_the_tree_has_files_and_folders_of_one_level(api: HfApi, store: Store) -> None:
    rows = {row.path: row for row in api.list_repo_tree(REPO)}
    assert list(rows) == [".gitattributes", "README.md", "golden", "model.onnx"]
    assert rows["golden"].tree_id and rows["model.onnx"].lfs.size == len(MODEL)
    assert rows["model.onnx"].xet_hash is None


def test_the_tree_below_a_folder_and_all_of_it(api: HfApi) -> None:
    below = [row.path for row in api.list_repo_tree(REPO, "golden")]
    assert below == ["golden/a", "golden/in.npz"]
    everything = [row.path for row in api.list_repo_tree(REPO, recursive=True)]
    assert everything == [
        *(".gitattributes", "README.md", "golden", "golden/a", "golden/a/b.txt"),
        *("golden/in.npz", "model.onnx"),
    ]


def test_an_expanded_tree_tells_the_last_commit_of_each_path(api: HfApi) -> None:
    titles = {r.path: r.last_commit.title for r in api.list_repo_tree(REPO, expand=True)}
    assert titles == {
        ".gitattributes": "initial commit",
        "README.md": "first",
        "golden": "second",
        "model.onnx": "second",
    }


def test_the_tree_of_what_is_no_folder_is_entry_not_found(api: HfApi) -> None:
    for path in ("nothing", "model.onnx", "gold"):
        with pytest.raises(RemoteEntryNotFoundError):
            list(api.list_repo_tree(REPO, path))


def test_a_long_tree_comes_in_pages(api: HfApi, store: Store, hub: Any) -> None:
    sha256, _, _ = store.add([b"x"])
    store.commit(REPO, "main", [Add(f"many/{n:04}", sha256) for n in range(2100)], title="many")
    assert len(list(api.list_repo_tree(REPO, "many"))) == 2100
    first = httpx2.get(f"{hub.url}/api/models/{REPO}/tree/main/many")
    assert len(first.json()) == 1000 and first.links["next"]["url"].startswith(hub.url)


def test_paths_info_leaves_out_what_is_not_there(api: HfApi) -> None:
    rows = api.get_paths_info(REPO, ["model.onnx", "nothing", "golden"], expand=True)
    assert [(r.path, r.last_commit.title) for r in rows] == [
        ("golden", "second"),
        ("model.onnx", "second"),
    ]


def test_paths_info_also_reads_json(hub: Any, store: Store) -> None:
    url = f"{hub.url}/api/models/{REPO}/paths-info/main"
    assert [r["path"] for r in httpx2.post(url, json={"paths": ["README.md"]}).json()] == [
        "README.md"
    ]


def test_a_form_of_too_many_fields_is_refused(hub: Any, store: Store) -> None:
    url = f"{hub.url}/api/models/{REPO}/paths-info/main"
    sent = {"content-type": "application/x-www-form-urlencoded"}
    assert httpx2.post(url, content="p=&" * 60_000, headers=sent).status_code == 400


def test_a_host_that_is_none_is_in_no_address(hub: Any, store: Store) -> None:
    url = f"{hub.url}/api/models/{REPO}/tree/main?limit=1"
    for host, named in (("a-hub_1.lan:80", "a-hub_1.lan:80"), ("x>;rm", "localhost")):
        link = httpx2.get(url, headers={"host": host}).headers["link"]
        assert link.startswith(f"<http://{named}/api/models/{REPO}/tree/main?")


# --- history -------------------------------------------------------------------------------------


def test_refs_are_branches_and_tags(api: HfApi, store: Store) -> None:
    refs = api.list_repo_refs(REPO, include_pull_requests=True)
    assert {b.name: b.ref for b in refs.branches} == {
        "main": "refs/heads/main",
        "dev/a+ü": "refs/heads/dev/a+ü",
    }
    assert [(t.name, t.target_commit) for t in refs.tags] == [("v1", store.resolve(REPO, "v1"))]
    assert refs.pull_requests == []


def test_commits_are_newest_first_with_authors(api: HfApi) -> None:
    commits = list(api.list_repo_commits(REPO))
    assert [c.title for c in commits] == ["second", "first", "initial commit"]
    assert commits[0].authors == ["ada"]


def test_commits_come_in_pages_that_stay_when_the_branch_moves(hub: Any, store: Store) -> None:
    url = f"{hub.url}/api/models/{REPO}/commits/main?limit=2"
    first = httpx2.get(url)
    put(store, REPO, {"new.txt": b"n"}, "third")
    second = httpx2.get(first.links["next"]["url"])
    assert [c["title"] for c in first.json() + second.json()] == [
        *("second", "first"),
        "initial commit",
    ]
    assert "next" not in second.links


# --- bytes ---------------------------------------------------------------------------------------


def test_a_file_is_downloaded_by_branch_tag_and_commit(
    download: Callable[..., Path], store: Store
) -> None:
    assert download("model.onnx").read_bytes() == MODEL
    assert download("model.onnx", revision="v1").read_bytes() == MODEL[:1000]
    old = store.resolve(REPO, "v1")
    assert download("model.onnx", revision=old).read_bytes() == MODEL[:1000]
    assert download("golden/a/b.txt").read_bytes() == b"t"


def test_an_empty_file_is_downloaded(download: Callable[..., Path], store: Store) -> None:
    put(store, REPO, {"empty.bin": b"", "empty.txt": b""})
    assert download("empty.bin").read_bytes() == download("empty.txt").read_bytes() == b""


def test_a_snapshot_is_the_whole_commit(hub: Any, store: Store, tmp_path: Path) -> None:
    folder = Path(snapshot_download(REPO, endpoint=hub.url, cache_dir=tmp_path, token=False))
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert found == set(store.read(REPO, "main").files)
    assert folder.name == store.resolve(REPO, "main")


def test_names_of_files_may_need_quoting(download: Callable[..., Path], store: Store) -> None:
    put(store, REPO, {"a b/ü#%3F%2F.txt": b"u"})
    assert download("a b/ü#%3F%2F.txt").read_bytes() == b"u"


def test_each_kind_of_absence_has_its_error(
    hub: Any, api: HfApi, download: Callable[..., Path]
) -> None:
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("lab/nothing")
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("bert-base-uncased")
    with pytest.raises(RepositoryNotFoundError):
        api.dataset_info("lab/data")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(REPO, revision="nothing")
    with pytest.raises(RevisionNotFoundError):
        download("model.onnx", revision="0" * 40)
    with pytest.raises(RemoteEntryNotFoundError):
        download("nothing.onnx")


def test_a_missing_file_tells_the_commit_that_lacks_it(hub: Any, store: Store) -> None:
    answer = httpx2.head(f"{hub.url}/{REPO}/resolve/main/nothing")
    assert answer.status_code == 404
    assert answer.headers["x-error-code"] == "EntryNotFound"
    assert answer.headers["x-repo-commit"] == store.resolve(REPO, "main")


def test_xet_is_never_offered(hub: Any, store: Store) -> None:
    for kind in ("read", "write"):
        url = f"{hub.url}/api/models/{REPO}/xet-{kind}-token/main"
        sent = {"authorization": f"Bearer {hub.token}"}
        answer = httpx2.get(url, headers=sent, follow_redirects=True)
        assert answer.status_code == 404
        assert str(answer.url) == f"{hub.url}/no-xet-{kind}-token-here/set-HF_HUB_DISABLE_XET=1"
        assert "HF_HUB_DISABLE_XET=1" in httpx2.get(url, headers=sent).headers["x-error-message"]
    assert "xet" not in httpx2.get(f"{hub.url}/api/models/{REPO}/tree/main").text.lower()


def test_the_client_shows_what_the_server_says(hub: Any, store: Store) -> None:
    url = f"{hub.url}/api/models/{REPO}/commits/main?p=x"
    with pytest.raises(HfHubHTTPError, match="p must be a whole number"):
        hf_raise_for_status(get_session().get(url))
