"""What may be published, what would be sent, and the row afterwards; no hub is asked here."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoo.errors import CardError, PublishError
from zoo.publish import release, remote, shelf
from zoo.publish.release import Blob, Published, Release, Snapshot
from zoo.records import card as cards
from zoo.records import entry
from zoo.records.card import Attempt
from zoo.registry import local
from zoo.stores.folders import Folders

Change = Callable[..., Path]


def attempt(size_bytes: int, **changed: Any) -> Attempt:
    """A rung of the ladder that meets its gates, but for what is changed."""
    rung = Attempt("minmax", {}, 0.9, 0.995, 0.1, size_bytes, 0.7, None, None, "pass", "")
    return dataclasses.replace(rung, **changed)


@pytest.fixture
def ready(passed: Path, tmp_path: Path) -> Path:
    """The tiny student, ready to be published."""
    return Path(shutil.copytree(passed, tmp_path / "ready"))


@pytest.fixture
def change(ready: Path, write_card: Callable[..., None]) -> Change:
    """Write that student's card again, as a build does: change(field=value, ...)."""

    def write(**fields: Any) -> Path:
        write_card(ready, **fields)
        return ready

    return write


@pytest.fixture
def found(ready: Path) -> Release:
    return release.read(ready)


def snapshot(found: Release, **changed: Blob | None) -> Snapshot:
    """The release as a hub may show it: git's ids of small files, sha256 of large ones."""
    files: dict[str, Blob] = {".gitattributes": Blob(1519, "", "a" * 40)}
    for name, blob in found.files.items():
        large = name.endswith((".onnx", ".npz"))
        files[name] = Blob(blob.size, blob.sha256 if large else "", "b" * 40 if large else blob.oid)
    for name, other in changed.items():
        files.pop(name)
        files |= {name: other} if other else {}
    return Snapshot("c" * 40, files)


# --- checks --------------------------------------------------------------------------------------


def test_a_student_that_passed_is_known_by_every_byte(ready: Path, found: Release) -> None:
    assert set(found.files) == {path.name for path in ready.iterdir()}
    for name, blob in found.files.items():
        git = subprocess.run(
            ["git", "hash-object", "--no-filters", ready / name], capture_output=True, text=True
        )
        assert blob.oid == git.stdout.strip()
        assert blob.size == (ready / name).stat().st_size
    assert found.tag == f"v{found.tree[:12]}"


def test_the_tag_changes_with_any_file(change: Change, ready: Path, found: Release) -> None:
    change(summary="Other words.")
    assert release.read(ready).tag != found.tag


def test_a_student_without_a_passed_attempt_is_refused(change: Change, ready: Path) -> None:
    size = (ready / "model.int8.onnx").stat().st_size
    for attempts in ((), (attempt(size, verdict="fail", reason="drop"),), (attempt(size + 1),)):
        change(attempts=attempts)
        with pytest.raises(PublishError, match=r"no attempt on its card made model\.int8\.onnx"):
            release.read(ready)


def test_a_student_whose_every_attempt_failed_is_refused(change: Change, ready: Path) -> None:
    card = cards.read(ready)
    (ready / "model.int8.onnx").unlink()
    failed = attempt(1000, verdict="fail", reason="drop 0.50 points > 0.30")
    change(variants={"fp32": card.variants["fp32"]}, attempts=(failed,), latency=())
    with pytest.raises(PublishError, match=r"no attempt passed .*minmax: drop 0.50") as problem:
        release.read(ready)
    assert "build again" in problem.value.hint
    change(attempts=())
    assert "model.int8.onnx" not in release.read(ready).files


@pytest.mark.parametrize(
    ("figure", "gate"),
    [
        ({"drop_points": 0.31}, "max_drop_points 0.3 with 0.31"),
        ({"drop_points": float("nan")}, "max_drop_points"),
        ({"agreement": 0.5}, "min_agreement 0.98 with 0.5"),
        ({"agreement": None}, "min_agreement"),
        ({"speed_ratio": 1.01}, "max_speed_ratio 1 with 1.01"),
    ],
)
def test_a_verdict_that_its_figures_do_not_bear_out_is_refused(
    ready: Path, figure: dict[str, Any], gate: str
) -> None:
    card = cards.read(ready)
    liar = dataclasses.replace(card.attempts[0], **figure)
    (reason,) = release.missed_gates(dataclasses.replace(card, attempts=(liar,)))
    assert gate in reason


def test_a_size_gate_and_a_card_without_gates(ready: Path) -> None:
    card = cards.read(ready)
    (reason,) = release.missed_gates(
        dataclasses.replace(card, gates=card.gates | {"max_size_bytes": 9.0})
    )
    assert "max_size_bytes 9" in reason
    no_limit = dataclasses.replace(card, gates=card.gates | {"max_size_bytes": 0.0})
    assert release.missed_gates(no_limit) == []
    assert release.missed_gates(dataclasses.replace(card, gates={})) == ["its card names no gates"]


def test_all_reasons_are_told_together(change: Change, ready: Path) -> None:
    data = dataclasses.replace(cards.read(ready).data, licence="CC-BY-NC-4.0")
    change(attempts=(), data=data)
    (ready / "README.md").write_text("---\nlicense: mit\n---\nNot the card's.\n")
    with pytest.raises(PublishError) as problem:
        release.read(ready)
    for part in ("README.md: not what card.json says", "no attempt", "NonCommercial"):
        assert part in str(problem.value)
    assert "licence" in problem.value.hint and "write the card again" in problem.value.hint


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("---\nlicense: mit\ntags: [a\n---\ntext\n", r"README\.md:4: "),
        ("---\nlicense: mit\nlicense: apache-2.0\n---\n", r"README\.md:3: "),
        ("---\n- license\n---\n", "names no license"),
        ("---\ntags: [onnx]\n---\n", "names no license"),
        ("# A page\n", "no front matter"),
        ("---\nlicense: mit\n", "no front matter"),
    ],
)
def test_a_page_whose_front_matter_cannot_be_read_is_refused(
    ready: Path, page: str, told: str
) -> None:
    (ready / "README.md").write_text(page)
    with pytest.raises(CardError, match=told) as problem:
        release.read(ready)
    assert problem.value.hint


def test_a_page_that_is_no_text_or_is_missing_is_refused(ready: Path) -> None:
    (ready / "README.md").write_bytes(b"---\n\xff\n---\n")
    with pytest.raises(CardError, match="README"):
        release.read(ready)
    (ready / "README.md").unlink()
    with pytest.raises(CardError, match="README"):
        release.read(ready)


def test_files_that_do_not_answer_as_they_did_are_refused(ready: Path) -> None:
    import numpy as np

    with np.load(ready / "golden.npz") as arrays:
        kept = dict(arrays)
    np.savez(ready / "golden.npz", **(kept | {"fp32": kept["fp32"] + 1}))
    with pytest.raises(PublishError, match="golden"):
        release.read(ready)


# --- the plan ------------------------------------------------------------------------------------


def test_to_a_new_repository_everything_is_sent(found: Release) -> None:
    plan = release.plan(found, "http://hub", "lab/tiny", None)
    assert set(plan.send) == set(plan.files) == set(found.files)
    assert (plan.parent, plan.delete, plan.tag) == ("", (), found.tag)
    assert sum(plan.files.values()) == sum(blob.size or 0 for blob in found.files.values())


def test_what_the_hub_has_is_not_sent(found: Release) -> None:
    plan = release.plan(found, "http://hub", "lab/tiny", snapshot(found))
    assert plan.empty
    assert plan.parent == "c" * 40


def test_only_what_differs_is_sent(found: Release) -> None:
    head = snapshot(found, **{"card.json": None, "README.md": Blob(1, "", "d" * 40)})
    assert set(release.plan(found, "http://hub", "lab/tiny", head).send) == {
        "card.json",
        "README.md",
    }


def test_files_of_an_older_student_go_and_those_of_others_stay(found: Release) -> None:
    head = snapshot(found)
    old = {name: Blob(1, "", "e" * 40) for name in ("classes.svg", "model.int4.onnx", "LICENSE")}
    plan = release.plan(
        found, "http://hub", "lab/tiny", dataclasses.replace(head, files=head.files | old)
    )
    assert (plan.send, set(plan.delete)) == ((), {"classes.svg", "model.int4.onnx"})


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        (None, "is not there"),
        (Blob(None, "", "a" * 40), "has None bytes"),
        (Blob(7, "", "a" * 40), "has 7 bytes, not"),
        (Blob(-1, "f" * 64, ""), "has the hash ffffffffffff"),
        (Blob(-1, "", "f" * 40), "has the hash ffffffffffff"),
        (Blob(-1, "", ""), "has the hash of nothing"),
    ],
)
def test_a_file_is_the_same_only_with_size_and_hash(
    found: Release, theirs: Blob | None, reason: str
) -> None:
    ours = found.files["card.json"]
    if theirs and theirs.size == -1:
        theirs = dataclasses.replace(theirs, size=ours.size)
    there = {"card.json": theirs} if theirs else {}
    assert reason in release.differences({"card.json": ours}, there)["card.json"]


# --- the row -------------------------------------------------------------------------------------


@pytest.fixture
def own(lab: Any) -> Folders:
    """Folders of one's own that hold the ready student, the registry beside them."""
    return lab.store


def recorded(store: Folders, endpoint: str, commit: str) -> entry.Entry:
    """The student of `store` published there, as far as the registry is told."""
    found = release.read(store.folder(store.names()[0]))
    plan = release.plan(found, endpoint, "lab/tiny", None)
    path = local.default_path(store.root)
    return remote.record(found, Published(plan, commit, True), store, path)


def test_the_row_names_the_commit_and_its_hub(own: Folders) -> None:
    before = local.load(own.root.parent / "registry.yaml")
    row = recorded(own, "http://10.0.0.7:8080", "c" * 40)
    after = local.load(own.root.parent / "registry.yaml")
    assert after == {row.name: row} != before
    assert (row.repo, row.revision, row.endpoint) == ("lab/tiny", "c" * 40, "http://10.0.0.7:8080")
    assert row.files == before[row.name].files
    assert recorded(own, "https://huggingface.co", "c" * 40).endpoint == ""


def test_a_row_that_says_it_already_is_not_written_again(own: Folders) -> None:
    recorded(own, "http://hub", "c" * 40)
    path = own.root.parent / "registry.yaml"
    before = path.stat()
    recorded(own, "http://hub", "c" * 40)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_a_folder_that_was_built_anew_meanwhile_gets_no_row(own: Folders) -> None:
    found = release.read(own.folder(own.names()[0]))
    path = own.root.parent / "registry.yaml"
    before = path.read_bytes()
    (found.folder / "notes.txt").write_text("new")
    plan = release.plan(found, "http://hub", "lab/tiny", None)
    with pytest.raises(PublishError, match="changed while"):
        remote.record(found, Published(plan, "c" * 40, True), own, path)
    assert path.read_bytes() == before


def test_a_second_build_of_the_same_files_stays_where_it_was_published(
    own: Folders, ready: Path
) -> None:
    row = recorded(own, "http://hub", "c" * 40)
    assert shelf.publish(ready, own) == row


def test_a_changed_build_stays_in_its_repository_and_waits_for_its_publication(
    own: Folders, change: Change
) -> None:
    recorded(own, "http://hub", "c" * 40)
    row = shelf.publish(change(summary="Other words."), own)
    assert (row.repo, row.endpoint) == ("lab/tiny", "http://hub")
    assert row.revision == own.revision(row.name)


def test_a_registry_that_cannot_be_read_stops_it_and_says_that_the_hub_has_it(
    own: Folders,
) -> None:
    path = own.root.parent / "registry.yaml"
    path.write_text("format: 2\n")
    with pytest.raises(PublishError, match=r"students.*lab/tiny@cccc.* is on the hub") as problem:
        recorded(own, "http://hub", "c" * 40)
    assert re.search("run it again", problem.value.hint)
    assert path.read_text() == "format: 2\n"


def test_a_plan_is_plain_data(found: Release) -> None:
    from zoo.records import plain

    plan = release.plan(found, "http://hub", "lab/tiny", None)
    assert json.loads(json.dumps(plain.to_dict(plan)))["files"] == plan.files
