"""The whole flow of the Hub, from creation to deletion, by the untouched client and its command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoo.stores.store import Store

pytest.importorskip("starlette")
pytest.importorskip("huggingface_hub")

pytestmark = pytest.mark.hub

REPO = "lab/student"
MODEL = bytes(range(256)) * 2400  # 0.6 MB


def environment(hub: Any, home: Path, **more: str) -> dict[str, str]:
    """What a user has set: nothing but the endpoint, a token, and no traffic beside the flow."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    return inherited | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_TOKEN": hub.token,
        **more,
    }


def run(command: list[Any], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(words, env=variables, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("limits", "variables"),
    [
        pytest.param({}, {"HF_HUB_DISABLE_XET": "1"}, id="Xet off"),
        pytest.param({"regular_below": 1}, {"HF_HUB_DISABLE_XET": "1"}, id="Xet off, by LFS"),
        pytest.param({}, {}, id="as it is installed"),
    ],
)
def test_every_step_of_the_flow_passes(
    make_hub: Callable[..., Any],
    files: Path,
    tmp_path: Path,
    limits: dict[str, int],
    variables: dict[str, str],
) -> None:
    told = environment(make_hub(**limits), tmp_path / "home", **variables)
    (tmp_path / "work").mkdir()
    done = run([sys.executable, files / "hub_flow.py", tmp_path / "work"], told)
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)
    assert len(steps) > 25
    failed = [f"{name}: {why}" for name, why in steps.items() if why != "ok"]
    assert not failed, "\n".join(failed)


def test_a_client_with_xet_cannot_send_what_does_not_fit_into_a_commit(
    make_hub: Callable[..., Any], tmp_path: Path
) -> None:
    """Known of the client: with Xet on it has no other way; what it shows names the way out."""
    hub = make_hub(regular_below=1)
    program = (
        "from huggingface_hub import HfApi; api = HfApi(); api.create_repo('lab/student')\n"
        "api.upload_file(path_or_fileobj=b'x' * 9, path_in_repo='m.onnx', repo_id='lab/student')"
    )
    done = run([sys.executable, "-c", program], environment(hub, tmp_path))
    assert done.returncode == 1
    assert "404 Not Found" in done.stderr and "xet-write-token" in done.stderr
    assert "set-HF_HUB_DISABLE_XET=1" in done.stderr
    assert set(Store(hub.root).read(REPO, "main").files) == {".gitattributes"}


# --- the command line ----------------------------------------------------------------------------


@pytest.fixture(params=[{"HF_HUB_DISABLE_XET": "1"}, {}], ids=["Xet off", "as it is installed"])
def hf(request: pytest.FixtureRequest, hub: Any, tmp_path: Path) -> Callable[..., str]:
    """The client's own command: hf("upload", ...) gives what it prints."""
    command = Path(sys.executable).with_name("hf")
    if not command.exists():
        pytest.skip("the hf command is not installed")
    variables = environment(hub, tmp_path / "home", **request.param)

    def call(*words: Any) -> str:
        done = run([command, *words], variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def test_the_hf_command_publishes_tags_and_downloads(
    hf: Callable[..., str], hub: Any, tmp_path: Path
) -> None:
    student = tmp_path / "student"
    student.mkdir()
    (student / "model.onnx").write_bytes(MODEL)
    (student / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A student\n")
    assert REPO in hf("repos", "create", REPO)
    hf("upload", REPO, student, ".", "--commit-message", "A student")
    hf("repos", "tag", "create", REPO, "v1")
    hf("upload", REPO, student / "model.onnx", "again/model.onnx")
    hf("repos", "delete-files", REPO, "README.md")

    store = Store(hub.root)
    head = store.read(REPO, "main")
    assert set(head.files) == {".gitattributes", "model.onnx", "again/model.onnx"}
    assert store.read(REPO, "v1").title == "A student"
    hf("download", REPO, "--revision", "v1", "--local-dir", tmp_path / "got")
    assert (tmp_path / "got" / "model.onnx").read_bytes() == MODEL
    assert (tmp_path / "got" / "README.md").read_bytes() == (student / "README.md").read_bytes()
    assert "v1" in hf("repos", "tag", "list", REPO)


def test_the_hf_command_makes_branches_and_deletes(hf: Callable[..., str], hub: Any) -> None:
    hf("repos", "create", REPO, "--private")
    assert Store(hub.root).private(REPO)
    hf("repos", "branch", "create", REPO, "dev")
    assert set(Store(hub.root).refs(REPO).heads) == {"dev", "main"}
    hf("repos", "branch", "delete", REPO, "dev")
    hf("repos", "delete", REPO, "--yes")
    assert Store(hub.root).repos() == []
