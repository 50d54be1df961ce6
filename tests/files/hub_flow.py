"""Everything that a publisher and a reader do with a hub, a step at a time, by the real client.

Run as a process, since the client reads its settings when it is imported (HF_ENDPOINT, HF_TOKEN,
HF_HOME, HF_HUB_DISABLE_XET). The argument is an empty folder; prints {step: "ok" or the failure}.
"""

from __future__ import annotations

import hashlib
import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import (
    CommitOperationAdd,
    HfApi,
    ModelCard,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    snapshot_download,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

OLD = huggingface_hub.__version__.startswith("1.")  # its cards are checked by the public Hub only
REPO = "lab/cifar10-shufflenet"
CARD = """---
license: apache-2.0
pipeline_tag: image-classification
base_model: lab/teacher
base_model_relation: quantized
datasets:
- lab/pictures
tags:
- onnx
- int8
---
# A student
"""
FILES = {
    "model.int8.onnx": bytes(range(256)) * 2400,  # 0.6 MB, as students have
    "model.fp32.onnx": bytes(range(255, -1, -1)) * 9600,  # 2.4 MB
    "golden.npz": bytes(range(64)) * 300,
    "card.json": b'{"name": "cifar10-shufflenet"}\n',
    "README.md": CARD.encode(),
}
STEPS: list[Callable[[], None]] = []
api = HfApi()
kept: dict[str, str] = {}  # commits that later steps go back to
folder = Path(sys.argv[1])


def step(function: Callable[[], None]) -> Callable[[], None]:
    STEPS.append(function)
    return function


def same(found: object, wanted: object) -> None:
    if found != wanted:
        raise AssertionError(f"{found!r:.300} is not {wanted!r:.300}")


def refused(kind: type[Exception], call: Callable[[], Any], status: int = 0) -> None:
    try:
        call()
    except kind as error:
        if status:
            same(error.response.status_code, status)  # type: ignore[attr-defined]
        return
    raise AssertionError(f"no {kind.__name__}")


def published(**options: Any) -> str:
    added = [CommitOperationAdd(path, data) for path, data in FILES.items()]
    return api.create_commit(REPO, added, commit_message="A student", **options).oid


def put(path: str, data: bytes) -> str:
    return api.upload_file(path_or_fileobj=data, path_in_repo=path, repo_id=REPO).oid


@step
def who_am_i() -> None:
    same(api.whoami()["name"], "ada")


@step
def create() -> None:
    same(api.create_repo(REPO).repo_id, REPO)


@step
def create_again() -> None:
    same(api.create_repo(REPO, exist_ok=True).repo_id, REPO)
    refused(HfHubHTTPError, lambda: api.create_repo(REPO), 409)


@step
def publish_in_one_commit() -> None:
    kept["first"] = api.model_info(REPO).sha or ""
    kept["student"] = published(parent_commit=kept["first"])
    same(len(api.list_repo_commits(REPO)), 2)


@step
def publish_again_makes_no_commit() -> None:
    same(published(), kept["student"])


@step
def stale_parent_is_refused() -> None:
    late = [CommitOperationAdd("late.txt", b"late")]
    send = lambda: api.create_commit(  # noqa: E731
        REPO, late, commit_message="Late", parent_commit=kept["first"]
    )
    refused(HfHubHTTPError, send, 412)


@step
def sizes_and_hashes_are_ours() -> None:
    siblings = api.model_info(REPO, revision=kept["student"], files_metadata=True).siblings or []
    found = {s.rfilename: s for s in siblings}
    for path, data in FILES.items():
        same(found[path].size, len(data))
        if path.endswith((".onnx", ".npz")):
            same(found[path].lfs.sha256, hashlib.sha256(data).hexdigest())  # type: ignore[union-attr]
        else:
            head = b"blob %d\0" % len(data)
            same(found[path].blob_id, hashlib.sha1(head + data).hexdigest())


@step
def card_data_is_read() -> None:
    info = api.model_info(REPO)
    same(info.pipeline_tag, "image-classification")
    same(info.card_data.license if info.card_data else None, "apache-2.0")
    same("base_model:quantized:lab/teacher" in (info.tags or []), True)


@step
def tag() -> None:
    api.create_tag(REPO, tag="v1", revision=kept["student"])
    refused(HfHubHTTPError, lambda: api.create_tag(REPO, tag="v1"), 409)
    api.create_tag(REPO, tag="v1", exist_ok=True)


@step
def upload_one_file() -> None:
    put("notes/one.txt", b"one\n")


@step
def upload_a_folder() -> None:
    source = folder / "source"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "deep" / "er" / "weights.bin").write_bytes(FILES["golden.npz"])
    (source / "labels.txt").write_text("cat\ndog\n")
    api.upload_folder(repo_id=REPO, folder_path=source, path_in_repo="extra")


@step
def list_files() -> None:
    extra = {"notes/one.txt", "extra/labels.txt", "extra/deep/er/weights.bin", ".gitattributes"}
    same(set(api.list_repo_files(REPO)), {*FILES, *extra})
    tree = {entry.path for entry in api.list_repo_tree(REPO, "extra")}
    same(tree, {"extra/deep", "extra/labels.txt"})


@step
def ask_for_paths() -> None:
    found = api.get_paths_info(REPO, ["model.int8.onnx", "extra", "missing"])
    same({entry.path for entry in found}, {"model.int8.onnx", "extra"})


@step
def ask_what_there_is() -> None:
    asked = (
        api.repo_exists(REPO),
        api.file_exists(REPO, "card.json"),
        api.revision_exists(REPO, "v1"),
        api.repo_exists("lab/nothing"),
        api.file_exists(REPO, "nothing"),
        api.revision_exists(REPO, "nothing"),
    )
    same(asked, (True, True, True, False, False, False))


@step
def search() -> None:
    for wanted in ({"search": "SHUFFLE"}, {"author": "lab"}, {"filter": "onnx"}):
        same([m.id for m in api.list_models(**wanted)], [REPO])  # type: ignore[arg-type]
    both = api.list_models(filter=["license:apache-2.0", "dataset:lab/pictures"], limit=5)
    same([m.id for m in both], [REPO])
    same(list(api.list_models(filter="no-such-tag")), [])
    same([m.id for m in api.list_models(pipeline_tag="image-classification")], [REPO])


@step
def history() -> None:
    commits = api.list_repo_commits(REPO)
    same(commits[-1].commit_id, kept["first"])
    same(commits[-2].title, "A student")
    kept["head"] = commits[0].commit_id


@step
def metadata_of_a_file() -> None:
    found = get_hf_file_metadata(hf_hub_url(REPO, "model.int8.onnx", revision="v1"))
    same(found.etag, hashlib.sha256(FILES["model.int8.onnx"]).hexdigest())
    same((found.commit_hash, found.size), (kept["student"], len(FILES["model.int8.onnx"])))


@step
def download_by_branch_tag_and_commit() -> None:
    for revision in (None, "main", "v1", kept["student"]):
        for path in ("model.int8.onnx", "README.md"):
            got = hf_hub_download(REPO, path, revision=revision, cache_dir=folder / str(revision))
            same(Path(got).read_bytes(), FILES[path])


@step
def download_all_of_it() -> None:
    got = Path(snapshot_download(REPO, revision="v1", local_dir=folder / "snapshot"))
    same({p: (got / p).read_bytes() for p in FILES}, FILES)


@step
def branch() -> None:
    api.create_branch(REPO, branch="dev/one", revision="v1")
    change = [CommitOperationAdd("only-here.txt", b"here")]
    made = api.create_commit(REPO, change, commit_message="Beside", revision="dev/one").oid
    same(api.model_info(REPO, revision="dev/one").sha, made)
    same(api.model_info(REPO).sha, kept["head"])


@step
def refs() -> None:
    found = api.list_repo_refs(REPO)
    same(sorted(b.name for b in found.branches), ["dev/one", "main"])
    same([(t.name, t.target_commit) for t in found.tags], [("v1", kept["student"])])


@step
def delete_a_file_and_a_folder() -> None:
    api.delete_file("notes/one.txt", REPO)
    api.delete_folder("extra", REPO)
    same(set(api.list_repo_files(REPO)), {*FILES, ".gitattributes"})


@step
def what_was_deleted_stays_in_the_history() -> None:
    got = hf_hub_download(REPO, "notes/one.txt", revision=kept["head"], cache_dir=folder / "old")
    same(Path(got).read_bytes(), b"one\n")


@step
def what_is_missing_is_told_apart() -> None:
    refused(EntryNotFoundError, lambda: hf_hub_download(REPO, "nothing"))
    refused(RevisionNotFoundError, lambda: api.model_info(REPO, revision="nothing"))
    refused(RepositoryNotFoundError, lambda: api.model_info("lab/nothing"))
    refused(EntryNotFoundError, lambda: api.delete_file("nothing", REPO))


@step
def broken_card_is_refused_before_it_is_sent() -> None:
    before = api.model_info(REPO).sha
    refused(ValueError, lambda: put("README.md", b"---\ntags: [onnx\n---\n"))
    if not OLD:
        refused(ValueError, lambda: ModelCard("---\npipeline_tag: [a]\n---\n").validate())
    same(api.model_info(REPO).sha, before)


@step
def push_and_load_a_card() -> None:
    card = ModelCard(CARD + "\nMeasured.\n")
    if OLD:
        put("README.md", str(card).encode())
    else:
        card.push_to_hub(REPO)
    same(ModelCard.load(REPO).data.license, "apache-2.0")


@step
def make_private_and_public() -> None:
    stranger = HfApi(token=False)
    api.update_repo_settings(REPO, private=True)
    refused(RepositoryNotFoundError, lambda: stranger.model_info(REPO))
    same(api.model_info(REPO).private, True)
    api.update_repo_settings(REPO, private=False)
    same(stranger.model_info(REPO).private, False)


@step
def strangers_may_read_and_not_write() -> None:
    stranger = HfApi(token="hf_of_another_hub")
    same(stranger.model_info(REPO).id, REPO)
    refused(HfHubHTTPError, lambda: stranger.create_repo("lab/theirs"), 401)
    refused(HfHubHTTPError, stranger.whoami, 401)


@step
def delete_branch_and_tag() -> None:
    api.delete_branch(REPO, branch="dev/one")
    api.delete_tag(REPO, tag="v1")
    refused(RevisionNotFoundError, lambda: api.delete_tag(REPO, tag="v1"))


@step
def delete_the_repository() -> None:
    api.delete_repo(REPO)
    refused(RepositoryNotFoundError, lambda: api.delete_repo(REPO))
    api.delete_repo(REPO, missing_ok=True)
    same(list(api.list_models()), [])


def run() -> dict[str, str]:
    told = {}
    for function in STEPS:
        try:
            function()
            told[function.__name__] = "ok"
        except Exception:  # noqa: BLE001 (a step's failure is the result)
            told[function.__name__] = traceback.format_exc(limit=-3)
    return told


if __name__ == "__main__":
    print(json.dumps(run()))  # noqa: T201
