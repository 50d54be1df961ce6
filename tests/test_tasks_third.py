"""A third task, whole, in one folder (files/levels_task), registered by one line.

It answers with a number, is scored by an error, and has no labels: what goes through here asks no
file of `zoo` whether it is about pictures or texts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import zoo
from zoo import cli
from zoo.card import page, writing
from zoo.errors import GateError, NotFound, ZooError
from zoo.records import card, task
from zoo.records.measures import Scale
from zoo.registry import registries
from zoo.students.golden import golden

NAME = "levels-conv.kd"
RECIPE = f"""\
name: {NAME}
task: brightness
summary: Tells how bright a picture is
licence: Apache-2.0
data: {{source: made, licence: CC0-1.0}}
teacher: {{callable: "levels_task:bright", licence: CC0-1.0}}
student: {{architecture: conv}}
train: {{epochs: 200, learning_rate: 0.05, seeds: [0, 1]}}
compress: {{calibration_images: 64, ladder: [{{name: minmax}}]}}
gates: {{max_drop_points: 0.5, min_agreement: 0.9, max_speed_ratio: 1000}}
"""
ERROR = Scale(unit="levels", best="lowest", high=None)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(task.TASKS, "brightness", "levels_task:TASK")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A lab in which the student was built."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from zoo.chain.build import build

    folder = tmp_path_factory.mktemp("lab")
    (folder / "level.yaml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(task.TASKS, "brightness", "levels_task:TASK")
        patch.chdir(folder)
        patch.setenv("ZOO_REGISTRY", str(folder / "registry.yaml"))
        build("level.yaml", work=Path("runs"), store=Path("store"))
    yield folder


@pytest.fixture
def inside(lab: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lab as working directory, with a cache of its own."""
    monkeypatch.chdir(lab)
    monkeypatch.setenv("ZOO_REGISTRY", str(lab / "registry.yaml"))
    monkeypatch.setenv("ZOO_STORE", str(lab / "store"))
    monkeypatch.setenv("ZOO_CACHE", str(lab / "cache"))
    for name, level in (("dark", 1), ("light", 9)):
        pixels = np.full((20, 30, 3), round(25.5 * level), np.uint8)
        Image.fromarray(pixels).save(lab / f"{name}.png")
    return lab


def invoke(*words: object) -> str:
    done = CliRunner().invoke(cli.app, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


# --- built ---------------------------------------------------------------------------------------


@pytest.mark.train
def test_the_card_tells_an_error_in_its_own_unit(inside: Path) -> None:
    made = card.read(inside / "store" / NAME)
    fp32, int8 = made.variants["fp32"], made.variants["int8"]
    assert fp32.accuracy.metric == "mean absolute error"
    assert fp32.accuracy.scale == ERROR
    assert 0 < fp32.accuracy.value < int8.accuracy.value < 0.3
    assert made.labels == () and made.per_class is None and fp32.ece is None
    assert made.teacher and made.teacher.accuracy.value < 0.05
    assert made.seeds and len(made.seeds.values) == 2
    (attempt,) = made.attempts
    assert attempt.drop_points is not None and attempt.drop_points > 0  # a larger error is a loss
    assert writing.drift(inside / "store" / NAME) == []


@pytest.mark.train
def test_the_page_has_its_words_and_nothing_of_classification(inside: Path) -> None:
    page = (inside / "store" / NAME / "README.md").read_text(encoding="utf-8")
    assert "A level is a tenth of the way from black to white." in page
    assert "| File | Mean absolute error, levels |" in page
    assert "levels** mean absolute error on levels test" in page
    for word in ("top-1", "labels", "same first answer", "Accuracy, %"):
        assert word not in page


@pytest.mark.train
def test_a_gate_is_in_points_of_its_metric(inside: Path, tmp_path: Path) -> None:
    from zoo.chain.build import build

    tight = RECIPE.replace("max_drop_points: 0.5", "max_drop_points: 0.0")
    (tmp_path / "tight.yaml").write_text(tight)
    with pytest.raises(GateError, match=r"drop 0\.\d\d points > 0\.00"):
        build(str(tmp_path / "tight.yaml"), work=inside / "runs", store=tmp_path / "store")


@pytest.mark.train
def test_a_chain_may_end_after_any_stage(inside: Path) -> None:
    from zoo.chain.build import build

    folder = build("level.yaml", work=Path("runs"), until="export")
    assert (folder / "model.fp32.onnx").is_file()
    assert build("level.yaml", work=Path("runs"), until="compress").name.startswith("compress-")
    with pytest.raises(NotFound, match='no stage is called "exports"') as caught:
        build("level.yaml", work=Path("runs"), until="exports")
    assert "export" in caught.value.hint


# --- used ----------------------------------------------------------------------------------------


@pytest.mark.train
@pytest.mark.usefixtures("inside")
def test_it_is_listed_pulled_loaded_and_run() -> None:
    row = registries.find(NAME)
    assert (row.task, row.headline.metric, row.headline.scale) == (
        "brightness",
        "mean absolute error",
        ERROR,
    )
    assert "levels mean absolute error" in invoke("list")
    assert invoke("info", NAME).count("mean absolute error") == 1
    zoo.pull(NAME)
    student = zoo.load(NAME)
    assert student.labels == () and "labels" not in repr(student)
    assert student("light.png") == pytest.approx(9, abs=0.5)
    dark, light = (
        line.split("\t") for line in invoke("run", NAME, "dark.png", "light.png").splitlines()
    )
    assert (dark[0], light[0]) == ("dark.png", "light.png")
    assert float(dark[1]) < 2 < 8 < float(light[1])
    told = json.loads(invoke("run", NAME, "dark.png", "--json"))
    assert told["value"] == pytest.approx(float(dark[1]), abs=0.01)


@pytest.mark.train
@pytest.mark.usefixtures("inside")
def test_it_is_timed_and_measured_again() -> None:
    assert "16 px" in invoke("bench", NAME, "--rounds", "2", "--compare")
    table = invoke("verify", NAME, "--data", ".")
    assert "mean absolute error, int8" in table and "DIFFERENT" not in table
    told = json.loads(invoke("verify", NAME, "--data", ".", "--json"))
    assert told["accuracy_ok"] == {"fp32": True, "int8": True}
    assert told["golden"]["int8"]["agreement"] == 1.0


@pytest.mark.train
@pytest.mark.hub
def test_it_is_published_and_the_hub_shows_it(
    inside: Path, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("ZOO_TOKEN", hub.token)
    monkeypatch.setenv("HF_HOME", str(inside / "home"))
    monkeypatch.setenv("ZOO_REGISTRY", str(inside / "there.yaml"))
    (inside / "there.yaml").write_text((inside / "registry.yaml").read_text())
    assert invoke("publish", NAME, "--endpoint", hub.url).startswith(f"studentzoo/{NAME}@")
    page = httpx2.get(f"{hub.url}/studentzoo/{NAME}").text
    assert "Mean absolute error" in page and "levels" in page and "photo.jpg" in page
    (row,) = httpx2.get(f"{hub.url}/api/zoo/models").json()["models"]
    assert row["scale"]["unit"] == "levels" and row["pareto"] is False
    front = httpx2.get(hub.url).text
    assert "1 scored by something else than accuracy is left out" not in front  # no plot at all
    assert "levels" in front
    assert 'unit: "levels"' in httpx2.get(f"{hub.url}/registry.yaml").text


# --- not known here ------------------------------------------------------------------------------


@pytest.mark.train
def test_where_its_task_is_not_known_it_is_listed_and_pulled_and_says_so(
    inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(task.TASKS, "brightness")
    assert NAME in invoke("list")
    folder = invoke("pull", NAME).strip()  # every byte, and the golden outputs
    assert "sha256 of every file" in invoke("verify", NAME)
    with pytest.raises(NotFound, match="the task 'brightness' is not known here") as caught:
        zoo.load(NAME)
    assert "install" in caught.value.hint
    for words in (("run", NAME, "dark.png"), ("bench", NAME)):
        with pytest.raises(NotFound, match="not known here"):
            CliRunner().invoke(cli.app, words, catch_exceptions=False)
    assert f"# {NAME}" in invoke("card", NAME)
    made = card.read(Path(folder))
    with pytest.raises(NotFound, match="not known here"):  # its page is in words that are not here
        writing.drift(Path(folder))
    with pytest.raises(NotFound, match="not known here"):
        writing.write(made, Path(folder))


def test_an_entry_point_of_another_package_is_a_task(tmp_path: Path, files: Path) -> None:
    told = tmp_path / "levels_task-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: levels_task\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("[studentzoo.tasks]\nbrightness = levels_task:TASK\n")
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(files)!r}]\n"
        "from zoo.records import task\n"
        "print(task.find('brightness').title, task.names())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=files.parents[1],
    )
    assert "Brightness of a picture" in done.stdout
    assert "'brightness', 'image-classification'" in done.stdout


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("levels_task:NOTHING", "levels_task has no NOTHING"),
        ("levels_task.data:make", 'is not the task "broken"'),
        ("levels_task:TASK", 'is not the task "broken"'),
    ],
)
def test_a_task_that_is_registered_wrongly_is_one_error(
    where: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(task.TASKS, "broken", where)
    with pytest.raises(ZooError, match=said):
        task.find("broken")


def test_a_part_that_is_none_is_one_error() -> None:
    from zoo.students.student import Student

    with pytest.raises(ZooError, match="its words is no Student"):
        task.find("brightness").part("words", Student)


@pytest.mark.parametrize("name", ["image-classification", "text-classification", "brightness"])
def test_every_part_of_a_task_is_what_its_room_asks_for(name: str) -> None:
    from zoo.card.words import Words
    from zoo.chain.maker import Maker
    from zoo.measure.meter import Meter
    from zoo.records.recipe import Recipe
    from zoo.students.student import Student

    found = task.find(name)
    bases = {"recipe": Recipe, "student": Student, "meter": Meter, "maker": Maker, "words": Words}
    for part, base in bases.items():
        kind = found.part(part, base)
        assert not getattr(kind, "__abstractmethods__", None), part
    one = np.eye(3, dtype=np.float32)
    assert found.agree(one, one) == 1.0


def test_a_package_that_cannot_be_imported_is_one_error_and_breaks_nothing_else(
    tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_task.py").write_text("import no_such_package_at_all\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(task.TASKS, "image-classification", "broken_task:TASK")
    with pytest.raises(ZooError, match=r"broken_task:TASK cannot be imported: .*no_such_package"):
        zoo.load(files / "tiny")
    assert golden(files / "tiny", "int8").ok
    assert "# colours-tiny.test" in page.render(card.read(files / "tiny"))


def test_a_gate_that_is_a_fraction_is_refused_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from zoo.chain.build import build

    monkeypatch.chdir(tmp_path)
    Path("level.yaml").write_text(RECIPE.replace("gates: {", "gates: {min_accuracy: 0.9, "))
    with pytest.raises(ZooError, match=r"level\.yaml:\d+: gates\.min_accuracy: .* no fraction"):
        build("level.yaml", work="runs", store="store")
    assert not list(Path("runs").rglob("done.json"))
