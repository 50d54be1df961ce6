"""zoo bench and zoo verify of ONNX files that nobody published."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import invoke, picture, shell
from typer.testing import CliRunner, Result

from zoo import cli
from zoo.errors import InputError, IntegrityError

BLUE, GREEN, RED = (5, 5, 250), (5, 250, 5), (250, 5, 5)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, [*map(str, arguments)])


def failed(*arguments: object) -> InputError:
    problem = run(*arguments).exception
    assert isinstance(problem, InputError)
    return problem


def network(
    path: Path, shape: list[int | str], kind: str = "float", metadata: dict[str, str] | None = None
) -> Path:
    """A file that gives back what it reads, as floats."""
    onnx = pytest.importorskip("onnx")
    types = onnx.TensorProto
    type_of = {"float": types.FLOAT, "uint8": types.UINT8, "int64": types.INT64}[kind]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Cast", ["x"], ["y"], to=types.FLOAT)],
        "same",
        [onnx.helper.make_tensor_value_info("x", type_of, shape)],
        [onnx.helper.make_tensor_value_info("y", types.FLOAT, shape)],
    )
    opsets = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path


def without(file: Path, *keys: str) -> Path:
    """A copy of a student's file whose metadata lack these keys."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(file)
    kept = {p.key: p.value for p in model.metadata_props if p.key not in keys}
    onnx.helper.set_model_props(model, kept)
    path = file.with_name("mine.onnx")
    onnx.save(model, path)
    return path


# --- bench ---------------------------------------------------------------------------------------


def test_files_are_timed_side_by_side_beside_the_first(tiny: Path) -> None:
    files = [tiny / f"model.{precision}.onnx" for precision in ("int8", "fp32")]
    head, *lines = invoke("bench", *files, "--rounds", 2).splitlines()
    assert "OVER FIRST" in head
    assert [line.split()[0] for line in lines] == [str(file) for file in files]
    assert "1.000 (1.000-1.000)" in lines[0]
    found = json.loads(invoke("bench", *files, "--rounds", 2, "--json"))
    assert set(found["sha256"]) == {str(file) for file in files}
    for row in found["rows"]:
        assert row["input"] == "uint8 1 x 8 x 8 x 3"
        assert 0 < row["p50_ms"] <= row["p95_ms"]
        assert len(row["ratio_to_first"]) == len(row["control"]) == 3


def test_one_file_has_nothing_beside_it(tiny: Path) -> None:
    (row,) = json.loads(invoke("bench", tiny / "model.fp32.onnx", "--rounds", 2, "--json"))["rows"]
    assert row["ratio_to_first"] is row["control"] is None


def test_text_files_are_timed_on_words_and_sentences(tiny_text: Path) -> None:
    files = [tiny_text / f"model.{precision}.onnx" for precision in ("int8", "fp32")]
    found = json.loads(invoke("bench", *files, "--rounds", 2, "--json", "--batch", 2))
    assert [row["input"] for row in found["rows"]] == ["int32 2 x 8"] * 2 + ["int32 2 x 100"] * 2


@pytest.mark.parametrize(
    ("shape", "kind", "said"),
    [
        ([1, 3, 16, 24], "float", "float32 1 x 3 x 16 x 24"),
        (["n", 16, 24, 3], "uint8", "uint8 1 x 16 x 24 x 3"),
        (["n", 12], "int64", "int64 1 x 12"),
    ],
)
def test_a_file_that_is_no_student_is_timed_as_its_input_is(
    shape: list[int | str], kind: str, said: str, tmp_path: Path
) -> None:
    path = network(tmp_path / "mine.onnx", shape, kind)
    (row,) = json.loads(invoke("bench", path, "--rounds", 2, "--json"))["rows"]
    assert row["input"] == said


def test_files_of_unlike_sizes_are_timed_each_on_its_own(tiny: Path, tmp_path: Path) -> None:
    other = network(tmp_path / "mine.onnx", [1, 3, 16, 24])
    found = json.loads(invoke("bench", tiny / "model.fp32.onnx", other, "--rounds", 2, "--json"))
    assert [row["input"].split()[0] for row in found["rows"]] == ["uint8", "float32"]


def test_a_batch_that_is_fixed_is_said(tmp_path: Path) -> None:
    problem = failed("bench", network(tmp_path / "mine.onnx", [1, 3, 8, 8]), "--batch", 4)
    assert "reads 1 at once, not 4" in str(problem)
    assert problem.hint == "give --batch 1"


@pytest.mark.parametrize("shape", [["n", 3, "h", "w"], ["n", "length"], ["n", 3, 8, "w"]])
def test_a_size_that_is_not_known_is_said(shape: list[int | str], tmp_path: Path) -> None:
    problem = failed("bench", network(tmp_path / "mine.onnx", shape))
    assert "what is timed is not known, for its x is (n, " in str(problem)


def test_weights_that_are_missing_beside_a_file_are_said(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    types, helper = onnx.TensorProto, onnx.helper
    weight = onnx.numpy_helper.from_array(np.ones((3, 4), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "large",
        [helper.make_tensor_value_info("x", types.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", types.FLOAT, ["n", 4])],
        [weight],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path, beside = tmp_path / "mine.onnx", "mine.onnx.data"
    onnx.save(model, path, save_as_external_data=True, location=beside, size_threshold=0)
    invoke("bench", path, "--rounds", 2)
    (tmp_path / beside).unlink()
    assert "put that beside it" in failed("bench", path).hint


@pytest.mark.parametrize("kind", ["STRING", "COMPLEX64"])
def test_numbers_of_a_kind_that_is_not_known_are_one_error(kind: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = network(tmp_path / "mine.onnx", [1, 2])
    model = onnx.load(path)
    for node in (model.graph.input[0], model.graph.output[0]):
        node.type.tensor_type.elem_type = getattr(onnx.TensorProto, kind)
    model.graph.node[0].CopyFrom(onnx.helper.make_node("Identity", ["x"], ["y"]))
    onnx.save(model, path)
    assert str(failed("bench", path)).startswith(f"{path}: ")


def test_pictures_and_texts_are_not_timed_side_by_side(tiny: Path, tiny_text: Path) -> None:
    problem = failed("bench", tiny / "model.fp32.onnx", tiny_text / "model.fp32.onnx")
    assert "some of the files read pictures and some texts" in str(problem)


def test_what_is_no_file_and_no_network_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("not a network")
    (tmp_path / "folder.onnx").mkdir()
    for name in ("text.onnx", "folder.onnx", "missing.onnx"):
        for command in ("bench", "verify"):
            assert name in str(run(command, tmp_path / name).exception)
            assert isinstance(run(command, tmp_path / name).exception, Exception)
            assert hasattr(run(command, tmp_path / name).exception, "hint")


def test_names_and_files_are_not_mixed_and_files_have_no_card(tiny: Path) -> None:
    file = tiny / "model.fp32.onnx"
    assert run("bench", "colours-tiny.test", file).exit_code == 2
    assert run("bench", "one", "two").exit_code == 2
    assert run("bench", file, "--compare").exit_code == 2


# --- verify --------------------------------------------------------------------------------------


def test_a_file_is_opened_and_asked(tiny: Path) -> None:
    shutil.copy(tiny / "model.fp32.onnx", tiny / "mine.onnx")
    text = invoke("verify", tiny / "mine.onnx")
    assert "3 labels" in text
    assert "golden" not in text
    found = json.loads(invoke("verify", tiny / "mine.onnx", "--json"))
    assert (found["task"], found["ok"], found["golden"]) == ("image-classification", True, None)
    assert json.loads(invoke("verify", tiny / "model.fp32.onnx", "--json"))["golden"]["ok"]


def test_answers_that_are_no_numbers_are_found(tiny: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(tiny / "model.fp32.onnx")
    (weight,) = (one for one in model.graph.initializer if one.name == "weight")
    broken = np.full(tuple(weight.dims), np.nan, np.float32)
    weight.CopyFrom(onnx.numpy_helper.from_array(broken, "weight"))
    onnx.save(model, tiny / "mine.onnx")
    done = run("verify", tiny / "mine.onnx")
    assert isinstance(done.exception, IntegrityError)
    assert "no numbers among them" in done.stdout
    found = json.loads(run("verify", tiny / "mine.onnx", "--json").stdout)
    assert (found["ok"], found["finite"], found["difference"]) == (False, False, None)


def test_what_metadata_lack_is_said_at_once_and_the_command_adds_it(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ("studentzoo.task", "studentzoo.labels", "studentzoo.input")
    path = without(tiny / "model.fp32.onnx", *keys)
    problem = failed("verify", path)
    assert "its metadata has no studentzoo.labels, studentzoo.input" in str(problem)
    command = shlex.split(problem.hint[problem.hint.index("python -c") :])
    assert all(key in command[2] for key in keys)
    (tiny / "labels.txt").write_text("red\ngreen\nblue\n")
    monkeypatch.chdir(tiny)
    subprocess.run([sys.executable, *command[1:]], check=True)
    found = json.loads(invoke("verify", path, "--json"))
    assert (found["labels"], found["name"], found["ok"]) == (3, "colours-tiny.test", True)
    invoke("bench", path, "--rounds", 2)


def test_only_what_is_lacking_is_asked_for(tiny_text: Path) -> None:
    problem = failed("bench", without(tiny_text / "model.fp32.onnx", "studentzoo.labels"))
    assert "its metadata has no studentzoo.labels" in str(problem)
    assert "studentzoo.task" not in problem.hint
    assert "studentzoo.input" not in problem.hint


def test_a_file_that_reads_floats_is_told_how_to_read_bytes(tmp_path: Path) -> None:
    problem = failed("verify", network(tmp_path / "mine.onnx", ["n", 3, 8, 8]))
    assert "not a student" in str(problem)
    assert "zoo compress FILE --data FOLDER --raw" in problem.hint


# --- verify --data -------------------------------------------------------------------------------


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Six pictures in folders of classes; one of the greens is blue."""
    folder = tmp_path / "labelled"
    for label, colors in {"red": [RED] * 3, "green": [GREEN, BLUE], "blue": [BLUE]}.items():
        (folder / label).mkdir(parents=True)
        for number, color in enumerate(colors):
            picture(folder / label / f"{number}.png", color)
    return folder


def accuracy(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(invoke("verify", *arguments, "--json"))
    return found


def test_accuracy_is_measured_on_folders_of_classes(tiny: Path, labelled: Path) -> None:
    done = run("verify", tiny / "model.fp32.onnx", "--data", labelled)
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("accuracy"))
    assert "0.8333 (0.4365-0.9699), n 6" in line
    assert "macro-averaged accuracy" in done.stdout
    assert done.stderr == "  green taken for blue: 1 of 2\n"
    found = accuracy(tiny / "model.fp32.onnx", "--data", labelled)
    assert found["accuracy"]["right"] == 5
    assert found["macro_averaged_accuracy"]["value"] == pytest.approx(2.5 / 3)
    assert found["confusions"] == [{"class": "green", "answer": "blue", "n": 1}]


@pytest.mark.parametrize("name", ["test", "TESTING", "val"])
def test_of_a_data_set_the_test_split_is_measured(
    name: str, tiny: Path, labelled: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(labelled / "red", whole / "train" / "blue")
    shutil.copytree(labelled, whole / name)
    found = accuracy(tiny / "model.fp32.onnx", "--data", whole)
    assert (found["accuracy"]["n"], found["data"]) == (6, str(whole / name))


def test_a_picture_of_no_class_stops_it(tiny: Path, labelled: Path) -> None:
    (labelled / "reds").mkdir()
    picture(labelled / "reds" / "1.png", RED)
    problem = failed("verify", tiny / "model.fp32.onnx", "--data", labelled)
    assert "of 7 pictures 1 is in no class of the student (reds)" in str(problem)
    assert '"red"' in problem.hint


def test_a_broken_picture_stops_it_by_name(tiny: Path, labelled: Path) -> None:
    (labelled / "red" / "broken.png").write_bytes(b"")
    problem = failed("verify", tiny / "model.fp32.onnx", "--data", labelled)
    assert "broken.png" in str(problem)


def test_a_folder_without_classes_or_pictures_is_one_error(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    assert "no pictures" in str(
        failed("verify", tiny / "model.fp32.onnx", "--data", tmp_path / "flat")
    )
    picture(tmp_path / "flat" / "1.png", RED)
    problem = failed("verify", tiny / "model.fp32.onnx", "--data", tmp_path / "flat")
    assert "of 1 pictures 1 is in no folder of a class" in str(problem)
    missing = failed("verify", tiny / "model.fp32.onnx", "--data", tmp_path / "missing")
    assert "no such folder" in str(missing)


def test_accuracy_of_texts_is_measured_on_files_of_labels(tiny_text: Path, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "en.txt").write_text("good\n\n good \nmorning\n\nдобро\n", encoding="utf-8")
    (folder / "ru.txt").write_text("доброе утро\n", encoding="utf-8")
    found = accuracy(tiny_text / "model.fp32.onnx", "--data", folder)
    assert (found["accuracy"]["n"], found["accuracy"]["right"]) == (4, 3)
    assert found["confusions"] == [{"class": "en", "answer": "ru", "n": 1}]
    (folder / "enn.txt").write_text("good\n")
    problem = failed("verify", tiny_text / "model.fp32.onnx", "--data", folder)
    assert "no label enn" in str(problem)
    assert '"en"' in problem.hint


def test_an_error_is_two_lines(tiny: Path) -> None:
    path = without(tiny / "model.fp32.onnx", "studentzoo.labels")
    done = shell("verify", path)
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]
