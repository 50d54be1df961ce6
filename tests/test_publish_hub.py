"""Publishing to a hub on loopback by the real client, and what is refused before it is asked."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import zoo
from zoo import cli
from zoo.errors import PublishError, ZooError
from zoo.publish import release, remote
from zoo.records import card
from zoo.registry import local

pytest.importorskip("huggingface_hub")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytestmark = pytest.mark.hub

TINY = "colours-tiny.test"
REPO = "lab/colours"


def sent(endpoint: str) -> release.Published:
    return remote.publish(TINY, repo=REPO, endpoint=endpoint)


def repositories(hub: Any) -> list[str]:
    from zoo.stores.store import Store

    return Store(hub.root).repos()


def tags(hub: Any) -> dict[str, str]:
    from zoo.stores.store import Store

    return dict(Store(hub.root).refs(REPO).tags)


# --- the way it goes -----------------------------------------------------------------------------


def test_a_first_publication_is_one_commit_a_tag_and_a_row(lab: Any, open_hub: Any) -> None:
    before = lab.row
    done = sent(open_hub.url)
    assert done.new
    assert len(open_hub.commits(REPO)) == 2  # the repository's own first one, and ours
    assert open_hub.commits(REPO)[0] == f"{TINY} {done.plan.tag}"
    assert tags(open_hub) == {done.plan.tag: done.revision}
    wanted = dataclasses.replace(before, repo=REPO, revision=done.revision, endpoint=open_hub.url)
    assert lab.row == wanted


def test_the_client_finds_what_was_published(lab: Any, open_hub: Any, tmp_path: Path) -> None:
    from huggingface_hub import HfApi, hf_hub_download

    done = sent(open_hub.url)
    info = HfApi(endpoint=open_hub.url, token=False).model_info(REPO, revision=done.plan.tag)
    assert info.sha == done.revision
    assert {"onnx", "distillation", "student", "int8"} <= set(info.tags or ())
    for name in lab.row.files:
        path = hf_hub_download(
            REPO,
            name,
            revision=done.revision,
            endpoint=open_hub.url,
            token=False,
            cache_dir=tmp_path,
        )
        assert Path(path).read_bytes() == (lab.store.folder(TINY) / name).read_bytes()


def test_without_options_it_goes_where_it_went_before(lab: Any, open_hub: Any) -> None:
    first = sent(open_hub.url)
    again = remote.publish(TINY)
    assert (again.plan.endpoint, again.plan.repo) == (open_hub.url, REPO)
    assert again.revision == first.revision


def test_a_changed_card_is_a_new_commit_a_new_tag_and_a_moved_row(lab: Any, open_hub: Any) -> None:
    first = sent(open_hub.url)
    lab.rewrite(summary="Other words.")
    assert (lab.row.repo, lab.row.endpoint) == (REPO, open_hub.url)
    second = sent(open_hub.url)
    assert second.new
    assert "model.int8.onnx" not in second.plan.send
    assert tags(open_hub) == {first.plan.tag: first.revision, second.plan.tag: second.revision}
    assert lab.row.revision == second.revision != first.revision
    assert len(open_hub.commits(REPO)) == 3


def test_a_student_that_goes_back_keeps_its_old_tag(lab: Any, open_hub: Any) -> None:
    words = card.read(lab.store.folder(TINY)).summary
    first = sent(open_hub.url)
    lab.rewrite(summary="Other words.")
    sent(open_hub.url)
    lab.rewrite(summary=words)
    back = sent(open_hub.url)
    assert (back.new, back.plan.tag, back.revision) == (True, first.plan.tag, first.revision)
    assert len(open_hub.commits(REPO)) == 4
    assert not sent(open_hub.url).new


def test_files_of_an_older_student_go_and_those_of_others_stay(lab: Any, open_hub: Any) -> None:
    from zoo.stores.store import Add, Store

    first = sent(open_hub.url)
    store = Store(open_hub.root)
    digest, _, _ = store.add([b"old"])
    store.commit(REPO, "main", [Add("classes.svg", digest), Add("LICENSE", digest)], title="old")
    done = sent(open_hub.url)
    assert (done.plan.send, done.plan.delete) == ((), ("classes.svg",))
    left = set(store.read(REPO, "main").files)
    assert left == {*lab.row.files, "LICENSE", ".gitattributes"}
    assert lab.row.revision == first.revision  # the same files, and their tag


def test_a_student_that_a_server_offers_of_itself_is_published_on_top(
    lab: Any, open_hub: Any
) -> None:
    from zoo.serve.local import adopt_students
    from zoo.stores.store import Store

    row, store = lab.row, Store(open_hub.root)
    assert adopt_students(store, [row], lab.store) == [TINY]
    same = remote.publish(TINY, endpoint=open_hub.url)
    assert (same.new, same.revision, same.plan.repo) == (False, row.revision, row.repo)
    lab.rewrite(summary="Other words.")
    other = remote.publish(TINY, endpoint=open_hub.url)
    assert (other.new, other.plan.parent) == (True, row.revision)
    assert store.refs(row.repo).tags == {
        same.plan.tag: same.revision,
        other.plan.tag: other.revision,
    }


# --- tokens and Xet ------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", ["", "no-such-token"])
def test_without_a_token_of_that_hub_nothing_is_changed(
    lab: Any, hub: Any, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_TOKEN", chosen)
    with pytest.raises(PublishError, match="401") as problem:
        sent(hub.url)
    assert "ZOO_TOKEN" in problem.value.hint
    assert lab.row.endpoint == ""


def test_a_token_that_may_only_read_is_told_so(
    lab: Any, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_TOKEN", hub.read_token)
    with pytest.raises(PublishError, match="403") as problem:
        sent(hub.url)
    assert "write" in problem.value.hint


@pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")  # within the client
@pytest.mark.parametrize("regular_below", [1 << 25, 0])
def test_a_client_with_xet_publishes_to_a_hub_without(
    lab: Any, make_hub: Any, regular_below: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)  # as where nothing is configured
    hub = make_hub(regular_below=regular_below)
    monkeypatch.setenv("ZOO_TOKEN", hub.token)
    assert sent(hub.url).new
    assert not sent(hub.url).new
    assert not constants.HF_HUB_DISABLE_XET


@pytest.mark.parametrize("disabled", ["", "1"])
def test_an_untouched_client_publishes_with_xet_and_without(
    lab: Any, make_hub: Any, disabled: str
) -> None:
    hub = make_hub(regular_below=0)
    ended = shell(
        *("publish", TINY, "--repo", REPO, "--endpoint", hub.url),
        HF_HUB_DISABLE_XET=disabled,
        ZOO_TOKEN=hub.token,
    )
    assert (ended.returncode, ended.stdout) == (0, f"{REPO}@{lab.row.revision}\n"), ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def shell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`zoo` in a process of its own, with an untouched client."""
    return python("from zoo import cli; cli.main()", *arguments, **environment)


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(zoo.__file__).parent.parent)
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": root, "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_without_the_client_it_says_what_to_install(lab: Any) -> None:
    ended = python(
        "import sys; sys.modules['huggingface_hub'] = None; from zoo import cli; cli.main()",
        *("publish", "--all"),
    )
    assert ended.returncode == 1
    assert "pip install 'huggingface_hub" in ended.stderr


@pytest.mark.parametrize("regular_below", [1 << 25, 0])
def test_a_hub_that_takes_no_files_of_that_size_is_told(
    lab: Any, make_hub: Any, regular_below: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = make_hub(regular_below=regular_below, max_file_bytes=500)
    monkeypatch.setenv("ZOO_TOKEN", hub.token)
    before = lab.registry.read_bytes()
    with pytest.raises(PublishError, match=hub.url) as problem:
        sent(hub.url)
    assert "\n" not in str(problem.value)
    assert lab.registry.read_bytes() == before


@pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")  # within the client
def test_an_upload_address_that_fails_is_one_error(
    lab: Any, make_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = make_hub(regular_below=0)
    monkeypatch.setenv("ZOO_TOKEN", hub.token)
    shutil.rmtree(hub.root / "incoming", ignore_errors=True)
    (hub.root / "incoming").write_text("no folder")
    with pytest.raises(PublishError, match=hub.url):
        sent(hub.url)


# --- refused before anything is sent -------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"attempts": ()}, "no attempt on its card"),
        ({"licence": "proprietary"}, "forbids to pass it on"),
        ({"gates": {"max_drop_points": 0.05, "min_agreement": 0.98}}, "misses max_drop_points"),
    ],
)
def test_a_student_that_must_stay_at_home_is_not_sent(
    lab: Any, open_hub: Any, fields: dict[str, Any], reason: str
) -> None:
    lab.rewrite(**fields)
    with pytest.raises(PublishError, match=reason):
        sent(open_hub.url)
    assert repositories(open_hub) == []


def test_a_page_with_broken_yaml_is_not_sent(lab: Any, open_hub: Any) -> None:
    page = lab.store.folder(TINY) / "README.md"
    page.write_text(page.read_text().replace("license: apache-2.0", "license: [apache-2.0"))
    with pytest.raises(ZooError, match=r"README\.md:\d+: ") as problem:
        sent(open_hub.url)
    assert problem.value.hint
    assert repositories(open_hub) == []


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ({"endpoint": "ftp://hub"}, "endpoint must be"),
        ({"endpoint": "https://user:secret@hub"}, "endpoint must be"),
        ({"repo": "no-organisation"}, "ORG/NAME"),
        ({"repo": "../x"}, "ORG/NAME"),
    ],
)
def test_a_place_that_cannot_be_is_refused(lab: Any, where: dict[str, str], told: str) -> None:
    with pytest.raises(PublishError, match=told):
        remote.publish(TINY, **{"repo": REPO, "endpoint": "http://127.0.0.1:1", **where})


def test_a_dead_hub_and_an_offline_client_are_one_error(
    lab: Any, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.stop()
    with pytest.raises(PublishError, match=hub.url):
        sent(hub.url)
    ended = shell("publish", TINY, "--endpoint", hub.url, HF_HUB_OFFLINE="1")
    assert ended.returncode == 1
    assert "HF_HUB_OFFLINE is set" in ended.stderr


# --- the command ---------------------------------------------------------------------------------


def invoke(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(cli.app, ["publish", *arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def test_a_dry_run_prints_the_plan_and_sends_nothing(lab: Any, open_hub: Any) -> None:
    before = lab.registry.read_bytes()
    told = invoke(TINY, "--repo", REPO, "--endpoint", open_hub.url, "--dry-run").stdout
    size = (lab.store.folder(TINY) / "card.json").stat().st_size
    for part in (REPO, open_hub.url, "the repository is made", "card.json", f"{size} bytes"):
        assert part in told
    assert repositories(open_hub) == []
    assert lab.registry.read_bytes() == before


def test_a_dry_run_of_a_changed_card_names_its_parent_and_what_is_new(
    lab: Any, open_hub: Any
) -> None:
    done = sent(open_hub.url)
    lab.rewrite(summary="Other words.")
    before = lab.registry.read_bytes()
    plan = json.loads(invoke(TINY, "--dry-run", "--json").stdout)
    assert plan["parent"] == done.revision
    assert {"README.md", "card.json"} <= set(plan["send"]) < set(plan["files"])
    assert (plan["dry_run"], plan["revision"], plan["new"]) == (True, "", True)
    assert tags(open_hub) == {done.plan.tag: done.revision}
    assert len(open_hub.commits(REPO)) == 2
    assert lab.registry.read_bytes() == before


def test_the_command_prints_where_the_student_is(lab: Any, open_hub: Any) -> None:
    result = invoke(TINY, "--repo", REPO, "--endpoint", open_hub.url)
    assert result.stdout == f"{REPO}@{lab.row.revision}\n"
    assert open_hub.url in result.stderr
    data = json.loads(invoke(TINY, "--json").stdout)
    assert (data["revision"], data["new"], data["endpoint"]) == (
        lab.row.revision,
        False,
        open_hub.url,
    )


def test_all_go_on_where_one_fails(lab: Any, open_hub: Any) -> None:
    lab.rewrite(name="a-first.test")
    lab.rewrite(name="z-last.test")
    lab.rewrite(licence="proprietary")
    result = invoke("--all", "--endpoint", open_hub.url, code=1)
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert list(lines) == ["NAME", "a-first.test", TINY, "z-last.test"]
    assert "published" in lines["a-first.test"] and "published" in lines["z-last.test"]
    assert "error: " in lines[TINY] and "forbids" in lines[TINY]
    assert "1 of 3 students failed" in result.stderr
    rows = local.load(lab.registry)
    assert [row.endpoint for row in rows.values()] == [open_hub.url, "", open_hub.url]
    data = json.loads(invoke("--all", "--endpoint", open_hub.url, "--json", code=1).stdout)
    assert [row.get("new") for row in data] == [False, None, False]
    assert "forbids" in data[1]["error"] and data[1]["hint"]


@pytest.mark.parametrize("wrong", [(), (TINY, "--all"), ("--all", "--repo", REPO)])
def test_a_wrong_use_is_told(lab: Any, wrong: tuple[str, ...]) -> None:
    invoke(*wrong, code=2)


def test_a_student_that_is_not_here_is_named(lab: Any) -> None:
    with pytest.raises(ZooError, match='no "colours-tiny"') as problem:
        remote.publish("colours-tiny")
    assert TINY in problem.value.hint


def test_one_token_is_not_sent_to_several_hubs(shelf: Any, open_hub: Any) -> None:
    there = [
        dataclasses.replace(shelf.entry, name=name, endpoint=endpoint)
        for name, endpoint in (("a", open_hub.url), ("b", "http://10.0.0.7:8080"))
    ]
    local.write(there, shelf.registry)
    result = CliRunner().invoke(cli.app, ["publish", "--all"])
    assert isinstance(result.exception, PublishError)
    assert "several hubs" in str(result.exception)
    assert repositories(open_hub) == []
