"""What the real client writes is there afterwards, byte for byte, or it is told why not."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoo.stores.store import Store

pytest.importorskip("starlette")
pytest.importorskip("huggingface_hub")

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
)
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from zoo.serve.metadata import front_matter

# The client's own: how it hands the bytes of an LFS file to its HTTP library.
pytestmark = [
    pytest.mark.hub,
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]

REPO = "lab/student"
MODEL = bytes(range(256)) * 400  # about 100 KB
README = b"---\nlicence: ours\ntags:\n- onnx\n---\n# A student\n"


@pytest.fixture(params=["inside the commit", "by LFS"])
def api(request: pytest.FixtureRequest, make_hub: Callable[..., Any]) -> HfApi:
    """The client of a hub that holds one empty repository, for both ways that files may travel."""
    hub = make_hub(regular_below=1) if request.param == "by LFS" else make_hub()
    client = HfApi(endpoint=hub.url, token=hub.token)
    client.create_repo(REPO)
    client.root = hub.root  # type: ignore[attr-defined]
    return client


def add(path: str, data: bytes) -> CommitOperationAdd:
    return CommitOperationAdd(path_in_repo=path, path_or_fileobj=data)


def commit(api: HfApi, *operations: Any, **options: Any) -> str:
    return str(api.create_commit(REPO, operations, commit_message="More", **options).oid)


def head(api: HfApi) -> str:
    return str(api.model_info(REPO).sha)


def stored(api: HfApi, path: str) -> bytes:
    store = Store(api.root)  # type: ignore[attr-defined]
    return store.blob(store.read(REPO, "main").files[path].sha256).read_bytes()


def names(api: HfApi) -> set[str]:
    return set(api.list_repo_files(REPO)) - {".gitattributes"}


def status(error: pytest.ExceptionInfo[HfHubHTTPError]) -> int:
    return int(error.value.response.status_code)


# --- repositories --------------------------------------------------------------------------------


def test_a_repository_is_made_and_named_by_its_url(api: HfApi) -> None:
    assert api.create_repo("lab/other").repo_id == "lab/other"
    assert api.model_info("lab/other").private is False


def test_a_repository_without_an_organisation_belongs_to_the_token(api: HfApi) -> None:
    assert api.create_repo("alone").repo_id == f"{api.whoami()['name']}/alone"


def test_a_repository_that_is_there_is_told_and_may_be_asked_for_again(api: HfApi) -> None:
    with pytest.raises(HfHubHTTPError) as told:
        api.create_repo(REPO)
    assert status(told) == 409
    assert api.create_repo(REPO, exist_ok=True).repo_id == REPO


def test_a_private_repository_is_seen_with_a_token_only(api: HfApi) -> None:
    api.create_repo("lab/secret", private=True)
    assert api.model_info("lab/secret").private is True
    with pytest.raises(RepositoryNotFoundError):
        HfApi(endpoint=api.endpoint, token=False).model_info("lab/secret")
    api.update_repo_settings("lab/secret", private=False)
    assert HfApi(endpoint=api.endpoint, token=False).model_info("lab/secret").private is False


def test_data_sets_and_spaces_are_refused(api: HfApi) -> None:
    with pytest.raises(BadRequestError, match="only models"):
        api.create_repo("lab/data", repo_type="dataset")


def test_a_deleted_repository_is_gone_and_deleting_it_again_says_so(api: HfApi) -> None:
    api.delete_repo(REPO)
    assert not api.repo_exists(REPO)
    api.delete_repo(REPO, missing_ok=True)
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo(REPO)


# --- commits -------------------------------------------------------------------------------------


def test_one_commit_holds_all_of_its_files_byte_for_byte(api: HfApi) -> None:
    first = head(api)
    files = {"model.onnx": MODEL, "card.json": b"{}", "golden/a.npz": MODEL[:999], "empty.txt": b""}
    made = commit(api, *(add(*file) for file in files.items()), parent_commit=first)
    assert made == head(api)
    assert {path: stored(api, path) for path in files} == files
    newest, *older = api.list_repo_commits(REPO)
    assert (newest.commit_id, newest.title, newest.authors) == (
        made,
        "More",
        [api.whoami()["name"]],
    )
    assert [c.commit_id for c in older] == [first]


def test_sizes_and_hashes_are_told_as_the_publisher_computes_them(api: HfApi) -> None:
    made = commit(api, add("model.onnx", MODEL), add("card.json", b"{}"))
    siblings = api.model_info(REPO, revision=made, files_metadata=True).siblings or []
    found = {s.rfilename: s for s in siblings}
    assert found["model.onnx"].lfs.sha256 == hashlib.sha256(MODEL).hexdigest()
    assert found["model.onnx"].size == len(MODEL)
    assert found["card.json"].blob_id == hashlib.sha1(b"blob 2\0{}").hexdigest()


def test_a_binary_file_object_is_uploaded_as_well(api: HfApi) -> None:
    commit(api, CommitOperationAdd("model.onnx", io.BytesIO(MODEL)))
    assert stored(api, "model.onnx") == MODEL


def test_the_same_files_again_make_no_commit(api: HfApi) -> None:
    operations = ("model.onnx", MODEL), ("card.json", b"{}")
    made = commit(api, *(add(*file) for file in operations))
    assert commit(api, *(add(*file) for file in operations)) == made
    assert len(api.list_repo_commits(REPO)) == 2


def test_a_stale_parent_is_412_and_changes_nothing(api: HfApi) -> None:
    first = head(api)
    made = commit(api, add("a.txt", b"a"), parent_commit=first)
    with pytest.raises(HfHubHTTPError, match="A commit has happened since") as told:
        commit(api, add("b.txt", b"b"), parent_commit=first)
    assert status(told) == 412
    assert (head(api), names(api)) == (made, {"a.txt"})


def test_the_parent_may_be_named_by_its_first_digits(api: HfApi) -> None:
    commit(api, add("a.txt", b"a"), parent_commit=head(api)[:7])
    assert names(api) == {"a.txt"}


def test_files_and_folders_are_deleted_and_stay_in_the_history(api: HfApi) -> None:
    old = commit(api, add("a.txt", b"a"), add("d/b.txt", b"b"), add("d/e/c.txt", b"c"))
    api.delete_file("a.txt", REPO)
    assert names(api) == {"d/b.txt", "d/e/c.txt"}
    api.delete_folder("d/e", REPO)
    assert names(api) == {"d/b.txt"}
    commit(api, CommitOperationDelete("d/"), add("last.txt", b"z"))
    assert names(api) == {"last.txt"}
    assert "d/e/c.txt" in api.list_repo_files(REPO, revision=old)


def test_deleting_what_is_not_there_is_told_and_nothing_else_happens(api: HfApi) -> None:
    with pytest.raises(EntryNotFoundError):
        commit(api, add("a.txt", b"a"), CommitOperationDelete("missing.txt"))
    assert names(api) == set()


def test_a_large_file_is_copied_without_its_bytes(api: HfApi) -> None:
    commit(api, add("model.onnx", MODEL))
    commit(api, CommitOperationCopy("model.onnx", "copy.onnx"))
    assert stored(api, "copy.onnx") == MODEL


def test_one_file_and_a_whole_folder_are_uploaded(api: HfApi, tmp_path: Path) -> None:
    folder = tmp_path / "student"
    (folder / "golden").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(MODEL)
    (folder / "golden" / "inputs.npz").write_bytes(MODEL[:10])
    (folder / "notes.tmp").write_bytes(b"not this one")
    api.upload_file(path_or_fileobj=README, path_in_repo="README.md", repo_id=REPO)
    api.upload_folder(repo_id=REPO, folder_path=folder, ignore_patterns="*.tmp")
    assert names(api) == {"README.md", "model.onnx", "golden/inputs.npz"}
    assert stored(api, "README.md") == README


def test_an_upload_may_replace_what_matches_a_pattern(api: HfApi, tmp_path: Path) -> None:
    commit(api, add("old.onnx", MODEL), add("card.json", b"{}"))
    (tmp_path / "new.onnx").write_bytes(MODEL[1:])
    api.upload_folder(
        repo_id=REPO,
        folder_path=tmp_path,
        allow_patterns="*.onnx",
        delete_patterns="*.onnx",
    )
    assert names(api) == {"new.onnx", "card.json"}


def test_what_finds_no_room_in_one_commit_goes_by_lfs(make_hub: Callable[..., Any]) -> None:
    hub = make_hub(max_body_bytes=2 * len(MODEL))
    api = HfApi(endpoint=hub.url, token=hub.token)
    api.create_repo(REPO)
    made = commit(api, *(add(f"{n}.onnx", MODEL[n:]) for n in range(4)))
    assert names(api) == {f"{n}.onnx" for n in range(4)}
    assert commit(api, *(add(f"{n}.onnx", MODEL[n:]) for n in range(4))) == made


def test_pull_requests_are_refused_in_words(api: HfApi) -> None:
    with pytest.raises(BadRequestError, match="no pull requests"):
        commit(api, add("a.txt", b"a"), create_pr=True)


# --- README --------------------------------------------------------------------------------------


BROKEN = [
    (b"tags: [onnx", "not YAML"),
    (b"licence: a: b", "not YAML"),
    (b"- a list", "no mapping"),
    (b"tags: onnx", '"tags" must be a list'),
    (b"pipeline_tag: [a]", '"pipeline_tag" must be text'),
    (b"license: 3", '"license" must be text'),
    (b"a: !!bool perhaps", "not YAML"),
    (b"a: !!timestamp never", "not YAML"),
    (b"a: &x 1\nb: *x", "not YAML"),
    (b"a: !!python/object:os.system {}", "not YAML"),
    (b"a: " + b"[" * 5000, "not YAML"),
]


@pytest.mark.parametrize(("metadata", "reason"), BROKEN)
def test_a_readme_with_broken_metadata_is_refused_before_anything_is_sent(
    hub: Any, metadata: bytes, reason: str
) -> None:
    api = HfApi(endpoint=hub.url, token=hub.token)
    api.create_repo(REPO)
    first = head(api)
    with pytest.raises(ValueError, match=reason):
        commit(api, add("model.onnx", MODEL), add("README.md", b"---\n" + metadata + b"\n---\n"))
    assert head(api) == first
    assert not Store(hub.root).has(hashlib.sha256(MODEL).hexdigest())


def test_metadata_that_came_in_unchecked_is_passed_over_by_readers() -> None:
    unreadable = [text.decode() for text, reason in BROKEN if reason == "not YAML"]
    unreadable += ["!!int : 3", "a: &x [*x]", "a: " + "9" * 5000, "a: |\n" + " x\n" * 50_000]
    assert [front_matter(f"---\n{text}\n---\n") for text in unreadable] == [None] * len(unreadable)


@pytest.mark.parametrize("readme", [README, b"# No metadata\n", b"---\n---\n", b""])
def test_a_readme_that_is_sound_passes(hub: Any, readme: bytes) -> None:
    api = HfApi(endpoint=hub.url, token=hub.token)
    api.create_repo(REPO)
    commit(api, add("README.md", readme))
    assert "README.md" in names(api)


# --- tags and branches ---------------------------------------------------------------------------


def test_a_tag_stays_where_it_was_put(api: HfApi) -> None:
    made = commit(api, add("a.txt", b"a"))
    api.create_tag(REPO, tag="v1", revision=made, tag_message="First")
    commit(api, add("b.txt", b"b"))
    assert api.model_info(REPO, revision="v1").sha == made
    with pytest.raises(HfHubHTTPError) as told:
        api.create_tag(REPO, tag="v1")
    assert status(told) == 409
    api.create_tag(REPO, tag="v1", exist_ok=True)
    assert [(t.name, t.target_commit) for t in api.list_repo_refs(REPO).tags] == [("v1", made)]
    api.delete_tag(REPO, tag="v1")
    with pytest.raises(RevisionNotFoundError):
        api.delete_tag(REPO, tag="v1")


def test_a_tag_of_what_is_not_there_is_refused(api: HfApi) -> None:
    with pytest.raises(RevisionNotFoundError):
        api.create_tag(REPO, tag="v1", revision="nowhere")


def test_a_branch_grows_beside_main(api: HfApi) -> None:
    first = head(api)
    api.create_branch(REPO, branch="dev/one")
    made = commit(api, add("a.txt", b"a"), revision="dev/one")
    assert (head(api), api.model_info(REPO, revision="dev/one").sha) == (first, made)
    with pytest.raises(HfHubHTTPError) as told:
        api.create_branch(REPO, branch="dev/one")
    assert status(told) == 409
    api.create_branch(REPO, branch="dev/one", exist_ok=True)
    api.create_branch(REPO, branch="from-dev", revision=made)
    assert {b.name for b in api.list_repo_refs(REPO).branches} == {"main", "dev/one", "from-dev"}
    api.delete_branch(REPO, branch="dev/one")
    with pytest.raises(RevisionNotFoundError):
        commit(api, add("b.txt", b"b"), revision="dev/one")


def test_main_cannot_be_deleted(api: HfApi) -> None:
    with pytest.raises(BadRequestError, match="main"):
        api.delete_branch(REPO, branch="main")


def test_a_commit_goes_to_a_branch_and_to_nothing_else(api: HfApi) -> None:
    made = head(api)
    api.create_tag(REPO, tag="v1")
    for revision in (made, "v1", "refs/pr/1"):
        with pytest.raises(RevisionNotFoundError):
            commit(api, add("a.txt", b"a"), revision=revision)


# --- tokens --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "expected"), [("none", 401), ("unknown", 401), ("read", 403)])
def test_nothing_is_written_without_a_token_that_may_write(
    hub: Any, kind: str, expected: int
) -> None:
    HfApi(endpoint=hub.url, token=hub.token).create_repo(REPO)
    token = {"none": False, "unknown": "hf_strange", "read": hub.read_token}[kind]
    api = HfApi(endpoint=hub.url, token=token)
    for attempt in (
        lambda: api.create_repo("lab/other"),
        lambda: commit(api, add("a.txt", b"a")),
        lambda: api.create_tag(REPO, tag="v1"),
        lambda: api.create_branch(REPO, branch="b"),
        lambda: api.update_repo_settings(REPO, private=True),
        lambda: api.delete_repo(REPO),
    ):
        with pytest.raises(HfHubHTTPError) as told:
            attempt()
        assert status(told) == expected
    assert len(Store(hub.root).repos()) == 1
