"""Work that is done once, and goes on where it was killed."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.chain import job


@dataclass(frozen=True)
class Figures:
    values: tuple[float, ...]
    best: float | None


def once(root: Path, name: str, reads: Any, make: Any) -> job.Done:
    return job.once(root, job.Step(name, "", reads, make))


class Work:
    """Counts how often it was asked to be done."""

    def __init__(self, result: dict[str, Any] | None = None) -> None:
        self.result = result or {"loss": 0.5}
        self.folders: list[Path] = []

    def __call__(self, folder: Path) -> dict[str, Any]:
        self.folders.append(folder)
        return self.result


def test_work_is_done_once_for_what_it_reads(tmp_path: Path) -> None:
    work = Work()
    first = once(tmp_path, "train", {"lr": 0.1}, work)
    second = once(tmp_path, "train", {"lr": 0.1}, work)
    assert work.folders == [first.folder]
    assert (first.fresh, second.fresh) == (True, False)
    assert (second.folder, second.result) == (first.folder, first.result)
    assert first.folder.parent == tmp_path and first.folder.name.startswith("train-")


@pytest.mark.parametrize(
    "reads", [{"lr": 0.2}, {"lr": "0.1"}, {"LR": 0.1}, {"lr": 0.1, "epochs": 1}, [["lr", 0.1]]]
)
def test_it_is_done_again_when_it_reads_something_else(tmp_path: Path, reads: Any) -> None:
    work = Work()
    first = once(tmp_path, "train", {"lr": 0.1}, work)
    other = once(tmp_path, "train", reads, work)
    assert other.fresh and other.folder != first.folder
    assert not once(tmp_path, "train", {"lr": 0.1}, work).fresh


def test_another_stage_may_read_the_same(tmp_path: Path) -> None:
    names = [once(tmp_path, name, 1, Work()).folder.name for name in ("train", "export")]
    assert len(set(names)) == 2


def test_the_order_of_keys_says_nothing(tmp_path: Path) -> None:
    work = Work()
    once(tmp_path, "train", {"a": 1, "b": (1, 2)}, work)
    assert not once(tmp_path, "train", {"b": [1, 2], "a": 1}, work).fresh


def test_the_result_is_the_same_json_when_it_is_fresh_and_when_it_is_found(tmp_path: Path) -> None:
    work = Work({"figures": Figures((1.0, 0.5), None), "rows": [Figures((), 2.0)]})
    first, second = (once(tmp_path, "measure", 1, work).result for _ in range(2))
    assert (
        first
        == second
        == {
            "figures": {"values": [1.0, 0.5], "best": None},
            "rows": [{"values": [], "best": 2.0}],
        }
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
).filter(lambda value: "Infinity" not in json.dumps(value))


@given(reads=json_values, result=st.dictionaries(st.text(), json_values))
def test_any_json_comes_back(
    tmp_path_factory: pytest.TempPathFactory, reads: Any, result: dict[str, Any]
) -> None:
    root = tmp_path_factory.mktemp("stage")
    fresh = once(root, "any", reads, lambda folder: result)
    assert fresh.fresh and fresh.result == result
    assert once(root, "any", reads, Work()).result == result


def test_what_was_read_stands_beside_the_result(tmp_path: Path) -> None:
    folder = once(tmp_path, "train", {"lr": 0.1}, Work()).folder
    told = json.loads((folder / job.DONE).read_text())
    assert told == {"reads": {"lr": 0.1}, "result": {"loss": 0.5}}


def test_work_that_failed_goes_on_with_what_it_left(tmp_path: Path) -> None:
    def fails(folder: Path) -> dict[str, Any]:
        (folder / "checkpoint").write_text("half")
        raise KeyError

    with pytest.raises(KeyError):
        once(tmp_path, "train", 1, fails)
    found = once(tmp_path, "train", 1, lambda folder: {"left": (folder / "checkpoint").read_text()})
    assert found.fresh and found.result == {"left": "half"}


KILLED = """
import os, signal, sys
from pathlib import Path
from zoo.chain import job

def work(folder):
    (folder / "checkpoint").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

job.once(Path(sys.argv[1]), job.Step("train", "", 1, work))
"""


def test_a_killed_process_leaves_its_folder_unfinished(tmp_path: Path) -> None:
    root = Path(__file__).parent.parent
    died = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], cwd=root, capture_output=True, check=False
    )
    assert died.returncode < 0, died.stderr
    found = once(tmp_path, "train", 1, lambda folder: {"left": [p.name for p in folder.iterdir()]})
    assert found.fresh and found.result == {"left": ["checkpoint"]}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"reads": 1}'])
def test_a_broken_mark_is_no_mark(tmp_path: Path, text: str) -> None:
    work = Work()
    folder = once(tmp_path, "train", 1, work).folder
    (folder / job.DONE).write_text(text)
    assert once(tmp_path, "train", 1, work).fresh
    assert not once(tmp_path, "train", 1, work).fresh


def test_the_hash_of_code_sees_content_and_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "zoo_stage_example"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    hashes = [job.code(package.name)]
    (package / "note.txt").write_text("not code")
    assert job.code(package.name) == hashes[0]
    (package / "a.py").write_text("x = 2\n")
    hashes.append(job.code(package.name))
    (package / "a.py").rename(package / "b.py")
    hashes.append(job.code(package.name))
    assert len(set(hashes)) == 3


@pytest.mark.parametrize("changed", ["inner/maker.py", "inner/help.py", "shared.py", "beside.py"])
@pytest.mark.parametrize(
    "inits", [["__init__.py", "inner/__init__.py"], []], ids=["package", "namespace"]
)
def test_the_hash_of_a_class_sees_its_folder_and_what_it_inherits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str, inits: list[str]
) -> None:
    name = f"zoo_task_example_{len(inits)}_" + changed.partition(".")[0].replace("/", "_")
    package = tmp_path / name
    (package / "inner").mkdir(parents=True)
    for file in (*inits, "inner/help.py", "beside.py"):
        (package / file).write_text("")
    (package / "shared.py").write_text("class Base: ...\n")
    inherits = f"from {name}.shared import Base\nclass Maker(Base): ...\n"
    (package / "inner/maker.py").write_text(inherits)
    monkeypatch.syspath_prepend(str(tmp_path))
    kind = importlib.import_module(f"{name}.inner.maker").Maker
    before = job.codes(kind)
    with (package / changed).open("a") as file:
        file.write("# other\n")
    assert (job.codes(kind) == before) == (changed == "beside.py")


def test_the_tasks_here_are_seen_with_the_code_that_they_share() -> None:
    from zoo.tasks.classification import ClassMeter
    from zoo.tasks.image_classification.meter import PictureMeter

    assert job.code(ClassMeter.__module__) in job.codes(PictureMeter)


def test_a_step_that_stops_an_iteration_is_no_end_of_its_stage(tmp_path: Path) -> None:
    from zoo.chain.build import _driven

    def stage() -> Any:
        yield job.Step("a", "working", 1, lambda out: next(iter(())))
        return "record"

    about = types.SimpleNamespace(name="a", folder=tmp_path, tell=str, say=str)
    with pytest.raises(StopIteration):
        _driven(about, stage())  # type: ignore[arg-type]
