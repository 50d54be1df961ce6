"""`zoo compress`: a table or JSON, a file or none, and one clear error for every bad input."""

import json
import subprocess
import sys

import foreign_nets
import numpy as np
import onnxruntime as ort
import pytest
from foreign_nets import folder, photos
from foreign_runs import failed, run

COUNT, SIDE = 24, 32


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """m.onnx and photos/ beside it."""
    return foreign_nets.place(tmp_path_factory.mktemp("mine"), COUNT, SIDE)


def test_a_file_is_written_and_told_of_in_json(place, tmp_path):
    out = tmp_path / "small.onnx"
    result = run(
        *(place / "m.onnx", "--data", place / "photos", "--preset", "inception"),
        *("-o", out, "--min-agreement", 0.3, "--json"),
    )
    assert result.exit_code == 0, result.exception
    told = json.loads(result.stdout)
    assert told["passed"] and told["path"] == str(out) and out.is_file()
    assert told["gate"].endswith("there are no labels")
    size = out.stat().st_size
    attempt = next(
        a for a in told["attempts"] if a["verdict"] == "pass" and a["size_bytes"] == size
    )
    assert attempt["speed"]["high"] < 1 and attempt["speed"]["control"] > 0
    assert size < told["size_bytes"]
    assert told["calibrated_on"] + told["judged_on"] == COUNT


def test_raw_takes_bytes_of_any_size(place, tmp_path):
    out = tmp_path / "raw.onnx"
    mean, std = "0.485,0.456,0.406", "0.229,0.224,0.225"
    result = run(
        *(place / "m.onnx", "--data", place / "photos", "--mean", mean, "--std", std),
        *("--raw", "-o", out, "--min-agreement", 0.3),
    )
    assert result.exit_code == 0, result.exception
    assert "in float" in result.stdout and "prepared as options" in result.stdout
    session = ort.InferenceSession(str(out))
    (given,) = session.get_inputs()
    assert (given.name, given.type) == ("image", "tensor(uint8)")
    for height, width in ((SIDE, SIDE), (40, 90)):
        picture = np.zeros((2, height, width, 3), np.uint8)
        assert session.run(None, {"image": picture})[0].shape == (2, 4)


def test_what_is_refused_writes_nothing(place, tmp_path):
    out = tmp_path / "q.onnx"
    given = (place / "m.onnx", "--data", place / "photos", "--preset", "inception", "-o", out)
    said = failed(*given, "--max-speed-ratio", "0.01")
    assert "nothing is written" in said and "speed ratio" in said
    assert list(tmp_path.iterdir()) == []


def test_random_shows_speed_and_never_passes(place, tmp_path):
    out = tmp_path / "q.onnx"
    said = failed(place / "m.onnx", "--random", "-o", out)
    assert "random" in said and not out.exists()


def test_normalisation_is_asked_for(place):
    assert "--preset" in failed(place / "m.onnx", "--data", place / "photos")


def test_labels_are_looked_at(place, tmp_path):
    rows = tmp_path / "labels.csv"
    given = (place / "m.onnx", "--data", place / "photos", "--preset", "unit", "--labels", rows)
    for text, said in (
        ("file,label\n000.png,1\n", "23 of 24 pictures have no label"),
        ("nowhere.png,1\n", "no picture 'nowhere.png'"),
        ("000.png,cat\n000.png,cat\n", "label 'cat'"),
        ("000.png,1\n000.png,2\n", "two labels"),
        ("000.png;1\n", "is no label"),
        ("", "is empty"),
    ):
        rows.write_text(text)
        assert said in failed(*given)
    assert "cannot be read" in failed(*given[:-1], tmp_path / "none.csv")


def test_a_label_that_is_no_output_is_one_error(place, tmp_path):
    rows = tmp_path / "labels.csv"
    rows.write_text("".join(f"{k:03}.png,{k}\n" for k in range(COUNT)))
    given = (place / "m.onnx", "--data", place / "photos", "--preset", "unit", "--labels", rows)
    assert "label 23" in failed(*given)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--data", "{root}/nothing"), "no such file or folder"),
        (("--data", "{root}/m.onnx"), "neither folder nor arrays"),
        (("--data", "{root}"), "input"),
        (("--data", "{root}/photos", "--preset", "resnet"), "no preset 'resnet'"),
        (("--data", "{root}/photos", "--mean", "1,2"), "mean has 2 numbers"),
        (("--data", "{root}/photos", "--std", "0"), "std must be above 0"),
        (("--data", "{root}/photos", "--preset", "unit", "--size", "64"), "not 64 x 64"),
        (("--data", "{root}/photos", "--preset", "unit", "--color", "CMYK"), "color 'CMYK'"),
        (("--data", "{root}/photos", "--preset", "unit", "--max-speed-ratio", "2"), "must be <= 1"),
        (("--random", "--raw"), "need pictures"),
    ],
)
def test_bad_options_are_one_error_with_a_hint(place, tmp_path, args, said):
    given = [arg.format(root=place) for arg in args]
    if said == "input":
        (tmp_path / "empty").mkdir()
        given[1] = str(tmp_path / "empty")
        said = "no pictures"
        given += ["--preset", "unit"]
    assert said in failed(place / "m.onnx", *given, "-o", tmp_path / "q.onnx")
    assert not (tmp_path / "q.onnx").exists()


def test_a_hostile_file_is_one_line_on_stderr(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"\x08\xff" * 40)
    folder(tmp_path / "photos", photos(2))
    command = [sys.executable, "-m", "zoo", "compress", str(tmp_path / "m.onnx"), "--data"]
    done = subprocess.run(
        [*command, str(tmp_path / "photos")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ") and "hint: " in done.stderr


def test_either_data_or_random(place):
    assert run(place / "m.onnx").exit_code == 2
    assert run(place / "m.onnx", "--data", place, "--random").exit_code == 2


def test_arrays_take_the_place_of_pictures(place, tmp_path):
    rows = np.random.default_rng(0).normal(size=(COUNT, 3, SIDE, SIDE)).astype("f4")
    np.savez(tmp_path / "rows.npz", input=rows)
    result = run(
        *(place / "m.onnx", "--data", tmp_path / "rows.npz", "-o", tmp_path / "q.onnx"),
        *("--min-agreement", 0.3, "--json"),
    )
    assert result.exit_code == 0, result.exception
    np.savez(tmp_path / "rows.npz", other=rows)
    assert "no array input" in failed(place / "m.onnx", "--data", tmp_path / "rows.npz")


def test_a_file_that_is_not_there_is_one_error(place):
    assert "does not exist" in failed(place / "nothing.onnx", "--random")
